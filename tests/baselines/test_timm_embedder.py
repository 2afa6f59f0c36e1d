"""timm's models with weights that lie here: random ones, in a cache laid out as huggingface_hub's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from personsearch.baselines import timm_embedder
from personsearch.baselines.timm_embedder import TimmEmbedder, load_timm
from personsearch.errors import InputError, UsageError
from personsearch.types import Embedder, Picture

NAME = "mobilenetv3_small_050.lamb_in1k"


class Means(nn.Module):
    """In the place of a network: the mean of each channel."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


def means() -> TimmEmbedder:
    return TimmEmbedder(
        Means(),
        size=(8, 4),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.25),
        fingerprint="f",
        name="n",
        device="cpu",
    )


def test_crops_are_stretched_and_normalised() -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30], pixels[:, 30:] = (255, 0, 255), (0, 255, 0)
    found = means().embed(Picture(pixels), np.array([[32, 2, 58, 38], [2, 2, 28, 38.0]]))
    assert np.allclose(found, [[-1, 1, -2], [1, -1, 2]], atol=1e-5)
    assert isinstance(means(), Embedder)
    assert (means().dim, means().embed(Picture(pixels), np.zeros((0, 4))).shape) == (3, (0, 3))


def test_many_people_are_described_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((10, 200, 3), np.uint8)
    pixels[...] = np.arange(200)[None, :, None]
    boxes = np.array([[9 * i, 0, 9 * i + 8, 10] for i in range(7)], np.float32)
    whole = means().embed(Picture(pixels), boxes)
    monkeypatch.setattr(timm_embedder, "CROPS_AT_ONCE", 3)
    assert np.array_equal(means().embed(Picture(pixels), boxes), whole)
    assert (np.diff(whole[:, 0]) > 0).all()


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(timm_embedder, "import_module", missing)
    with pytest.raises(UsageError, match="timm:resnet18 needs the package timm") as told:
        load_timm("resnet18")
    assert "personsearch[timm]" in told.value.hint


class TestWithTimm:
    """timm is an extra; where it is not installed these are skipped."""

    @pytest.fixture(autouse=True)
    def _timm(self) -> None:
        pytest.importorskip("timm")

    def test_weights_in_the_cache_are_used(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import timm
        from safetensors.torch import save_file

        torch.manual_seed(0)
        file = tmp_path / "model.safetensors"
        network = timm.create_model(NAME, pretrained=False)
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, str(file))
        asked = []

        def cached(hub: Any, repository: str) -> Path:
            asked.append(repository)
            return file

        monkeypatch.setattr(timm_embedder, "_cached", cached)
        one = load_timm(NAME, "cpu")
        assert asked == [f"timm/{NAME}"]
        picture = Picture(np.random.default_rng(0).integers(0, 256, (90, 60, 3), dtype=np.uint8))
        boxes = np.array([[0, 0, 30, 80], [20, 5, 60, 90.0]])
        found = one.embed(picture, boxes)
        assert found.shape == (2, one.dim) == (2, 1024)
        assert not np.allclose(found[0], found[1])
        assert np.allclose(one.embed(picture, boxes[::-1]), found[::-1], atol=1e-4)
        file.write_bytes(file.read_bytes()[:-9])
        with pytest.raises(InputError, match="does not hold the weights of"):
            load_timm(NAME, "cpu")

    def test_the_cache_is_huggingface_hubs(self, tmp_path: Path) -> None:
        import huggingface_hub

        class Hub:
            @staticmethod
            def try_to_load_from_cache(repository: str, file: str) -> Any:
                return huggingface_hub.try_to_load_from_cache(repository, file, cache_dir=tmp_path)

        assert timm_embedder._cached(Hub, "timm/x") is None
        folder = tmp_path / "models--timm--x"
        for path, text in (("refs/main", "abc"), ("snapshots/abc/model.safetensors", "weights")):
            (folder / path).parent.mkdir(parents=True)
            (folder / path).write_text(text)
        assert timm_embedder._cached(Hub, "timm/x") == folder / "snapshots/abc/model.safetensors"

    def test_nothing_is_downloaded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timm_embedder, "_cached", lambda hub, repository: None)
        with pytest.raises(InputError, match=r"the weights of timm's .* are not here") as told:
            load_timm(NAME)
        assert f"hf download timm/{NAME}" in told.value.hint

    @pytest.mark.parametrize(
        ("name", "said", "hint"),
        [
            ("resnet1888", "no model called 'resnet1888'", "did you mean resnet18"),
            ("resnet18.nobodys", "no weights for 'resnet18.nobodys'", "list_pretrained"),
        ],
    )
    def test_names_that_are_none(self, name: str, said: str, hint: str) -> None:
        with pytest.raises(UsageError, match=said) as told:
            load_timm(name)
        assert hint in told.value.hint
