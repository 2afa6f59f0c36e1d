"""The whole job, small: interrupted, taken up again, finished, used again, and its parts used alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from personsearch.cli.main import run
from personsearch.datasets.open import open_dataset
from personsearch.errors import PersonSearchError, UsageError
from personsearch.experiments.demo import (
    DemoResult,
    DemoSettings,
    appearances,
    choose_query,
    copy_photos,
    run_demo,
)
from personsearch.types import Query, Scene, Trials

TINY = DemoSettings(dataset="tiny", training="compact-tiny", gallery_size=6, hits=20, workers=1)


T = TypeVar("T")


class Watched:
    """A progress that remembers what was worked on, and can be stopped at a label."""

    def __init__(self, stop: str = "") -> None:
        self.stop, self.done = stop, dict[str, int]()

    def __call__(
        self, items: Iterable[T], label: str, *, total: int | None = None, done: int = 0
    ) -> Iterator[T]:
        for item in items:
            if self.stop and self.stop in label:
                raise KeyboardInterrupt
            self.done[label] = self.done.get(label, 0) + 1
            yield item


@dataclass
class Made:
    folder: Path
    first: Watched
    second: Watched
    result: DemoResult


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The tiny demo: Ctrl-C while test pictures are looked at, then the same call again."""
    folder = tmp_path_factory.mktemp("job") / "demo"
    first, second = Watched(stop="describing"), Watched()
    with pytest.raises(KeyboardInterrupt):
        run_demo(folder, TINY, device="cpu", progress=first)
    assert not (folder / "report.html").exists()
    return Made(folder, first, second, run_demo(folder, TINY, device="cpu", progress=second))


def test_an_interrupted_demo_goes_on_where_it_was(made: Made) -> None:
    assert any(label.startswith("stage 2") for label in made.first.done)
    assert not any(label.startswith(("drawing", "stage")) for label in made.second.done), made.second.done
    assert set(made.result.seconds) == {"data set", "training", "evaluation", "indexing", "search"}


def test_the_gallery_holds_whole_test_pictures_that_training_never_saw(made: Made) -> None:
    data = open_dataset("synthetic", made.folder / "data")
    photos = {path.name for path in (made.folder / "photos").iterdir()}
    assert photos == {scene.name for scene in data.scenes("test")}
    assert not photos & {scene.name for scene in data.scenes("train")}
    assert made.result.index.added == len(photos)


def test_hits_leave_the_query_out_and_are_judged_by_the_annotation(made: Made) -> None:
    result = made.result
    assert result.hits
    assert [judged.hit.rank for judged in result.hits] == list(range(1, len(result.hits) + 1))
    assert all(Path(judged.hit.picture).name != result.query.scene for judged in result.hits)
    scenes = open_dataset("synthetic", made.folder / "data").scenes("test")
    truth = appearances(scenes, result.query, (made.folder / "photos").resolve())
    assert result.appearances == len(truth) > 0
    assert all(not judged.right or judged.hit.picture in truth for judged in result.hits)


def test_the_page_stands_alone(made: Made) -> None:
    page = made.result.page.read_text()
    assert page.count("data:image/jpeg;base64,") > len(made.result.hits)
    assert "mAP" in page
    assert 'src="http' not in page


def test_a_second_run_uses_what_is_finished(made: Made) -> None:
    before = (made.folder / "model" / "model.safetensors").stat().st_mtime_ns
    said: list[str] = []
    watched = Watched()
    again = run_demo(made.folder, TINY, device="cpu", progress=watched, say=said.append)
    assert set(watched.done) <= {"indexing"}
    assert again.index.added == 0
    assert (made.folder / "model" / "model.safetensors").stat().st_mtime_ns == before
    assert "training: done before, checking" in said
    assert [judged.hit.picture for judged in again.hits] == [
        judged.hit.picture for judged in made.result.hits
    ]


def test_another_model_makes_the_gallery_anew(made: Made, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "demo"
    shutil.copytree(made.folder, folder)
    description = folder / "gallery" / "gallery.json"
    about = json.loads(description.read_text())
    description.write_text(description.read_text().replace(made_fingerprint(about), "0" * 64))
    again = run_demo(folder, TINY, device="cpu")
    assert again.index.added == made.result.index.added


def made_fingerprint(about: dict[str, object]) -> str:
    """The fingerprint in a gallery's description, whatever its key is called."""
    return next(value for value in about.values() if isinstance(value, str) and len(value) == 64)


def test_other_settings_and_foreign_folders_are_refused(made: Made, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="other settings"):
        run_demo(made.folder, DemoSettings(dataset="tiny", training="compact-tiny", gallery_size=10))
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        run_demo(tmp_path, TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("change", "device", "said"),
    [
        ({"dataset": "none"}, "cpu", "no preset 'none'"),
        ({"training": "none"}, "cpu", "no training preset 'none'"),
        ({"gallery_size": 7}, "cpu", "no galleries of 7"),
        ({}, "none", "device 'none'"),
    ],
)
def test_what_cannot_be_meant_is_said_before_anything_is_made(
    tmp_path: Path, change: dict[str, Any], device: str, said: str
) -> None:
    with pytest.raises(PersonSearchError, match=said):
        run_demo(tmp_path / "demo", replace(TINY, **change), device=device)
    assert not (tmp_path / "demo").exists()


def test_the_verbs_work_on_its_parts(made: Made, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    model, data = str(made.folder / "model"), str(made.folder / "data")

    def answer(*words: str) -> dict[str, object]:
        assert run([*words, "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    base = ("evaluate", "--model", model, "--dataset", "synthetic", "--root", data, "--out", str(tmp_path))
    scored = answer(*base, "--gallery-size", "6")
    assert scored["schema"] == "personsearch.evaluate/2"
    assert set(scored) >= {"protocol", "queries", "mAP", "top1", "top5", "top10", "detection", "rules"}
    assert answer(*base, "--gallery-size", "10")["features"] == scored["features"]  # looked at once
    annotated = answer(*base, "--gallery-size", "6", "--boxes", "annotated")
    assert annotated["detection"]["recall"] == 1  # type: ignore[index]
    trained = answer(
        "train",
        "--dataset",
        "synthetic",
        "--root",
        data,
        "--out",
        model,
        "--preset",
        "compact-tiny",
        "--device",
        "cpu",
    )
    assert trained["fingerprint"] == scored["model"]
    query = made.result.query
    x1, y1, x2, y2 = query.box
    looked = (
        *("search", "--query", str(made.folder / "photos" / query.scene), "--model", model),
        *("--box", f"{x1},{y1},{x2 - x1},{y2 - y1}", "--gallery", str(made.folder / "gallery"), "-k", "20"),
    )
    own = str((made.folder / "photos" / query.scene).resolve())
    found = [hit["picture"] for hit in answer(*looked)["hits"]]  # type: ignore[attr-defined]
    assert found == [judged.hit.picture for judged in made.result.hits]
    assert own not in found
    looked = (*looked, "--conf", "0")  # barely trained: it may be sure of nobody in the own picture
    others = [hit["picture"] for hit in answer(*looked)["hits"]]  # type: ignore[attr-defined]
    everybody = [hit["picture"] for hit in answer(*looked, "--own")["hits"]]  # type: ignore[attr-defined]
    assert set(everybody) == {*others, own}  # so there was somebody to leave out
    assert own not in others


def trials(positives: list[int], heights: list[float]) -> Trials:
    """Searches in galleries of 3 pictures, of which the first ones show the person."""
    n = len(positives)
    shown = np.array([[i < count for i in range(3)] for count in positives])
    return Trials(
        name="by hand",
        scenes=("g1", "g2", "g3", *(f"q{i}" for i in range(n))),
        query_scene=np.arange(3, 3 + n),
        query_box=np.array([[0, 0, 10, height] for height in heights]),
        query_person=np.arange(n),
        entry_ptr=np.arange(0, 3 * n + 1, 3),
        entry_scene=np.tile([0, 1, 2], n),
        truth_ptr=np.concatenate([[0], np.cumsum(shown.ravel())]),
        truth_box=np.zeros((int(shown.sum()), 4)),
        ignore_ptr=np.zeros(3 * n + 1, np.int64),
        ignore_box=np.zeros((0, 4)),
    )


def test_the_query_is_the_middle_one_by_height_of_those_with_most_appearances() -> None:
    chosen = choose_query(trials([1, 3, 2, 3, 3], [90, 70, 80, 50, 60]))
    assert (chosen.scene, chosen.person) == ("q4", 4)  # heights 50 (q3), 60 (q4), 70 (q1)
    assert choose_query(trials([1], [50])).scene == "q0"


def test_appearances_leave_out_the_query_and_strangers() -> None:
    scenes = tuple(
        Scene(name, boxes=[[0, 0, 1, 2], [5, 5, 6, 7]], people=people)
        for name, people in (("q", [4, -1]), ("a", [1, 4]), ("b", [-1, -1]))
    )
    truth = appearances(scenes, Query("q", [0, 0, 1, 2], 4), Path("photos"))
    assert {name: boxes.tolist() for name, boxes in truth.items()} == {"photos/a": [[5, 5, 6, 7]]}


def test_photos_are_copied_where_links_are_impossible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "s.jpg"
    source.write_bytes(b"picture")
    scene = Scene("s.jpg", path=source)

    def refuse(*given: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr("os.link", refuse)
    assert (copy_photos((scene,), tmp_path / "photos") / "s.jpg").read_bytes() == b"picture"
    source.write_bytes(b"other")
    assert (copy_photos((scene,), tmp_path / "photos") / "s.jpg").read_bytes() == b"picture"
