"""Near duplicates: the same picture saved again, and nothing that is another moment."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.images import decode, encode_jpeg
from personsearch.indexing.nearness import LOOKED_AT, NearIndex, dhash, is_same, look
from personsearch.types import Array


def street(seed: int = 0, size: tuple[int, int] = (320, 240)) -> Array:
    """A textured background."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 220, (12, 16, 3)).astype(np.uint8)
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)


def with_person(x: int, background: Array | None = None) -> Array:
    pixels = (street() if background is None else background).copy()
    pixels[100:160, x : x + 24] = (200, 30, 40)
    return pixels


def saved(pixels: Array, quality: int) -> Array:
    return decode(encode_jpeg(pixels, quality)).pixels


def near(new: Array, stored: Array) -> bool:
    index = NearIndex([(1, dhash(stored))], lambda picture: look(stored), lambda picture: True)
    return index.find(dhash(new), look(new)) == 1


def slow_dhash(pixels: Array) -> int:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA)
    total = 0
    for row in range(8):
        for column in range(8):
            if int(small[row, column]) < int(small[row, column + 1]):
                total |= 1 << (8 * row + column)
    return total - (1 << 64) if total >> 63 else total


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_the_hash_bit_by_bit(seed: int) -> None:
    pixels = street(seed)
    assert dhash(pixels) == slow_dhash(pixels)


@pytest.mark.parametrize("quality", [95, 75, 50])
def test_saved_again_is_the_same(quality: int) -> None:
    assert near(saved(with_person(100), quality), with_person(100))


def test_made_smaller_is_the_same_and_made_larger_is_not() -> None:
    large = with_person(100, street(0))
    small = cv2.resize(large, (160, 120), interpolation=cv2.INTER_AREA)
    assert near(saved(small, 85), large)
    assert not near(large, small)  # it shows more than the stored one


def test_another_moment_is_not_the_same() -> None:
    assert not near(with_person(106), with_person(100))
    assert not near(with_person(100), street())
    assert not near(street(1), street(0))
    other_clothes = with_person(100)
    other_clothes[100:160, 100:124] = (40, 30, 200)
    assert not near(other_clothes, with_person(100))


def test_the_hash_alone_would_have_taken_them_for_the_same() -> None:
    """Why pixels decide: the frames of a camera that stands still have nearly the same hash."""
    apart = bin((dhash(with_person(106)) ^ dhash(with_person(100))) & (2**64 - 1)).count("1")
    assert apart <= 6


def test_proportions_must_agree() -> None:
    flat = np.full((100, 100, 3), 90, np.uint8)
    assert near(flat, flat)
    assert not near(flat[:95], flat)
    assert not is_same(look(flat[:, :50]), look(flat))


def test_a_bounded_number_of_looks() -> None:
    looked_at: list[int] = []

    def load(picture: int):
        looked_at.append(picture)
        return look(street(picture))

    known = [(n, dhash(street(0))) for n in range(1, 20)]
    index = NearIndex(known, load, lambda picture: picture != 18)
    assert index.find(dhash(street(0)), look(street(99))) is None
    assert looked_at == [19, 17, 16, 15][:LOOKED_AT]  # the newest first; not those that are gone


def test_many_more_than_at_the_start() -> None:
    pictures = [street(seed, (64, 48)) for seed in range(30)]
    index = NearIndex([], lambda picture: look(pictures[picture]), lambda picture: True)
    for number in range(3000):
        pixels = pictures[number % 30]
        index.add(number, dhash(pixels) if number < 30 else number, look(pixels))
    assert len(index) == 3000
    assert index.find(dhash(pictures[7]), look(pictures[7])) == 7
    assert index.find(dhash(pictures[7]), look(pictures[7]), lambda picture: False) is None


def test_worked_by_hand(tmp_path: Path) -> None:
    pixels = np.zeros((8, 9, 3), np.uint8)
    pixels[0, 1:] = 50  # row 0 rises once, at column 0; row 7 rises at the last column
    pixels[7, 8] = 50
    assert dhash(pixels) == (1 << 0) + (1 << 63) - (1 << 64)
