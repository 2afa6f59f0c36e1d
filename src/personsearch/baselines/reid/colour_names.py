"""What share of a colour is black, blue, brown ...: the eleven basic colour terms of English.

Two tables of one form, (32, 32, 32, 11) by red, green and blue divided by 8: one computed here from
published focal colours, and the one that was learned by van de Weijer et al. ("Learning Color Names
for Real-World Applications", TIP 2009), for those who have its file.

Sources of the focal colours, the chips that people point at as the best example of a name:
E. Rosch Heider, "Universals in Color Naming and Memory", Journal of Experimental Psychology 93
(1972), whose Munsell chips lie in the middle of the areas of B. Berlin and P. Kay, "Basic Color Terms"
(1969); black, grey and white are ends and middle of their array's column of greys. CIELAB of the
chips: Newhall, Nickerson and Judd's renotation (JOSA 33, 1943), brought from illuminant C to D65
(Bradford), 2 degrees; rounded to one decimal.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from personsearch.datasets.matlab import read_variable
from personsearch.errors import InputError
from personsearch.types import Array

NAMES = ("black", "blue", "brown", "grey", "green", "orange", "pink", "purple", "red", "white", "yellow")

FOCAL_LAB = (
    (10.4, 0.0, 0.0),  # black: N 1/
    (50.9, -5.5, -47.8),  # blue: 2.5PB 5/12
    (30.4, 19.1, 29.9),  # brown: 5YR 3/6
    (51.0, 0.0, 0.0),  # grey: N 5/
    (51.1, -53.8, 9.8),  # green: 7.5G 5/10
    (61.0, 46.6, 78.7),  # orange: 2.5YR 6/16
    (80.5, 24.0, 12.9),  # pink: 5R 8/6
    (30.2, 37.0, -32.1),  # purple: 5P 3/10
    (40.6, 61.3, 29.7),  # red: 5R 4/14
    (95.1, 0.0, 0.0),  # white: N 9.5/
    (80.6, 8.9, 107.1),  # yellow: 2.5Y 8/16
)

LIGHTNESS, CHROMA, HUE = 2.0, 0.048, 0.014
"""kL, K1 and K2 of the CIE94 difference for textiles (CIE 116-1995): clothes are what is named here."""

SPREAD = 12.0
"""Difference over which one name gives way to another: the Gaussian deviation of a focus."""

LEVELS = 32
"""Steps of 8 for each of red, green and blue."""


def focal_table() -> Array:
    """(32, 32, 32, 11) float32: the shares of the eleven names in every colour, by distance to their foci.

    A share is proportional to ``exp(-d^2 / (2 * 12^2))``, d the CIE94 difference of the colour (the
    middle of its step of 8) from the focus; shares add up to 1. Plain distance in CIELAB will not
    do: the reddest red of a screen is nearer to the focus of orange, because it is so much more
    colourful than the chip. The catch: the bluest blue of a screen comes out purple, as its hue
    in CIELAB is.

    >>> shares = focal_table()[250 // 8, 20 // 8, 20 // 8]
    >>> NAMES[shares.argmax()], round(float(shares.sum()), 3)
    ('red', 1.0)
    """
    middle = (np.arange(LEVELS) * 8 + 3.5) / 255
    rgb = np.stack(np.meshgrid(middle, middle, middle, indexing="ij"), axis=-1).astype(np.float32)
    lab = cv2.cvtColor(rgb.reshape(-1, 1, 3), cv2.COLOR_RGB2LAB).reshape(-1, 1, 3)
    squares = np.square(differences(lab, np.array(FOCAL_LAB, np.float32)))
    # Of the nearest focus' own: colours far from every focus would otherwise be 0/0.
    squares -= squares.min(axis=1, keepdims=True)
    shares = np.exp(-squares / (2 * SPREAD**2))
    shares /= shares.sum(axis=1, keepdims=True)
    table: Array = shares.reshape(LEVELS, LEVELS, LEVELS, len(NAMES)).astype(np.float32)
    return table


def differences(lab: Array, foci: Array) -> Array:
    """(...) CIE94 differences of CIELAB colours ``lab`` (..., 3) from the standards ``foci`` (..., 3).

    It is not symmetric: the more colourful the standard, the less do chroma and hue count.

    >>> differences(np.array([50.0, 0, 10]), np.array([54.0, 0, 0])).round(3)  # grey: 4 / 2 and 10
    np.float64(10.198)
    """
    lightness, a, b = np.moveaxis(lab - foci, -1, 0)
    standard = np.hypot(foci[..., 1], foci[..., 2])
    chroma = np.hypot(lab[..., 1], lab[..., 2]) - standard
    hue = np.maximum(a * a + b * b - chroma * chroma, 0)
    result: Array = np.sqrt(
        (lightness / LIGHTNESS) ** 2
        + (chroma / (1 + CHROMA * standard)) ** 2
        + hue / (1 + HUE * standard) ** 2
    )
    return result


def read_table(path: Path) -> Array:
    """(32, 32, 32, 11) float32: the learned shares in the file ``path``, ``w2c.mat``.

    Its rows are red/8 + 32 * (green/8) + 1024 * (blue/8), its last eleven columns the names in the
    order of ``NAMES`` (three columns before them, if there are any, are the colour itself).

    Raises:
        DatasetError: the file is missing, damaged, or has no variable ``w2c``.
        InputError: what it holds is not such a table.
    """
    value = read_variable(Path(path), "w2c")
    rows, columns = LEVELS**3, len(NAMES)
    if not isinstance(value, np.ndarray) or value.shape not in ((rows, columns), (rows, columns + 3)):
        shape = value.shape if isinstance(value, np.ndarray) else type(value).__name__
        raise InputError(
            f"{path} is not a table of colour names: {shape} instead of {(rows, columns)}",
            hint="give the w2c.mat of van de Weijer et al., or leave it out",
        )
    shares = np.asarray(value[:, -columns:], np.float64)
    if not np.isfinite(shares).all() or shares.min() < 0 or not (shares.sum(axis=1) > 0).all():
        raise InputError(f"{path} has colours without any name", hint="fetch the file again; it is damaged")
    shares = shares / shares.sum(axis=1, keepdims=True)
    by_blue = shares.reshape(LEVELS, LEVELS, LEVELS, columns)
    return np.ascontiguousarray(by_blue.transpose(2, 1, 0, 3), dtype=np.float32)


def agreement(table: Array, other: Array) -> float:
    """Share of the 32,768 colours that both tables give the same first name.

    >>> agreement(focal_table(), focal_table())
    1.0
    """
    return float(np.mean(table.argmax(axis=-1) == other.argmax(axis=-1)))
