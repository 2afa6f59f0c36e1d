"""``personsearch export``: files that were checked, or none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from personsearch.cli.export import DRAWN_SIZES, drawn, fitted, read
from personsearch.errors import InputError
from personsearch.model.checkpoint import save_model
from personsearch.model.export_folder import QUERY
from personsearch.model.onnx_searcher import ONNX_KINDS
from personsearch.model.presets import ModelSettings, build_network, compact_tiny, detector, embedder
from personsearch.progress import silent
from personsearch.types import Detections


def model_of(folder: Path, settings: ModelSettings) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(folder, build_network(settings), settings)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An embedder, which is exported soonest."""
    return model_of(tmp_path / "model", embedder(dataclasses.replace(compact_tiny(), identities=5)))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(5):
        pixels = rng.integers(0, 256, (6 + i, 9, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")
    return tmp_path / "photos"


def test_exports_and_then_refuses_a_mistake(command, model, photos, tmp_path, monkeypatch) -> None:
    words = ("export", "--model", model, "--out", tmp_path / "onnx", "--pictures", photos, "--count", 3)
    ended = command(*words)
    assert (ended.code, ended.errors) == (0, [])
    record = json.loads(ended.out)
    assert record["schema"] == "personsearch.export/1"
    assert record["agrees"] is True
    assert record["parts"] == "embedder"
    assert record["files"] == [str(tmp_path / "onnx" / QUERY)]
    assert record["parity"]["pictures"] == 3
    assert record["parity"]["described"] == 15
    assert record["parity"]["cosine"] > 0.9999
    assert record["allowed"]["cosine"] == 0.9999

    # Another model's file in its place: the check is the command's, not the exporter's good will.
    other = build_network(embedder(dataclasses.replace(compact_tiny(), identities=5)))
    good = (tmp_path / "onnx" / QUERY).read_bytes()
    save_model(model, other, embedder(dataclasses.replace(compact_tiny(), identities=5)))
    monkeypatch.setattr("personsearch.model.export.onnx_bytes", lambda *_: good)
    ended = command(*words[:4], tmp_path / "bad", *words[5:], "--format", "table")
    assert ended.code == 1
    (error,) = ended.errors
    assert error.startswith("error: the export is not the model: an embedding is ")
    assert "cosine of embeddings" in ended.out
    assert list((tmp_path / "bad").iterdir()) == []
    loose = ("--min-cosine", -1, "--min-ranks", 0)
    ended = command(*words[:4], tmp_path / "bad", *words[5:], *loose)
    assert ended.code == 1
    record = json.loads(ended.out)
    assert record["agrees"] is False
    assert record["parity"]["embedding"] > 0.01
    assert record["allowed"]["ranks"] == 0

    ended = command(*words)
    assert ended.code == 2
    assert ended.errors == [f"error: {tmp_path / 'onnx'} holds the export of another model"]


def test_a_model_that_sees_nobody_is_not_checked_by_that(command, photos, tmp_path, monkeypatch) -> None:
    base = dataclasses.replace(compact_tiny(), identities=5)
    network = dataclasses.replace(
        base.network, detect=dataclasses.replace(base.network.detect, min_score=1.0)
    )
    model = model_of(tmp_path / "model", detector(dataclasses.replace(base, network=network)))

    class Blind:
        def __init__(self, *_, **__) -> None: ...

        def detect(self, picture):
            return Detections.none(0)

    monkeypatch.setattr("personsearch.model.export.onnx_bytes", lambda *_: b"-")
    monkeypatch.setitem(ONNX_KINDS, "detector", Blind)
    ended = command("export", "--model", model, "--out", tmp_path / "onnx", "--pictures", photos)
    assert ended.code == 1
    assert ended.errors == [
        "error: the export is not the model: nobody was seen in 5 pictures, which proves nothing"
    ]
    assert list((tmp_path / "onnx").iterdir()) == []


def test_what_cannot_be_meant(command, model, photos, tmp_path) -> None:
    given = ("export", "--model", model, "--out")
    assert command(*given, tmp_path / "onnx", "--pictures", tmp_path / "nowhere").code == 4
    assert command(*given, tmp_path / "onnx", "--count", 0).code == 2
    assert command(*given, model, "--pictures", photos).code == 2
    assert (
        command("export", "--model", tmp_path / "no", "--out", tmp_path / "onnx", "--pictures", photos).code
        == 4
    )
    (photos / "broken.png").write_bytes(b"no picture")
    ended = command(*given, tmp_path / "onnx", "--pictures", photos)
    assert ended.code == 4
    assert "broken.png" in ended.errors[0]
    assert not (tmp_path / "onnx").exists()


def test_generated_pictures_have_several_sizes_and_are_the_same_each_time() -> None:
    first, second = drawn(2, silent), drawn(2, silent)
    assert [picture.size for picture in first] == list(DRAWN_SIZES[:2])
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(first, second, strict=True))


def test_the_middle_of_a_picture_fills_the_size() -> None:
    pixels = np.arange(4 * 6, dtype=np.uint8).reshape(4, 6, 1).repeat(3, axis=2)
    assert fitted(pixels, (6, 4)).tolist() == pixels.tolist()
    assert fitted(pixels, (4, 4)).tolist() == pixels[:, 1:5].tolist()
    assert fitted(pixels, (6, 2)).tolist() == pixels[1:3].tolist()
    assert fitted(pixels, (5, 9)).shape == (9, 5, 3)


def test_a_folder_is_sampled_evenly(photos: Path) -> None:
    assert [Path(picture.name).name for picture in read(photos, 2, silent)] == ["0.png", "2.png"]
    assert len(read(photos, 9, silent)) == 5
    (photos.parent / "empty").mkdir()
    with pytest.raises(InputError, match="no picture"):
        read(photos.parent / "empty", 2, silent)
