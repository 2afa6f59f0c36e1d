"""Words by hand, against a loop over patches and words, and what must hold of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.baselines.reid.bow import (
    BowEmbedder,
    Words,
    WordSettings,
    average_idf,
    gaussian_mask,
    patch_names,
    root_shares,
    weighted,
    word_counts,
)
from personsearch.baselines.reid.bow_training import codebook
from personsearch.baselines.reid.colour_names import NAMES, focal_table
from personsearch.errors import DatasetError
from personsearch.types import Embedder, Picture

ROOTS = root_shares(focal_table())


def test_two_patches_two_words_by_hand():
    # Two patches side by side, two stripes impossible: one row. Word 0 is (1, 0), word 1 is (0, 1).
    settings_ = WordSettings(crop=(4, 8), patch=4, assigned=1, stripes=1)
    words = np.eye(2, dtype=np.float32)
    patches = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    # centres at -1/2 and 1/2 of half the width, 0 of half the height: exp(-1/8) each
    found = word_counts(patches, words, settings_)
    np.testing.assert_allclose(found, [[np.exp(-1 / 8), np.exp(-1 / 8)]])
    both = word_counts(patches, words, WordSettings(crop=(4, 8), patch=4, assigned=2, stripes=1))
    np.testing.assert_allclose(both, [[2 * np.exp(-1 / 8)] * 2])


def slow_counts(patches, words, settings_):
    """Every patch asks every word for its distance, sorts, and counts for the nearest."""
    rows, columns = settings_.grid
    counts = np.zeros((settings_.stripes, len(words)))
    for p, patch in enumerate(patches.astype(float)):
        row, column = divmod(p, columns)
        y, x = 2 * (row + 0.5) / rows - 1, 2 * (column + 0.5) / columns - 1
        near = sorted(range(len(words)), key=lambda w: np.sum((words[w].astype(float) - patch) ** 2))
        for w in near[: settings_.assigned]:
            counts[row * settings_.stripes // rows, w] += np.exp(-(x * x + y * y) / 2)
    return counts


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.sampled_from([1, 2, 3, 4, 8]))
def test_counts_equal_the_loop(seed, assigned, stripes):
    rng = np.random.default_rng(seed)
    settings_ = WordSettings(crop=(32, 16), assigned=assigned, stripes=stripes)
    words = rng.uniform(size=(12, 11)).astype(np.float32)
    patches = rng.uniform(size=(8 * 4, 11)).astype(np.float32)
    found = word_counts(patches, words, settings_)
    np.testing.assert_allclose(found, slow_counts(patches, words, settings_), atol=1e-9)
    # whatever the words, a patch gives all of its weight to each of as many as are assigned
    assert found.sum() == pytest.approx(assigned * gaussian_mask(8, 4).sum())


def test_patches_are_means_of_root_shares():
    crop = np.random.default_rng(0).integers(0, 256, (128, 64, 3), dtype=np.uint8)
    found = patch_names(crop, ROOTS, WordSettings())
    assert found.shape == (512, 11)
    table = focal_table()
    for p in (0, 15, 16, 511):
        row, column = divmod(p, 16)
        pixels = crop[row * 4 : row * 4 + 4, column * 4 : column * 4 + 4].reshape(-1, 3) // 8
        expected = np.mean([np.sqrt(table[tuple(pixel)]) for pixel in pixels], axis=0)
        np.testing.assert_allclose(found[p], expected, rtol=1e-5)


def test_idf_is_smaller_for_what_everybody_is_made_of():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet([5, 1, 0.2], size=200)
    idf = average_idf(shares)
    assert idf[0] < idf[1] < idf[2]
    np.testing.assert_allclose(idf, [-np.log(shares[:, w].mean()) for w in range(3)])
    assert (average_idf(np.array([[1.0, 0.0]])) == 0).all()  # never negative, never infinite


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_burstiness_is_damped(seed):
    """A word seen four times as often weighs twice as much, and the vector has length 1."""
    rng = np.random.default_rng(seed)
    counts = rng.uniform(0.1, 5, (3, 6))
    idf = rng.uniform(0.5, 3, 6)
    more = counts.copy()
    more[1, 2] *= 4
    one, other = (weighted(c, idf).reshape(3, 6) for c in (counts, more))
    assert other[1, 2] / other[0, 0] == pytest.approx(2 * one[1, 2] / one[0, 0], rel=1e-4)
    assert np.linalg.norm(other) == pytest.approx(1, rel=1e-5)
    slow = np.array([[np.sqrt(counts[m, w]) * idf[w] for w in range(6)] for m in range(3)])
    np.testing.assert_allclose(one, slow / np.linalg.norm(slow), rtol=1e-5)


def test_nothing_counted_is_all_zeros():
    assert not weighted(np.zeros((2, 3)), np.ones(3)).any()


def embedder(mean=0.0) -> BowEmbedder:
    words = np.random.default_rng(0).uniform(0, 0.6, (20, 11)).astype(np.float32)
    learned = Words(
        table=focal_table(),
        words=words,
        idf=np.ones(20, np.float32),
        mean=np.full(16 * 20, mean, np.float32),
    )
    return BowEmbedder(WordSettings(), learned, fingerprint="f" * 64, name="bow")


def dressed(*colours) -> np.ndarray:
    """A person in bands of colours, 128x64, in noise."""
    crop = np.zeros((128, 64, 3), np.int64)
    for number, colour in enumerate(colours):
        crop[number * 128 // len(colours) : (number + 1) * 128 // len(colours)] = colour
    noise = np.random.default_rng(sum(map(sum, colours))).integers(-8, 9, crop.shape)
    return np.clip(crop + noise, 0, 255).astype(np.uint8)


def test_an_embedder_describes_each_box_by_itself():
    found = embedder(0.01)
    assert isinstance(found, Embedder)
    pixels = np.hstack([dressed((200, 20, 30), (20, 20, 20)), dressed((240, 240, 240), (40, 60, 150))])
    boxes = np.array([[0, 0, 64, 128], [64, 0, 128, 128], [-9, 4, 70, 300]], np.float32)
    together = found.embed(Picture(pixels), boxes)
    assert together.shape == (3, found.dim) == (3, 320)
    assert together.dtype == np.float32
    for row, box in zip(together, boxes, strict=True):
        np.testing.assert_array_equal(found.embed(Picture(pixels), box[None])[0], row)
    assert found.embed(Picture(pixels), np.zeros((0, 4), np.float32)).shape == (0, 320)
    np.testing.assert_allclose(together + 0.01, embedder().embed(Picture(pixels), boxes), atol=1e-6)


def test_where_the_colour_is_matters():
    found = embedder()
    red_above, red_below = dressed((200, 20, 30), (30, 30, 30)), dressed((30, 30, 30), (200, 20, 30))
    again = np.clip(red_above.astype(int) + 10, 0, 255).astype(np.uint8)
    vectors = found.describe(np.stack([red_above, red_below, again]))
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1] + 0.1


def test_the_codebook_finds_the_clusters_and_says_when_there_are_too_few():
    rng = np.random.default_rng(0)
    centres = rng.uniform(size=(5, 11))
    patches = np.repeat(centres, 40, axis=0) + rng.normal(0, 1e-3, (200, 11))
    found = codebook(patches, 5, 3)
    nearest = np.linalg.norm(found[:, None] - centres[None], axis=2)
    assert nearest.min(axis=0).max() < 1e-2
    np.testing.assert_array_equal(codebook(patches, 5, 3), found)
    with pytest.raises(DatasetError, match="fewer than 5 kinds"):
        codebook(np.repeat(centres[:4], 40, axis=0), 5, 3)
    with pytest.raises(DatasetError, match="fewer than 5 kinds"):
        codebook(centres[:4], 5, 3)
    assert NAMES.index("yellow") == found.shape[1] - 1
