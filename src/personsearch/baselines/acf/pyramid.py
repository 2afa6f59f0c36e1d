"""The channels of a picture at every scale, most of them not computed but predicted.

Only whole octaves are computed from resized pictures. Between them a channel is resized instead,
and multiplied by a power of the ratio of the scales: how a channel's mean changes with scale is
a law of pictures in general, estimated once (:func:`estimate_power`).

All scales lie on one canvas, so that one offset of a feature is right for every window of
every scale, and trees can be evaluated over all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from personsearch.baselines.acf.channels import CHANNELS, COLOURS, GAINS, aggregated_channels, smoothed
from personsearch.baselines.acf.settings import CELL, AcfSettings
from personsearch.types import Array

PAD = 4
"""Cells around every scale, for people at the picture's edge: colours go on there, nothing changes."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """One scale of a pyramid on its canvas.

    Attributes:
        scale: (x, y) size of the level's pixels in picture pixels' stead: level = scale * picture.
        octave: the octave whose channels it was made of; 0 is the picture, 1 half of it, -1 its double.
        top, left: of its padded cells on the canvas.
        rows, columns: of its padded cells.
    """

    scale: tuple[float, float]
    octave: int
    top: int
    left: int
    rows: int
    columns: int


@dataclass(frozen=True, eq=False)
class Pyramid:
    """All scales of one picture.

    Attributes:
        planes: (10, rows, columns) uint8, the canvas.
        levels: where which scale lies, finest first.
        cells: (rows, columns) of a window.
    """

    planes: Array
    levels: tuple[Level, ...]
    cells: tuple[int, int]

    @cached_property
    def windows(self) -> Array:
        """(n,) int64 places of every window: row * canvas columns + column of its upper left cell."""
        rows, columns = self.cells
        places = [np.zeros(0, np.int64)]
        for level in self.levels:
            y = level.top + np.arange(level.rows - rows + 1)
            x = level.left + np.arange(level.columns - columns + 1)
            places.append((y[:, None] * self.planes.shape[2] + x).ravel())
        return np.concatenate(places)

    def offsets(self, features: Array) -> Array:
        """How far, in the flat canvas, ``features`` lie from a window's place; same shape, int64.

        Feature ``(channel * rows + row) * columns + column`` is one cell of the window.
        """
        rows, columns = self.cells
        channel, cell = np.divmod(np.asarray(features, np.int64), rows * columns)
        row, column = np.divmod(cell, columns)
        found: Array = (channel * self.planes.shape[1] + row) * self.planes.shape[2] + column
        return found

    def features(self, places: Array) -> Array:
        """(n, 10 * rows * columns) uint8 of the windows at ``places``."""
        every = self.offsets(np.arange(CHANNELS * self.cells[0] * self.cells[1]))
        found: Array = self.planes.reshape(-1)[places[:, None] + every]
        return found

    def boxes(self, places: Array, person: tuple[float, float]) -> Array:
        """(n, 4) float32 boxes, picture pixels, of a ``person`` (width, height) amid each of ``places``."""
        y, x = np.divmod(places, self.planes.shape[2])
        boxes = np.zeros((len(places), 4), np.float64)
        rows, columns = self.cells
        for level in self.levels:
            inside = (y >= level.top) & (y < level.top + level.rows)
            inside &= (x >= level.left) & (x < level.left + level.columns)
            middle_x = (x[inside] - level.left - PAD + columns / 2) * CELL
            middle_y = (y[inside] - level.top - PAD + rows / 2) * CELL
            for side, (middle, scale) in enumerate(zip((middle_x, middle_y), level.scale, strict=True)):
                boxes[inside, side] = (middle - person[side] / 2) / scale
                boxes[inside, side + 2] = (middle + person[side] / 2) / scale
        return boxes.astype(np.float32)


def build_pyramid(pixels: Array, settings: AcfSettings, power: float, *, exact: bool = False) -> Pyramid:
    """The pyramid of a picture, from people as high as the settings say up to people as high as the picture.

    Args:
        pixels: (h, w, 3) uint8 RGB of any size; a side that is no whole number of cells is
            filled up with its last pixels.
        settings: window, person and scales.
        power: gradients at scale s are ``s ** -power`` times those of the picture; colours do not change.
        exact: resize the picture and compute the channels at every scale. Slow: to test against.

    Source: Dollár et al. (TPAMI 2014), section 5.
    """
    plan = _scales(pixels.shape[0], settings)
    octaves = _Octaves(pixels)
    made: list[tuple[list[Array], tuple[float, float], int]] = []
    for step in plan:
        octave = _nearest_octave(step, settings.scales_per_octave)
        ratio = 2.0 ** (octave - step / settings.scales_per_octave)
        source = octaves.channels(octave)
        rows, columns = (max(round(side * ratio), 1) for side in source.shape[1:])
        if rows + 2 * PAD < settings.cells[0] or columns + 2 * PAD < settings.cells[1]:
            break
        ratios = (columns / source.shape[2], rows / source.shape[1])
        scale = (ratios[0] * 2.0**-octave, ratios[1] * 2.0**-octave)
        if exact and ratio != 1:
            channels = octaves.resized(octave, (columns * CELL, rows * CELL))
            factors = np.ones(CHANNELS)
        else:
            channels = [_resized(plane, (columns, rows)) for plane in source]
            factors = _factors((ratios[0] * ratios[1]) ** 0.5, power)
        made.append((_finished(channels, factors), scale, octave))
    return _on_canvas(made, settings.cells)


def estimate_power(pictures: Iterable[Array]) -> float:
    """The exponent by which gradients change with scale in ``pictures``, (h, w, 3) uint8 RGB each.

    At scale s their mean is ``s ** -power`` times what it is in the picture itself: a line through
    the origin, in logarithms, fitted to the mean ratio over two octaves of scales. The six
    orientations sum to the magnitude, so that one exponent is right for all. Pictures less than
    64 pixels wide or high, or without any change in them, say nothing about it.

    Raises:
        ValueError: no picture says anything.

    Source: Dollár et al. (TPAMI 2014), section 4.
    """
    steps = np.arange(1, 9) / 4
    ratios: list[Array] = []
    for pixels in pictures:
        if min(pixels.shape[:2]) < 64:
            continue
        means = np.array([_mean_gradient(pixels, 2.0**-step) for step in (0, *steps)])
        if means[0] > 0:
            ratios.append(means[1:] / means[0])
    if not ratios:
        raise ValueError("no picture is large enough, and changes enough, to tell how channels scale")
    mean = np.log2(np.maximum(np.mean(ratios, axis=0), 1e-6))
    return float((steps * mean).sum() / (steps**2).sum())


def _mean_gradient(pixels: Array, scale: float) -> float:
    """The mean of the exact gradient magnitude at ``scale``, over whole cells."""
    size = tuple(round(side * scale / CELL) * CELL for side in pixels.shape[1::-1])
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return float(aggregated_channels(resized)[COLOURS].mean(dtype=np.float64))


def _scales(height: int, settings: AcfSettings) -> range:
    """Steps of scale, ``2 ** -(step / scales_per_octave)``, from the finest on."""
    first = -settings.octaves_up * settings.scales_per_octave
    last = int(np.floor(settings.scales_per_octave * np.log2(max(height / settings.person_height, 1)) + 1e-9))
    return range(first, max(last, first) + 1)


def _nearest_octave(step: int, per_octave: int) -> int:
    """The octave nearest in scale, the finer of two."""
    return int(np.ceil(step / per_octave - 0.5))


def _factors(ratio: float, power: float) -> Array:
    """(10,) what to multiply channels with when they are resized by ``ratio``."""
    factors: Array = ratio ** -np.array([0.0] * COLOURS + [power] * (CHANNELS - COLOURS))
    return factors


def _resized(plane: Array, size: tuple[int, int]) -> Array:
    if plane.shape == size[::-1]:
        return plane
    resized: Array = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR)
    return resized


def _finished(channels: Iterable[Array], factors: Array) -> list[Array]:
    """Padded, smoothed and put into 8 bits."""
    finished = []
    for number, (plane, gain) in enumerate(zip(channels, GAINS * factors, strict=True)):
        edge = cv2.BORDER_REPLICATE if number < COLOURS else cv2.BORDER_CONSTANT
        padded = cv2.copyMakeBorder(plane, PAD, PAD, PAD, PAD, edge)
        finished.append(cv2.convertScaleAbs(smoothed(padded), alpha=gain))
    return finished


def window_features(pixels: Array, settings: AcfSettings) -> Array:
    """(10 * rows * columns,) uint8 features of one window, with :data:`PAD` cells of ``pixels`` around it.

    Args:
        pixels: (window height + 32, window width + 32, 3) uint8 RGB.
    """
    rows, columns = settings.cells
    inner = slice(PAD, PAD + rows), slice(PAD, PAD + columns)
    planes = [smoothed(plane)[inner] for plane in aggregated_channels(pixels)]
    eight = [cv2.convertScaleAbs(plane, alpha=gain) for plane, gain in zip(planes, GAINS, strict=True)]
    return np.stack(eight).reshape(-1)


def _on_canvas(
    made: Sequence[tuple[list[Array], tuple[float, float], int]], cells: tuple[int, int]
) -> Pyramid:
    """The finished scales, side by side where there is room, finest first."""
    width = made[0][0][0].shape[1] if made else cells[1]
    levels: list[Level] = []
    top = left = height = 0
    for planes, scale, octave in made:
        rows, columns = planes[0].shape
        if left + columns > width:
            top, left, height = top + height, 0, 0
        levels.append(Level(scale=scale, octave=octave, top=top, left=left, rows=rows, columns=columns))
        left, height = left + columns, max(height, rows)
    canvas = np.zeros((CHANNELS, max(top + height, cells[0]), width), np.uint8)
    for level, (planes, _, _) in zip(levels, made, strict=True):
        for number, plane in enumerate(planes):
            part = canvas[number, level.top : level.top + level.rows]
            part[:, level.left : level.left + level.columns] = plane
    return Pyramid(canvas, tuple(levels), cells)


class _Octaves:
    """The octaves of one picture and their channels, each made once."""

    def __init__(self, pixels: Array) -> None:
        self._picture = pixels
        self._channels: dict[int, Array] = {}

    def channels(self, octave: int) -> Array:
        """The channels of the picture at ``2 ** -octave``."""
        if octave not in self._channels:
            filled = self._filled(octave)
            rows, columns = (int(side * 2.0**-octave) for side in filled.shape[:2])
            self._channels[octave] = aggregated_channels(_picture_at(filled, (columns, rows)))
        return self._channels[octave]

    def resized(self, octave: int, size: tuple[int, int]) -> list[Array]:
        """The channels of what ``octave`` shows, from the picture resized to ``size`` (width, height)."""
        return list(aggregated_channels(_picture_at(self._filled(octave), size)))

    def _filled(self, octave: int) -> Array:
        """The picture, grown to the right and down so that its octave has whole cells."""
        whole = max(CELL << octave, 1) if octave >= 0 else CELL >> -octave
        height, width = self._picture.shape[:2]
        down, right = -height % whole, -width % whole
        if not down and not right:
            return self._picture
        grown: Array = cv2.copyMakeBorder(self._picture, 0, down, 0, right, cv2.BORDER_REPLICATE)
        return grown


def _picture_at(pixels: Array, size: tuple[int, int]) -> Array:
    if pixels.shape[1::-1] == size:
        return pixels
    smaller = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
    resized: Array = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return resized
