"""The border between pictures and tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from personsearch.model.inputs import input_scale, normalised, padded_batch, resized
from personsearch.model.presets import CAFFE, InputSettings


@pytest.mark.parametrize(
    ("size", "scale"),
    [
        ((800, 600), 1.0),
        ((600, 800), 1.0),  # the short side counts, lying or standing
        ((400, 300), 2.0),  # small pictures grow
        ((1920, 1080), 1000 / 1920),  # 600/1080 would make the long side 1067
        ((1000, 600), 1.0),
        ((4000, 600), 0.25),
    ],
)
def test_scale_worked_by_hand(size: tuple[int, int], scale: float) -> None:
    assert input_scale(size, InputSettings()) == pytest.approx(scale)


def test_sides_after_scaling() -> None:
    pixels = np.zeros((1080, 1920, 3), np.uint8)
    assert resized(pixels, 1000 / 1920).shape == (562, 1000, 3)  # 562.5 to even
    assert resized(pixels, 1.0) is pixels
    assert resized(np.zeros((3, 1000, 3), np.uint8), 0.1).shape == (1, 100, 3)  # never a side of 0


def test_shrinking_averages_and_growing_interpolates() -> None:
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (resized(stripes, 0.5) == 100).all()  # not every second column
    ramp = np.repeat(np.array([[0, 100]], np.uint8)[..., None], 3, axis=2)
    assert resized(ramp, 2.0)[0, :, 0].tolist() == [0, 25, 75, 100]


def test_normalisation_worked_by_hand() -> None:
    """(pixel - 255 mean) / (255 deviation), channel by channel."""
    settings = InputSettings(mean=(0.2, 0.4, 0.6), std=(0.1, 0.2, 0.4))
    images = torch.tensor([51, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    torch.testing.assert_close(
        normalised(images, settings).flatten(), torch.tensor([0.0, -1.0, 1.0]), atol=1e-6, rtol=0
    )


def test_padding_is_right_and_below_in_the_pictures_mean_colour() -> None:
    one = np.full((20, 30, 3), (10, 20, 30), np.uint8)
    two = np.zeros((33, 10, 3), np.uint8)
    two[:, 5:] = 100
    batch, sizes = padded_batch([one, two], 16)
    assert batch.shape == (2, 3, 48, 32)
    assert batch.dtype == torch.uint8
    assert sizes == [(20, 30), (33, 10)]
    for i, picture in enumerate((one, two)):
        h, w = picture.shape[:2]
        rows = batch[i].permute(1, 2, 0).numpy()
        assert (rows[:h, :w] == picture).all()
        mean = picture.reshape(-1, 3).mean(axis=0).astype(np.uint8)
        assert (rows[h:] == mean).all()
        assert (rows[:, w:] == mean).all()


def test_a_picture_that_fits_is_not_padded() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    batch, sizes = padded_batch([pixels], 32)
    assert (batch[0].permute(1, 2, 0).numpy() == pixels).all()
    assert sizes == [(32, 64)]


def test_the_authors_way_is_bgr_minus_three_means() -> None:
    """Pixels 10, 20, 30 (red, green, blue): blue first, 30 - 102.9801 and so on, divided by nothing."""
    images = torch.tensor([10, 20, 30], dtype=torch.uint8).view(1, 3, 1, 1)
    wanted = torch.tensor([30 - 102.9801, 20 - 115.9465, 10 - 122.7717])
    torch.testing.assert_close(normalised(images, CAFFE).flatten(), wanted, atol=1e-4, rtol=0)
