"""What README.md and docs/cluster.md show of galleries runs, on a few generated pictures."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from personsearch.gallery.info import describe
from personsearch.indexing.cluster_hands import ClusterOptions
from personsearch.indexing.local import index_sources

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
RED, RUST = (220, 30, 30), (200, 50, 40)


def draw(path: Path, box: tuple[int, int, int, int], colour: tuple[int, int, int]) -> None:
    picture = Image.new("RGB", (640, 480), (250, 250, 250))
    picture.paste(colour, box)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=100)


@pytest.fixture
def place(tmp_path: Path, searcher, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the examples name: photos, and one of somebody to look for."""
    draw(tmp_path / "photos" / "a.png", (40, 50, 160, 400), RED)
    draw(tmp_path / "photos" / "b.png", (300, 50, 420, 400), RUST)
    draw(tmp_path / "photo.jpg", (412, 88, 552, 478), RED)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(text: str, *verbs: str) -> list[list[str]]:
    """The words of each command of these verbs in shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    found = (shlex.split(line, comments=True) for block in blocks for line in block.splitlines())
    return [words[1:] for words in found if words[:1] == ["personsearch"] and words[1] in verbs]


def test_the_readmes_commands_find_the_person(command, place: Path) -> None:
    """Training them is `make demo`'s, which runs in the long tests."""
    index, search = lines(README, "index", "search")
    assert command(*index).code == 0
    ended = command(*search)
    assert ended.code == 0, ended.err
    hits = json.loads(ended.out)["hits"]
    assert [Path(hit["picture"]).name for hit in hits] == ["a.png", "b.png"]
    assert (place / "hits.html").read_text().startswith("<!doctype html>")


def test_the_readmes_python_runs_as_it_stands(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)
    exec(compile(block, "README.md", "exec"), {})
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "2 added; [] failed"
    assert [line.split()[1].rsplit("/")[-1] for line in told[1:]] == ["a.png", "b.png"]


def test_the_clusters_commands_ask_for_what_they_say(
    command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one process in the cluster's place; tests/indexing/test_cluster.py has a real one."""
    asked = []

    def index_on_cluster(sources, gallery, searcher, opener, options, cluster, *, progress):
        asked.append(cluster)
        return index_sources(sources, gallery, searcher, options, progress=progress)

    monkeypatch.setattr("personsearch.indexing.cluster.index_on_cluster", index_on_cluster)
    (place / "model").mkdir()
    text = (ROOT / "docs" / "cluster.md").read_text().replace("/shared/", f"{place}/")
    index, search = lines(text, "index", "search")
    assert command(*index, "--progress", "none").code == 0
    assert asked == [ClusterOptions(workers=8)]
    assert describe(place / "gallery")["people"] == 2
    ended = command(*search)
    assert ended.code == 0, ended.err
    assert [hit["detection"] for hit in json.loads(ended.out)["hits"]] == [1, 2]
