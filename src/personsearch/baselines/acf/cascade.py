"""Which windows of a picture hold a person: boosted trees, given up as soon as a sum is hopeless.

The rule is checked after every tree: a window whose sum has fallen to the threshold or below is
background, whatever later trees would have said. Evaluating many trees at once does not
change that, only how much is computed for windows that fell early in a block.
"""

from __future__ import annotations

import cv2
import numpy as np

from personsearch.baselines.acf.pyramid import Pyramid
from personsearch.baselines.acf.trees import Trees
from personsearch.types import Array

DENSE = 16
"""Trees that are evaluated at every place of the canvas, by comparing whole planes; a multiple of 4."""
BLOCK = 16
"""Trees in the first block after them; every block doubles, up to eight times this."""
VALUES = 1 << 21
"""Feature values gathered at once, so that memory does not grow with the picture."""


def run_cascade(pyramid: Pyramid, trees: Trees, threshold: float) -> tuple[Array, Array]:
    """The windows whose sums stay above ``threshold`` after every tree, and their full sums.

    Returns:
        (n,) int64 places in ascending order of the pyramid's windows, and (n,) float32 sums: those
        of :meth:`Trees.sums`, to the bit (leaves add up exactly).

    Source: Dollár et al. (TPAMI 2014), section 6.1; soft cascades are Bourdev and Brandt's (CVPR
    2005), here with one threshold for all trees.
    """
    places = pyramid.windows
    sums = np.zeros(len(places), np.float32)
    done = min(len(trees) // 4 * 4, DENSE)
    if done and len(places):
        everywhere, worst = _dense(pyramid, trees.take(slice(0, done)))
        places = places[worst[places] > threshold]
        sums = everywhere[places]
    size = BLOCK
    while done < len(trees) and len(places):
        block = trees.take(slice(done, done + size))
        places, sums = _block(pyramid, block, places, sums, threshold)
        done, size = done + size, min(size * 2, 8 * BLOCK)
    return places, sums


def _dense(pyramid: Pyramid, trees: Trees) -> tuple[Array, Array]:
    """Sums of ``trees`` at every place of the canvas, and the lowest sum after any of them.

    On the flat canvas a feature of all places is one slice, so that a node is one comparison of
    contiguous bytes. The answers of four trees are one byte, and what it is worth one look-up.
    Places where no window fits are computed, too; nobody asks for them.
    """
    flat, offsets = pyramid.planes.reshape(-1), pyramid.offsets(trees.features)
    rows, columns = pyramid.cells
    count = pyramid.planes[0].size - (rows - 1) * pyramid.planes.shape[2] - columns + 1
    sums, worst = np.zeros(count, np.float32), np.zeros(count, np.float32)
    worst.fill(np.inf)
    for first in range(0, len(trees), 4):
        code = np.zeros(count, np.uint8)
        for tree in range(first, first + 4):
            values = [flat[start : start + count] for start in offsets[tree]]
            yes, one, other = (
                value < limit for value, limit in zip(values, trees.thresholds[tree], strict=True)
            )
            second = other ^ (yes & (one ^ other))
            code <<= 2
            code |= yes.view(np.uint8) << 1
            code |= second.view(np.uint8)
        total, lowest = _looked_up(trees.leaves[first : first + 4])
        np.minimum(worst, sums + cv2.LUT(code, lowest).reshape(-1), out=worst)
        sums += cv2.LUT(code, total).reshape(-1)
    return sums, worst


def _looked_up(leaves: Array) -> tuple[Array, Array]:
    """(256,) float32 each, by the answers of four trees: their sum, and the lowest sum on the way."""
    codes = np.arange(256)
    answers = np.stack([leaves[tree, codes >> (6 - 2 * tree) & 3] for tree in range(4)])
    on_the_way = np.cumsum(answers, axis=0, dtype=np.float32)
    return on_the_way[-1], on_the_way.min(axis=0)


def _block(
    pyramid: Pyramid, trees: Trees, places: Array, sums: Array, threshold: float
) -> tuple[Array, Array]:
    """Those of ``places`` that get through ``trees``, and their sums after them."""
    flat, offsets = pyramid.planes.reshape(-1), pyramid.offsets(trees.features)
    at_once = max(VALUES // offsets.size, 1)
    kept: list[tuple[Array, Array]] = []
    for start in range(0, len(places), at_once):
        part = places[start : start + at_once]
        answers = trees.answers(flat[part[:, None, None] + offsets])
        after = np.cumsum(answers, axis=1, dtype=np.float32) + sums[start : start + at_once, None]
        through = after.min(axis=1) > threshold
        kept.append((part[through], after[through, -1]))
    return np.concatenate([p for p, _ in kept]), np.concatenate([s for _, s in kept])
