"""Is this the same picture, saved again? A hash finds who might be, their pixels decide.

A 64-bit hash alone must not decide: the frames of a camera that does not move have nearly equal
hashes and different people in them. So the exact rule has two parts. Two pictures are near
duplicates when

1. their difference hashes (:func:`dhash`) differ in at most :data:`BITS` of 64 bits, and
2. (:func:`is_same`) their proportions agree within 1 %, the newcomer has at most 1.25 times the
   stored one's pixels a side, and, both shrunk to one value an 8x8 block of the smaller (at most
   128 blocks a side), no channel of any block differs by more than :data:`LEVELS` of 255,

and the times at which they were taken, where both are known, are equal. A picture that was sent
through a messenger, resized or compressed again passes; one in which a person moved by half a block,
or another exposure of the same moment, does not. Of the pictures whose hashes are near, the
:data:`LOOKED_AT` nearest (then the newest) are compared, so a picture costs a bounded number of
looks; a duplicate that hides behind more than those is stored, which loses nothing.

The hash is the difference hash of N. Krawetz ("Kind of Like That", 2013).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from personsearch.types import Array

BITS = 6
LEVELS = 10.0
LOOKED_AT = 4
_BLOCK, _MOST_BLOCKS = 8, 128
_LARGER = 1.25
_KEPT = 256
"""Thumbnails in memory: 12 MB."""


def dhash(pixels: Array) -> int:
    """The 64-bit difference hash of (h, w, 3) uint8 pixels, as a signed number.

    Grey, shrunk to 9x8 values; bit 8 r + c (the lowest is 0) is set where the value at row r, column c
    is less than its right neighbour.

    >>> rising = np.repeat(np.arange(0, 180, dtype=np.uint8)[None, :, None], 80, 0).repeat(3, 2)
    >>> dhash(rising), dhash(rising[:, ::-1])
    (-1, 0)
    """
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    bits = np.packbits((small[:, :-1] < small[:, 1:]).ravel(), bitorder="little")
    return int(bits.view("<i8")[0])


@dataclass(frozen=True, eq=False)
class Look:
    """What two pictures are compared by: width, height, and (rows, columns, 3) mean colours of blocks."""

    size: tuple[int, int]
    blocks: Array


def look(pixels: Array) -> Look:
    """The look of (h, w, 3) uint8 pixels: a value an 8x8 block, at most 128 a side."""
    height, width = pixels.shape[:2]
    share = min(1 / _BLOCK, _MOST_BLOCKS / max(height, width))
    grid = max(1, round(width * share)), max(1, round(height * share))
    return Look((width, height), cv2.resize(pixels, grid, interpolation=cv2.INTER_AREA))


def is_same(new: Look, stored: Look) -> bool:
    """Whether ``new`` is ``stored`` saved again, by the second part of the rule."""
    (w, h), (width, height) = new.size, stored.size
    if abs(w * height - width * h) > 0.01 * max(w * height, width * h) or w > _LARGER * width:
        return False
    small, large = sorted((new.blocks, stored.blocks), key=lambda blocks: blocks.shape[0] * blocks.shape[1])
    if small.shape != large.shape:
        large = cv2.resize(large, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    return bool(np.abs(small.astype(np.float32) - large.astype(np.float32)).max() <= LEVELS)


class NearIndex:
    """The pictures of a gallery by what they look like; several threads may ask.

    Args:
        known: (picture, hash) of those that are stored.
        load: the look of a stored picture, from its file; None when that cannot be read.
        usable: whether a stored picture still counts.
    """

    def __init__(
        self,
        known: list[tuple[int, int]],
        load: Callable[[int], Look | None],
        usable: Callable[[int], bool],
    ) -> None:
        self._load, self._usable = load, usable
        self._size = len(known)
        room = max(1024, 2 * len(known))
        self._pictures, self._hashes = np.zeros(room, np.int64), np.zeros(room, np.int64)
        if known:
            self._pictures[: self._size], self._hashes[: self._size] = np.array(known, np.int64).T
        self._asking = threading.RLock()
        self._looks: OrderedDict[int, Look | None] = OrderedDict()

    def __len__(self) -> int:
        return self._size

    def add(self, picture: int, hashed: int, seen: Look) -> None:
        """Remember a picture that was stored."""
        with self._asking:
            if self._size == len(self._pictures):
                self._pictures = np.concatenate([self._pictures, np.zeros_like(self._pictures)])
                self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._pictures[self._size], self._hashes[self._size] = picture, hashed
            self._size += 1
            self._keep(picture, seen)

    def find(
        self, hashed: int, seen: Look, may_be: Callable[[int], bool] = lambda picture: True
    ) -> int | None:
        """The stored picture that a new one is saved anew from; None if it is from none.

        Args:
            hashed, seen: of the new picture.
            may_be: asked about a picture that looks the same, such as whether its time agrees.
        """
        with self._asking:
            return self._found(hashed, seen, may_be)

    def _found(self, hashed: int, seen: Look, may_be: Callable[[int], bool]) -> int | None:
        apart = np.bitwise_count((self._hashes[: self._size] ^ np.int64(hashed)).view(np.uint64))
        near = np.flatnonzero(apart <= BITS)
        order = near[np.lexsort((-self._pictures[near], apart[near]))]
        looked_at = 0
        for picture in self._pictures[order].tolist():
            if looked_at == LOOKED_AT:
                return None
            if not self._usable(picture):
                continue
            looked_at += 1
            stored = self._look_of(picture)
            if stored is not None and is_same(seen, stored) and may_be(picture):
                return int(picture)
        return None

    def look_of(self, picture: int) -> Look | None:
        """What a stored picture looks like."""
        with self._asking:
            return self._look_of(picture)

    def _look_of(self, picture: int) -> Look | None:
        if picture not in self._looks:
            self._keep(picture, self._load(picture))
        self._looks.move_to_end(picture)
        return self._looks[picture]

    def _keep(self, picture: int, seen: Look | None) -> None:
        self._looks[picture] = seen
        while len(self._looks) > _KEPT:
            self._looks.popitem(last=False)
