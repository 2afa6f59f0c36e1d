"""A network as a Searcher: pixels of the picture outside, tensors inside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import InputError
from personsearch.model.inputs import input_scale, normalised, padded_batch, resized
from personsearch.model.network import Seen
from personsearch.model.searcher import NetworkSearcher, choose_device
from personsearch.types import Embedder, Picture, Searcher


class Echo(torch.nn.Module):
    """A network that finds one person as large as the picture, and remembers where it was asked to look."""

    def detect(self, images, sizes):
        height, width = sizes[0]
        self.shape = images.shape
        box = torch.tensor([[0.0, 0.0, width, height], [width / 4, height / 2, width / 2, height]])
        return [Seen(box, torch.tensor([0.9, 0.8]), torch.zeros(2, 16))]

    def describe(self, images, boxes):
        self.shape = images.shape
        (self.boxes,) = boxes
        return torch.zeros(len(self.boxes), 16)


def blank(width: int, height: int) -> Picture:
    return Picture(np.zeros((height, width, 3), np.uint8), name="blank")


@pytest.fixture(scope="module")
def echo(tiny_settings) -> NetworkSearcher:
    return NetworkSearcher(Echo(), tiny_settings, fingerprint="f", device="cpu")


def test_it_is_a_searcher(tiny_searcher) -> None:
    assert isinstance(tiny_searcher, Searcher)
    assert isinstance(tiny_searcher, Embedder)
    assert tiny_searcher.dim == tiny_searcher.settings.network.head.dim
    assert tiny_searcher.similarity == "cosine"
    assert tiny_searcher.calibration is None


SIDES = st.tuples(st.integers(1, 900), st.integers(1, 900)).filter(lambda s: 1 / 40 < s[0] / s[1] < 40)


@settings(max_examples=25, deadline=None)
@given(SIDES)
def test_boxes_come_back_in_picture_pixels(echo: NetworkSearcher, size: tuple[int, int]) -> None:
    """Whole sides of the input are whole sides of the picture, whatever was rounded on the way."""
    width, height = size
    seen = echo.detect(blank(width, height))
    assert seen.boxes.dtype == np.float32
    np.testing.assert_allclose(seen.boxes[0], [0, 0, width, height], rtol=1e-5)
    np.testing.assert_allclose(seen.boxes[1], [width / 4, height / 2, width / 2, height], rtol=1e-5)
    assert (seen.boxes <= [width, height, width, height]).all()


@settings(max_examples=25, deadline=None)
@given(SIDES)
def test_boxes_go_in_as_the_same_part_of_the_input(echo: NetworkSearcher, size: tuple[int, int]) -> None:
    width, height = size
    echo.embed(blank(width, height), np.array([[0, 0, width, height], [width / 4, 0, width / 2, height / 2]]))
    scaled = resized(blank(width, height).pixels, input_scale(size, echo.settings.input))
    h, w = scaled.shape[:2]
    np.testing.assert_allclose(
        echo.network.boxes.numpy(), [[0, 0, w, h], [w / 4, 0, w / 2, h / 2]], rtol=1e-5
    )
    multiple = echo.settings.input.multiple
    assert all(side % multiple == 0 for side in echo.network.shape[2:])


def test_detected_boxes_lie_in_the_picture(tiny_searcher, picture: Picture) -> None:
    seen = tiny_searcher.detect(picture)
    assert len(seen) > 0
    width, height = picture.size
    assert (seen.boxes >= 0).all()
    assert (seen.boxes <= [width, height, width, height]).all()
    assert (np.diff(seen.scores) <= 0).all()


def test_embed_describes_exactly_the_given_box(tiny_searcher, picture: Picture) -> None:
    """By hand: scale, pad, normalise, and the network's description at that very box."""
    box = np.array([50.5, 20.25, 120.75, 200.0], np.float32)
    source = tiny_searcher.settings.input
    small = resized(picture.pixels, input_scale(picture.size, source))
    batch, _ = padded_batch([small], source.multiple)
    ratio = small.shape[1] / picture.size[0], small.shape[0] / picture.size[1]
    scaled = torch.tensor([[box[0] * ratio[0], box[1] * ratio[1], box[2] * ratio[0], box[3] * ratio[1]]])
    with torch.no_grad():
        wanted = tiny_searcher.network.describe(normalised(batch, source), [scaled])
    got = tiny_searcher.embed(picture, box)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


def test_embeddings_are_raw_and_row_by_row(tiny_searcher, picture: Picture) -> None:
    boxes = np.array([[10, 10, 60, 150], [100, 30, 160, 220], [10, 10, 60, 150]], np.float32)
    rows = tiny_searcher.embed(picture, boxes)
    assert rows.shape == (3, 16)
    np.testing.assert_allclose(rows[0], rows[2], rtol=1e-5)
    np.testing.assert_allclose(tiny_searcher.embed(picture, boxes[1]), rows[1:2], rtol=1e-4, atol=1e-5)
    assert not np.allclose(np.linalg.norm(rows, axis=1), 1)


def test_no_boxes_no_rows(tiny_searcher, picture: Picture) -> None:
    assert tiny_searcher.embed(picture, np.zeros((0, 4))).shape == (0, 16)
    assert tiny_searcher.embed(picture, []).shape == (0, 16)


@pytest.mark.parametrize(
    "box",
    [
        [10, 10, 10, 50],  # no width
        [10, 50, 40, 50],  # no height
        [40, 10, 20, 50],  # inverted
        [5000, 10, 5100, 50],  # beside the picture
        [-50, -50, 0, 0],
        [float("nan"), 10, 40, 50],  # a NaN in pooling is a crash of the process, not an error
        [10, 10, float("inf"), 50],
    ],
)
def test_a_box_without_area_in_the_picture_is_one_clear_error(tiny_searcher, picture: Picture, box) -> None:
    good = [10, 10, 40, 90]
    with pytest.raises(InputError, match="patches") as caught:
        tiny_searcher.embed(picture, np.array([good, box], np.float32))
    assert caught.value.hint
    assert "\n" not in str(caught.value)


def test_a_box_partly_outside_is_described(tiny_searcher, picture: Picture) -> None:
    assert np.isfinite(tiny_searcher.embed(picture, [[-5, -5, 60, 300]])).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 1000), (1000, 3), (33, 17)])
def test_tiny_and_narrow_pictures(tiny_searcher, size: tuple[int, int]) -> None:
    seen = tiny_searcher.detect(blank(*size))
    assert np.isfinite(seen.boxes).all()
    assert tiny_searcher.embed(blank(*size), [[0, 0, *size]]).shape == (1, 16)


def test_padding_is_hardly_felt(tiny_searcher, picture: Picture) -> None:
    """Another 64 pixels of padding move nobody by much: what is there decides, not the frame."""
    source = tiny_searcher.settings.input
    small = resized(picture.pixels, input_scale(picture.size, source))
    box = torch.tensor([[20.0, 20, 90, 150], [100, 40, 160, 170]])
    rows = []
    for more in (0, 64):
        batch, _ = padded_batch([small], source.multiple)
        mean = torch.from_numpy(small.mean(axis=(0, 1)).astype(np.uint8))
        wide = mean.view(1, 3, 1, 1).repeat(1, 1, batch.shape[2] + more, batch.shape[3] + more)
        wide[:, :, : batch.shape[2], : batch.shape[3]] = batch
        rows.append(tiny_searcher.network.describe(normalised(wide, source), [box]))
    moved = (rows[0] - rows[1]).norm(dim=1) / rows[0].norm(dim=1)
    assert (moved < 0.05).all()


def test_the_network_is_left_in_test_mode_and_deterministic(tiny_searcher, picture: Picture) -> None:
    assert not tiny_searcher.network.training
    one, two = tiny_searcher.detect(picture), tiny_searcher.detect(picture)
    assert np.array_equal(one.boxes, two.boxes)
    assert np.array_equal(one.embeddings, two.embeddings)


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for wrong in ("gpu", "cuda:99", ""):
        with pytest.raises(InputError, match="device"):
            choose_device(wrong)
