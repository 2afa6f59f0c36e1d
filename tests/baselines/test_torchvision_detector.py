"""torchvision's detectors with weights that lie here: random ones, written as torchvision's own are."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlparse

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from personsearch.baselines.torchvision_detector import TorchvisionDetector, load_torchvision
from personsearch.errors import InputError, UsageError
from personsearch.types import Picture

NAME = "ssdlite320_mobilenet_v3_large"  # the smallest


class Answers(nn.Module):
    """In the place of a detector: what it was asked, and an answer of three classes."""

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        self.asked = images
        boxes = torch.tensor([[1.0, 2, 11, 22], [5, 5, 15, 25], [20, 0, 60, 30], [1, 2, 11, 21]])
        return [
            {
                "boxes": boxes,
                "labels": torch.tensor([1, 3, 1, 1]),
                "scores": torch.tensor([0.4, 0.99, 0.8, 0.01]),
            }
        ]


def test_only_people_are_kept_best_first() -> None:
    network = Answers()
    detector = TorchvisionDetector(network, 1, fingerprint="f", name="n", device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    seen = detector.detect(Picture(pixels))
    assert seen.boxes.tolist() == [[20, 0, 40, 30], [1, 2, 11, 22]]
    assert seen.scores.tolist() == pytest.approx([0.8, 0.4])
    assert seen.embeddings.shape == (2, 0)
    assert np.allclose(network.asked[0].numpy(), pixels.transpose(2, 0, 1) / 255)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """torch's hub folder with the file that torchvision would have fetched."""
    home = tmp_path_factory.mktemp("hub")
    torch.manual_seed(0)
    network = models.get_model(NAME, weights=None, weights_backbone=None, num_classes=91)
    url = next(iter(models.get_model_weights(NAME))).url
    file = home / "checkpoints" / Path(urlparse(url).path).name
    file.parent.mkdir()
    torch.save(network.state_dict(), file)
    return file


def test_weights_in_the_cache_are_used(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(weights.parent.parent))
    detector = load_torchvision(NAME, "cpu")
    assert (detector.person, detector.name) == (1, f"torchvision:{NAME}")
    picture = Picture(np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8))
    seen = detector.detect(picture)
    assert seen.boxes.tolist() == detector.detect(picture).boxes.tolist()
    assert (np.diff(seen.scores) <= 0).all()
    assert (seen.boxes >= 0).all()
    assert (seen.boxes <= [120, 90, 120, 90]).all()
    content = weights.read_bytes()
    try:
        weights.write_bytes(content[:-100])
        with pytest.raises(InputError, match="does not hold the weights of"):
            load_torchvision(NAME, "cpu")
        torch.save({"other": torch.zeros(1)}, weights)
        with pytest.raises(InputError, match="does not hold the weights of"):
            load_torchvision(NAME, "cpu")
    finally:
        weights.write_bytes(content)


def test_nothing_is_downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite's guard would fail a download; the error names the file and where it is to be had."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(InputError, match=r"are not here: .*checkpoints.*\.pth is missing") as told:
        load_torchvision(NAME)
    assert "https://download.pytorch.org/" in told.value.hint


def test_names_that_are_none() -> None:
    with pytest.raises(UsageError, match="no detector called 'fasterrcnn_resnet50'") as told:
        load_torchvision("fasterrcnn_resnet50")
    assert "did you mean fasterrcnn_resnet50_fpn" in told.value.hint
