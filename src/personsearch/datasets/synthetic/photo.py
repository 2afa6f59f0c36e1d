"""What the camera adds: tone, colour cast, blur, noise and compression."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from personsearch.types import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Tiles:
    """Noise drawn once a process and used at random offsets.

    Attributes:
        grain: (1024, 1024, 3) float32, unit deviation, nearly white.
        folds: (512, 512) float32, unit deviation, smooth and periodic: wrinkles.
        rough, smooth: (1280, 1280, 3) uint8 about 128: grain, and stains.
    """

    grain: Array
    folds: Array
    rough: Array
    smooth: Array


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one picture is taken: gain of red, green, blue; gamma; blur and noise; JPEG quality."""

    gain: tuple[float, float, float]
    gamma: float
    blur: float
    motion: float
    noise: float
    quality: int


@cache
def make_tiles() -> Tiles:
    """The noise every picture shares: always the same, so that a process draws it once."""
    rng = np.random.default_rng(20161)
    grain = rng.standard_normal((1024, 1024, 3), dtype=np.float32)

    def smooth(sigma: tuple[float, float]) -> Array:
        noise = np.tile(rng.standard_normal((512, 512), dtype=np.float32), (3, 3))
        blurred = cv2.GaussianBlur(noise, (0, 0), sigmaX=sigma[0], sigmaY=sigma[1])[512:1024, 512:1024]
        unit: Array = blurred / blurred.std()
        return unit

    rough = cv2.GaussianBlur(rng.standard_normal((1280, 1280), dtype=np.float32), (0, 0), 0.6)
    stains = 0.7 * smooth((40, 40)) + 0.3 * smooth((10, 10))
    return Tiles(
        grain=grain,
        folds=0.6 * smooth((5, 9)) + 0.4 * smooth((2, 3)),
        rough=_bytes(rough),
        smooth=_bytes(np.tile(stains, (3, 3))[:1280, :1280]),
    )


def _bytes(noise: Array) -> Array:
    """(h, w, 3) uint8 about 128 of noise (h, w) of about unit deviation."""
    grey = np.clip(128 + 60 * noise, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def cut_tile(tile: Array, rows: int, columns: int, rng: np.random.Generator) -> Array:
    """A random (rows, columns) piece of ``tile``, which is repeated when it is too small."""
    high, wide = tile.shape[:2]
    if rows > high or columns > wide:
        tile = np.tile(tile, (-(-rows // high), -(-columns // wide), *[1] * (tile.ndim - 2)))
        high, wide = tile.shape[:2]
    y, x = int(rng.integers(0, high - rows + 1)), int(rng.integers(0, wide - columns + 1))
    piece: Array = tile[y : y + rows, x : x + columns]
    return piece


def draw_look(rng: np.random.Generator) -> Look:
    """How a picture happens to be taken: casts and blur are moderate, now and then strong."""
    warm, tint = rng.normal(0, 0.035), rng.normal(0, 0.014)
    exposure = float(np.exp(rng.normal(0.03, 0.08)))
    return Look(
        gain=(exposure * (1 + warm), exposure * (1 + tint), exposure * (1 - warm)),
        gamma=float(np.exp(rng.normal(0, 0.07))),
        blur=float(rng.uniform(0.3, 0.75) if rng.random() < 0.88 else rng.uniform(0.75, 1.3)),
        motion=float(rng.uniform(2, 5) if rng.random() < 0.1 else 0),
        noise=float(rng.uniform(0.004, 0.02) if rng.random() < 0.8 else rng.uniform(0.02, 0.045)),
        quality=int(rng.integers(70, 95)),
    )


def develop(image: Array, look: Look, tiles: Tiles, rng: np.random.Generator) -> tuple[Array, int]:
    """(h, w, 3) uint8 of a display-colour ``image`` (float32, 0 to 1), and its JPEG quality."""
    rows, width = image.shape[:2]
    picture = cv2.GaussianBlur(cv2.convertScaleAbs(image, alpha=255), (0, 0), look.blur)
    if look.motion:
        length = int(look.motion) | 1
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1 / length
        picture = cv2.filter2D(picture, -1, kernel)
    levels = np.arange(256, dtype=np.float32) / 255
    curves = [np.clip(levels**look.gamma * gain, 0, 1) for gain in look.gain]
    toned: Array = cv2.LUT(picture, (np.stack(curves, axis=1)[None] * 255).astype(np.float32))
    toned += cut_tile(tiles.grain, rows, width, rng) * np.float32(look.noise * 255)
    np.clip(toned, 0, 255, out=toned)
    return (toned + np.float32(0.5)).astype(np.uint8), look.quality
