"""``personsearch baselines``, and pairs of models where every command takes a model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personsearch.baselines.two_stage import TwoStage
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.types import Array, Detections, Picture


class Halves:
    """Finds somebody in either half of a picture."""

    name, fingerprint = "halves", "h" * 64

    def detect(self, picture: Picture) -> Detections:
        width, height = picture.size
        boxes = np.array([[0, 0, width / 2, height], [width / 2, 0, width, height]], np.float32)
        return Detections(boxes, np.array([0.9, 0.6]), np.zeros((2, 0), np.float32))


class Colour:
    """Describes people by their mean colour."""

    similarity, dim, fingerprint, name = "euclidean", 3, "c" * 64, "colour"

    def embed(self, picture: Picture, boxes: Array) -> Array:
        rows = [
            picture.pixels[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))].mean(axis=(0, 1))
            for x1, y1, x2, y2 in boxes
        ]
        return np.array(rows, np.float32).reshape(-1, 3)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine test pictures and six training pictures the size of stamps."""
    settings = SyntheticSettings(
        train_identities=4, train_scenes=6, test_identities=6, test_scenes=9, size=(200, 150),
        bystanders=1.0, gallery_sizes=(6, 8), smallest=18,
    )  # fmt: skip
    return make_dataset(tmp_path_factory.mktemp("data") / "d", settings, workers=1)


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Path]]:
    """Every detector but gt finds halves, every embedder is the mean colour; who was asked for, and where."""
    asked: list[tuple[str, Path]] = []
    from personsearch.baselines import open as opening

    def detector(name: str, where: Any) -> Any:
        asked.append((name, where.parts))
        return opening.GroundTruth(where.scenes) if name == "gt" else Halves()

    def embedder(name: str, where: Any) -> Any:
        asked.append((name, where.parts))
        return Colour()

    for room in ("personsearch.baselines.open", "personsearch.experiments.baseline_table"):
        monkeypatch.setattr(f"{room}.open_detector", detector)
        monkeypatch.setattr(f"{room}.open_embedder", embedder)
    return asked


def said(ended: Any) -> dict[str, Any]:
    (line,) = ended.out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_a_pair_detects_indexes_and_searches(command, parts, photos: Path) -> None:
    pair = ("--model", "acf+bow", "--parts", "there")
    seen = command("detect", photos / "a.png", *pair, "--progress", "none")
    assert seen.code == 0, seen.err
    assert [person["score"] for person in said(seen)["people"]] == [0.9, 0.6]
    assert said(seen)["model"] == TwoStage(Halves(), Colour()).fingerprint
    gallery = photos.parent / "g"
    indexed = command("index", photos, "--gallery", gallery, *pair, "--progress", "none")
    assert said(indexed)["people"] == 6
    table = command("index", photos, "--gallery", gallery, *pair, "--progress", "none", "--format", "table")
    assert "--model acf+bow" in table.out
    assert "--parts there" in table.out
    found = command("search", "-q", photos / "a.png", "--box", "0,0,100,100", "-g", gallery, *pair)
    assert found.code == 0, found.err
    assert len(said(found)["hits"]) == 2
    assert set(parts) == {("acf", Path("there")), ("bow", Path("there"))}


@pytest.mark.parametrize("verb", ["detect", "index", "search"])
def test_gt_on_pictures_without_annotation_is_one_clear_error(command, photos: Path, verb: str) -> None:
    words: dict[str, tuple[Any, ...]] = {
        "detect": (photos,),
        "index": (photos, "--gallery", photos.parent / "g"),
        "search": ("-q", photos / "a.png", "--box", "0,0,100,100", "-g", photos.parent / "g"),
    }
    if verb == "search":
        from personsearch.gallery.gallery import Gallery

        Gallery.create(photos.parent / "g", "f" * 64, 3, "euclidean", None).close()
    ended = command(verb, *words[verb], "--model", "gt+bow")
    assert ended.code == 2
    assert ended.errors == ["error: gt needs annotated pictures: it finds nobody in others"]
    assert "personsearch evaluate --dataset" in ended.err
    if verb == "index":
        assert not (photos.parent / "g").exists()


def test_names_that_are_none_are_said(command, photos: Path) -> None:
    for name, what in (
        ("acf", "finds people, but describes nobody"),
        ("hug+bow", "there is no detector or embedder called 'hug'"),
        ("none", "there is no model folder at none"),
    ):
        ended = command("detect", photos, "--model", name)
        assert ended.code in (2, 4)
        assert len(ended.errors) == 1
        assert what in ended.errors[0]
    assert "did you mean hog?" in command("detect", photos, "--model", "hug+bow").err


def test_evaluate_takes_a_pair_and_gt_knows_the_data_set(command, parts, root: Path, tmp_path: Path) -> None:
    data = ("--dataset", "synthetic", "--root", root, "--progress", "none")
    missing = command("evaluate", "--model", "gt+bow", *data)
    assert missing.code == 2
    assert "--out is missing" in missing.errors[0]
    ended = command("evaluate", "--model", "gt+bow", *data, "--gallery-size", "8", "--out", tmp_path)
    assert ended.code == 0, ended.err
    assert said(ended)["detection"]["recall"] == 1
    assert len(list(tmp_path.glob("features-*.npz"))) == 1
    other = command("evaluate", "--model", "deep+bow", *data, "--out", tmp_path, "--detection")
    assert other.code == 0, other.err
    assert said(other)["recall"] < 1


def test_the_table_for_people_and_for_programs(command, parts, root: Path, tmp_path: Path) -> None:
    words = ("--dataset", "synthetic", "--root", root, "--gallery-size", "8", "--progress", "none")
    first = command("baselines", "evaluate", *words, "--parts", "there", "--out", tmp_path / "t")
    assert first.code == 0, first.err
    record = said(first)
    assert record["schema"] == "personsearch.baselines/1"
    assert len(record["cells"]) == 12
    assert record["joint"] is None
    whole = json.loads((tmp_path / "t" / "table.json").read_text())
    assert whole["cells"][0]["ap_per_query"]
    assert (tmp_path / "t" / "precision-recall.png").read_bytes()[:4] == b"\x89PNG"
    # acf and deep are one and the same here, so nothing between them can be decided
    claims = {(one["better"], one["worse"]): one["verdict"] for one in whole["order"]}
    assert claims["deep+bow", "acf+bow"] == "undecided"
    assert ("acf", Path("there")) in parts
    some = command(
        "baselines",
        "evaluate",
        *words,
        "--out",
        tmp_path / "t",
        "--only",
        "gt,bow,idnet",
        "--format",
        "table",
    )
    assert some.code == 0, some.err
    lines = some.out.splitlines()
    assert any(line.startswith("gt + bow") for line in lines)
    assert not any(line.startswith("acf") for line in lines)
    assert "the paper's order holds in" in some.out
    wrong = command("baselines", "evaluate", *words, "--out", tmp_path / "t", "--only", "gt,bwo")
    assert wrong.code == 2
    assert "no row or column 'bwo'" in wrong.errors[0]


def test_training_says_what_it_did(command, root: Path, tmp_path: Path, monkeypatch) -> None:
    from personsearch.experiments import baseline_training
    from personsearch.experiments.baseline_training import TrainedPart, TrainedParts

    def train(scenes: Any, out: Path, preset: str, **words: Any) -> TrainedParts:
        assert len(scenes) == 6
        assert (preset, words["only"], words["seed"]) == ("tiny", ("bow", "deep"), 5)
        assert words["source"] == {"dataset": "synthetic", "root": str(root.resolve())}
        words["say"]("bow: begins")
        parts = [
            TrainedPart(kind="bow", folder=out / "bow", fingerprint="a" * 64, seconds=2.0, skipped=False)
        ]
        return TrainedParts(parts=tuple(parts), capacity={"deep": 5, "idnet": 9, "joint": 10})

    monkeypatch.setattr(baseline_training, "train_baselines", train)
    words = ("--dataset", "synthetic", "--root", root, "--out", tmp_path / "b", "--preset", "tiny")
    ended = command("baselines", "train", *words, "--only", "bow, deep", "--seed", "5")
    assert ended.code == 0, ended.err
    assert said(ended)["parts"][0]["part"] == "bow"
    assert "== bow: begins" in ended.err
    table = command("baselines", "train", *words, "--only", "bow,deep", "--seed", "5", "--format", "table")
    assert "idnet has 9 weights, 90% of the joint network's 10" in table.out
    assert "next: personsearch baselines evaluate --dataset synthetic" in table.out


@pytest.mark.long
def test_the_whole_table_on_a_tiny_world(command: Callable[..., Any], tmp_path: Path) -> None:
    """All six parts really trained, all twelve cells really filled, and both skipped the second time."""
    assert (
        command("dataset", "make", "--preset", "tiny", "--out", tmp_path / "d", "--progress", "none").code
        == 0
    )
    data = ("--dataset", "synthetic", "--root", tmp_path / "d", "--progress", "none")
    parts, out = tmp_path / "b", tmp_path / "t"
    first = command("baselines", "train", *data, "--preset", "tiny", "--out", parts, "--device", "cpu")
    assert first.code == 0, first.err
    assert [one["part"] for one in said(first)["parts"]] == [
        "acf",
        "deep",
        "euclidean",
        "kissme",
        "bow",
        "idnet",
    ]
    again = said(command("baselines", "train", *data, "--preset", "tiny", "--out", parts, "--device", "cpu"))
    assert all(one["skipped"] for one in again["parts"])
    words = ("baselines", "evaluate", *data, "--parts", parts, "--out", out, "--gallery-size", "6")
    table = command(*words, "--device", "cpu")
    assert table.code == 0, table.err
    cells = {(one["detector"], one["embedder"]): one for one in said(table)["cells"]}
    assert len(cells) == 12
    assert all(0 <= one["mAP"] <= 1 for one in cells.values())
    assert min(cells["gt", method]["mAP"] for method in ("euclidean", "kissme", "bow")) > 0.2
    assert said(command(*words, "--device", "cpu"))["cells"] == said(table)["cells"]
    pair = ("--model", "acf+kissme", "--parts", parts, "--out", out, "--gallery-size", "6")
    alone = said(command("evaluate", *data, *pair, "--device", "cpu"))
    assert alone["mAP"] == cells["acf", "kissme"]["mAP"]
