"""Every command of docs/asking.md is run, in order, on a few generated pictures; and its Python, too."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from personsearch.gallery.audit import AuditLog

DOCUMENT = Path(__file__).parents[2] / "docs" / "asking.md"
RED, RUST, GREEN, BLUE = (220, 30, 30), (200, 50, 40), (30, 220, 30), (30, 30, 220)


def draw(path: Path, *people: tuple[tuple[int, int, int, int], tuple[int, int, int]], hour: int = 12) -> None:
    """A picture of these boxes, taken by the camera ``north`` on the first of July at ``hour``."""
    picture = Image.new("RGB", (200, 100), (250, 250, 250))
    for (x, y, w, h), colour in people:
        picture.paste(colour, (x, y, x + w, y + h))
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0110] = "north"
    exif.get_ifd(0x8769).update({0x9003: f"2026:07:01 {hour}:00:00", 0x9011: "+00:00"})
    picture.save(path, exif=exif)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the document's commands name: photos, queries, pairs and judgements."""
    draw(tmp_path / "photos" / "a.png", ((12, 10, 20, 60), RED), ((90, 10, 20, 70), GREEN))
    draw(tmp_path / "photos" / "b.png", ((40, 20, 20, 60), RUST), ((120, 20, 20, 60), BLUE))
    for number in range(5):
        shade = (215 - 9 * number, 35 + 7 * number, 30)
        draw(tmp_path / "photos" / f"more{number}.png", ((20 + 9 * number, 15, 20, 60), shade), hour=15)
    draw(tmp_path / "photo.png", ((10, 10, 20, 60), RED))
    draw(tmp_path / "street.png", ((30, 20, 20, 60), GREEN), ((100, 20, 20, 60), RED))
    draw(tmp_path / "crop.png", ((0, 0, 200, 100), RED))
    rows = [f"{-0.02 * i},{int(i < 12)}" for i in range(40)]
    (tmp_path / "pairs.csv").write_text("\n".join(["similarity,same", *rows, "0.0,0", "-0.7,1"]) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def judgements(place: Path) -> None:
    """The file that a page's reader would have saved."""
    judged = [{"detection": 4, "picture": "x", "box_xyxy": [0, 0, 1, 1], "same": False}]
    head = {
        "schema": "personsearch.judgements/1",
        "query": {"picture": "photo.png", "box_xyxy": [0, 0, 1, 1]},
        "gallery": "gallery",
        "model": "rectangles-1",
    }
    (place / "judgements.json").write_text(json.dumps({**head, "judged": judged}))


def test_the_commands_run_as_they_stand(command, searcher, place: Path) -> None:
    judgements(place)
    blocks = re.findall(r"^```sh\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    assert len(lines) > 25
    said = {}
    for line in lines:
        ended = command(*shlex.split(line)[1:])
        assert ended.code == 0, (line, ended.err)
        if "--format paths" in line:
            paths = ended.out
        else:
            said[line] = json.loads(ended.out.splitlines()[-1])
    assert paths.endswith(".png\0")
    assert len(paths.split("\0")) == 1 + 7
    before, high, each = (said[line]["hits"] for line in said if re.search("--until|--path|--per ", line))
    assert {Path(hit["picture"]).name for hit in before} == {"a.png", "b.png"}
    assert [hit["detection"] for hit in high] == [2]  # 70 pixels, where the others are 60
    assert len(each) == 3
    searches = [answer for answer in said.values() if answer["schema"] == "personsearch.search/1"]
    assert all(answer["hits"] for answer in searches)
    shown = said["personsearch person show Ana -g gallery"]["examples"]
    assert [(one["right"], one["detection"]) for one in shown] == [(True, None), (True, None), (False, 2)]
    actions = [record["action"] for record in AuditLog(place / "gallery").records()]
    assert actions.count("refine") == 4
    assert AuditLog(place / "gallery").check().problems == ()
    session = json.loads((place / "lost-child.json").read_text())
    assert {e["detection"] for e in session["person"]["examples"] if not e["right"]} >= {2, 4}


def test_every_flag_of_the_verbs_is_in_the_document(command) -> None:
    text = DOCUMENT.read_text()
    common = {
        "--help",
        "--format",
        "--json",
        "--null",
        "--parts",
        "--device",
        "--purpose",
        "--html",
        "--exit-code",
    }
    in_gallery = {"--camera", "--since", "--until", "--path", "--min-height", "--max-height", "--conf",
                  "--approximate", "--per", "--top-k", "--gallery", "--model"}  # fmt: skip
    for verb in (("search",), ("refine",), ("calibrate",), ("person", "add"), ("person", "remove")):
        flags = set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", command(*verb, "--help").out, re.M))
        assert flags - common - in_gallery
        missing = [
            flag for flag in flags - common - in_gallery if f"{flag} " not in text and f"{flag}`" not in text
        ]
        assert not missing, (verb, missing)


def test_the_python_runs_as_it_stands(searcher, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(), re.M | re.S)
    names: dict[str, object] = {}
    exec(compile(block, str(DOCUMENT), "exec"), names)
    assert "photos/" in capsys.readouterr().out
    assert names["receipt"].deleted["people"] == 1
    assert [e.right for e in names["gallery"].named.load("Ana").examples] == [True, True]
