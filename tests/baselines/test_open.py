"""Names of models: what each opens, and what is said of those that open nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personsearch.baselines.ground_truth import GroundTruth
from personsearch.baselines.open import Where, open_detector, open_embedder, open_searcher, split_pair
from personsearch.baselines.parts import save_part
from personsearch.baselines.two_stage import TwoStage
from personsearch.errors import InputError, PersonSearchError, UsageError
from personsearch.model.checkpoint import save_model
from personsearch.model.presets import CropSettings, build_network, compact_tiny, detector, embedder
from personsearch.model.searcher import NetworkDetector, NetworkEmbedder, NetworkSearcher
from personsearch.types import Picture, Scene

TINY = dataclasses.replace(compact_tiny(), identities=3)
SCENES = (Scene("a", boxes=[[5, 5, 25, 60]], people=[0]),)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``deep``, ``idnet`` and a joint model, untrained."""
    folder = tmp_path_factory.mktemp("parts")
    crop = CropSettings(size=(64, 32))
    for name, made in (("deep", detector(TINY)), ("idnet", embedder(TINY, crop)), ("joint", TINY)):
        save_model(folder / name, build_network(made), made)
    save_part(folder / "strange", "martian", {}, {"a": np.zeros(1)})
    return folder


@pytest.fixture
def where(parts: Path) -> Where:
    return Where(parts=parts, device="cpu", scenes=SCENES)


def told(caught: pytest.ExceptionInfo[PersonSearchError]) -> str:
    return f"{caught.value} | {caught.value.hint}"


def test_pairs_of_trained_parts_by_name_and_by_path(where: Where, parts: Path) -> None:
    by_name = open_searcher("deep+idnet", where)
    by_path = open_searcher(f"{parts / 'deep'}+{parts / 'idnet'}", where)
    assert isinstance(by_name, TwoStage)
    assert isinstance(by_name.detector, NetworkDetector)
    assert isinstance(by_name.embedder, NetworkEmbedder)
    assert by_name.name == "deep+idnet"
    assert by_name.fingerprint == by_path.fingerprint
    picture = Picture(np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8), "a")
    seen = by_name.detect(picture)
    assert np.allclose(seen.embeddings, by_path.embed(picture, seen.boxes), atol=1e-5)


def test_a_joint_model_alone_and_as_either_part(where: Where, parts: Path) -> None:
    joint = str(parts / "joint")
    assert isinstance(open_searcher(joint, where), NetworkSearcher)
    assert isinstance(open_searcher(parts / "joint", where), NetworkSearcher)
    pair = open_searcher(f"gt+{joint}", where)
    assert isinstance(pair.detector, GroundTruth)
    assert len(pair.detect(Picture(np.zeros((90, 120, 3), np.uint8), "a"))) == 1
    assert isinstance(open_detector(joint, where), NetworkSearcher)


def test_folders_may_have_a_plus_in_their_name(
    where: Where, parts: Path, tmp_path: Path, monkeypatch
) -> None:
    (tmp_path / "a+b").symlink_to(parts / "joint", target_is_directory=True)
    (tmp_path / "c+d").symlink_to(parts / "idnet", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    assert isinstance(open_searcher("a+b", where), NetworkSearcher)
    assert split_pair("gt+c+d") == ("gt", "c+d")
    assert isinstance(open_searcher("gt+c+d", where), TwoStage)
    with pytest.raises(UsageError, match="names no detector and embedder"):
        split_pair("x+y+z")
    (tmp_path / "gt+c").mkdir()
    (tmp_path / "d").mkdir()
    with pytest.raises(UsageError, match="in several ways"):
        split_pair("gt+c+d")


def test_onnx_torchvision_and_timm_get_what_is_behind_the_colon(where: Where, monkeypatch) -> None:
    asked: list[Any] = []

    def loader(kind: str) -> Any:
        def load(name: Any, device: str) -> Any:
            asked.append((kind, str(name), device))
            return GroundTruth(SCENES) if "detector" in kind else open_embedder("idnet", where)

        return load

    monkeypatch.setattr("personsearch.baselines.onnx_parts.load_onnx_detector", loader("onnx detector"))
    monkeypatch.setattr("personsearch.baselines.onnx_parts.load_onnx_embedder", loader("onnx embedder"))
    monkeypatch.setattr("personsearch.baselines.torchvision_detector.load_torchvision", loader("tv detector"))
    monkeypatch.setattr("personsearch.baselines.timm_embedder.load_timm", loader("timm embedder"))
    open_searcher("onnx:x/a.onnx+onnx:b.onnx", where)
    open_searcher("torchvision:fcos+timm:vit.a", where)
    assert asked == [
        ("onnx detector", "x/a.onnx", "cpu"),
        ("onnx embedder", "b.onnx", "cpu"),
        ("tv detector", "fcos", "cpu"),
        ("timm embedder", "vit.a", "cpu"),
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("acf", "finds people, but describes nobody | write DETECTOR+EMBEDDER, as in acf+bow"),
        ("bow", "describes people, but does not find them | write DETECTOR+EMBEDDER, as in acf+bow"),
        ("timm:vit", "describes people, but does not find them"),
        ("onnx:a.onnx", "onnx:a.onnx is one part, which cannot search alone"),
        ("acf+", "lacks one side of the plus"),
        ("+bow", "lacks one side of the plus"),
        ("idnet+deep", "idnet describes people, but does not find them"),
        ("gt+gt", "gt finds people, but does not describe them"),
        ("gt+deep", "deep finds people, but does not describe them"),
        ("gt+torchvision:fcos", "torchvision:fcos finds people"),
        ("timm:vit+idnet", "timm:vit describes people"),
        ("afc+idnet", "no detector or embedder called 'afc' ... did you mean acf"),
        ("gt+idnett", "did you mean idnet"),
        ("gt+onnx:", "no detector or embedder called 'onnx:'"),
        ("gt+nothing/like/this", "and no folder of that path"),
    ],
)
def test_names_that_are_no_searcher_say_why(
    where: Where, name: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        open_searcher(name, where)
    for part in said.split(" ... "):
        assert part in told(caught)


def test_gt_without_annotation_is_said_before_any_picture(parts: Path) -> None:
    with pytest.raises(UsageError, match="gt needs annotated pictures") as caught:
        open_searcher("gt+idnet", Where(parts=parts))
    assert "personsearch evaluate" in caught.value.hint


def test_parts_that_are_not_there_or_not_known(where: Where, parts: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no trained acf in") as caught:
        open_searcher("acf+idnet", where)
    assert "personsearch baselines train --only acf" in caught.value.hint
    with pytest.raises(InputError, match="kind 'martian', which is unknown"):
        open_searcher(f"gt+{parts / 'strange'}", where)
    with pytest.raises(UsageError, match="is one part, which cannot search alone"):
        open_searcher(parts / "strange", where)
    with pytest.raises(InputError, match="there is no model folder at"):
        open_searcher(tmp_path / "none", where)
    (tmp_path / "config.json").write_text(json.dumps({"kind": 3}))
    with pytest.raises(InputError, match=r"is not of model format"):
        open_searcher(f"gt+{tmp_path}", where)
