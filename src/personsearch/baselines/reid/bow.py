"""Words of colour: how often which mixture of colour names occurs at which height of a person.

Source: L. Zheng, L. Shen, L. Tian, S. Wang, J. Wang and Q. Tian, "Scalable Person
Re-identification: A Benchmark", ICCV 2015, sections 4.1 and 4.2 (BoW with its geometric constraint
and its background suppression): crops of 128x64 pixels; the eleven colour names of each pixel, L1
normalised, square roots taken, averaged over patches of 4x4; 350 words by k-means; the ten nearest
words of each patch; 16 horizontal stripes; a Gaussian over the crop; sqrt(tf) against burstiness;
IDF; the training mean subtracted (negative evidence).

Where the source leaves room: the Gaussian's deviations, "1", are half of the crop's sides. The
"average IDF" is taken as ``log(N / sum of tf)``, tf a word's share of a person, where IDF counts
the people who have the word at all: with ten words a patch nearly everybody has every word. Vectors
get length 1 before the mean is subtracted, and the cosine does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.baselines.parts import Part, read_part
from personsearch.baselines.reid.colour_names import LEVELS, NAMES
from personsearch.baselines.reid.crops import described
from personsearch.baselines.reid.dense import check_arrays
from personsearch.errors import InputError
from personsearch.types import Array, Picture, Similarity

BOW = "bow"


@dataclass(frozen=True, kw_only=True)
class WordSettings:
    """How a crop becomes a histogram of words.

    Attributes:
        crop: (height, width) of a crop in pixels.
        patch: side of a patch; patches do not overlap.
        assigned: nearest words that each patch counts for.
        stripes: equal horizontal parts of the crop, each with a histogram of its own.
    """

    crop: tuple[int, int] = (128, 64)
    patch: int = 4
    assigned: int = 10
    stripes: int = 16

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches.

        >>> WordSettings().grid
        (32, 16)
        """
        return self.crop[0] // self.patch, self.crop[1] // self.patch


@dataclass(frozen=True, eq=False, kw_only=True)
class Words:
    """What was learned of training people.

    Attributes:
        table: (32, 32, 32, 11) float32 colour names, as in ``colour_names``.
        words: (k, 11) float32, the codebook.
        idf: (k,) float32, how much each word says.
        mean: (stripes * k,) float32 of training people's vectors.
    """

    table: Array
    words: Array
    idf: Array
    mean: Array


class BowEmbedder:
    """Describes people by words of colour; an ``Embedder`` without a network, compared by cosine.

    Args:
        settings: how a crop becomes a histogram.
        learned: on training people.
        fingerprint: of the part's folder.
        name: how people call it.
    """

    similarity: Similarity = "cosine"

    def __init__(
        self, settings: WordSettings, learned: Words, *, fingerprint: str = "", name: str = ""
    ) -> None:
        self.settings, self.learned = settings, learned
        self.fingerprint, self.name = fingerprint, name
        self._roots = root_shares(learned.table)

    @property
    def dim(self) -> int:
        """Length of an embedding: stripes times words."""
        return len(self.learned.mean)

    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, dim) float32 descriptions of the people in ``boxes`` (n, 4), pixels of ``picture``.

        Raises:
            InputError: a box has no area inside the picture.
        """
        return described(self.describe, picture, boxes, self.settings.crop, self.dim)

    def describe(self, crops: Array) -> Array:
        """(n, dim) float32 descriptions of crops (n, h, w, 3) uint8 of the settings' size."""
        found = np.empty((len(crops), self.dim), np.float32)
        for row, crop in zip(found, crops, strict=True):
            counts = word_counts(
                patch_names(crop, self._roots, self.settings), self.learned.words, self.settings
            )
            row[:] = weighted(counts, self.learned.idf) - self.learned.mean
        return found


def root_shares(table: Array) -> Array:
    """Square roots of a table's shares (which add up to 1): what is averaged over a patch."""
    roots: Array = np.sqrt(table)
    return roots


def patch_names(crop: Array, roots: Array, settings: WordSettings) -> Array:
    """(patches, 11) float32 mean root shares of the colour names in each patch, row by row.

    >>> white = np.full((8, 4, 3), 255, np.uint8)
    >>> roots = np.zeros((32, 32, 32, 11)); roots[31, 31, 31, NAMES.index("white")] = 1
    >>> patch_names(white, roots, WordSettings(crop=(8, 4)))[:, NAMES.index("white")].tolist()
    [1.0, 1.0]
    """
    height, width = settings.crop
    if crop.shape != (height, width, 3):
        raise ValueError(f"a crop is {(height, width, 3)}, got {crop.shape}")
    step = crop >> 3
    pixels = roots[step[..., 0], step[..., 1], step[..., 2]]
    rows, columns = settings.grid
    side = settings.patch
    pixels = pixels[: rows * side, : columns * side].reshape(rows, side, columns, side, -1)
    means: Array = pixels.mean(axis=(1, 3))
    return means.reshape(rows * columns, -1)


def word_counts(patches: Array, words: Array, settings: WordSettings) -> Array:
    """(stripes, k) how much each word occurs in each stripe: Gaussian weights of the patches near it.

    Each patch counts fully for each of its ``assigned`` nearest words.
    """
    distances = np.einsum("kd,kd->k", words, words) - 2 * (patches @ words.T)
    nearest = np.argpartition(distances, settings.assigned - 1, axis=1)[:, : settings.assigned]
    rows, columns = settings.grid
    stripe = np.repeat(np.arange(rows) * settings.stripes // rows, columns)
    keys = stripe[:, None] * len(words) + nearest
    weights = np.repeat(gaussian_mask(rows, columns).ravel(), settings.assigned)
    counts = np.bincount(keys.ravel(), weights, minlength=settings.stripes * len(words))
    return counts.reshape(settings.stripes, len(words))


def weighted(counts: Array, idf: Array) -> Array:
    """(stripes * k,) float32 of length 1: roots of the counts, each times its word's IDF.

    >>> weighted(np.array([[9.0, 0], [16, 0]]), np.array([1.0, 1.0])).tolist()
    [0.6000000238418579, 0.0, 0.800000011920929, 0.0]
    """
    vector = (np.sqrt(counts) * idf).ravel()
    length = np.linalg.norm(vector)
    result: Array = (vector / length if length > 0 else vector).astype(np.float32)
    return result


@lru_cache(maxsize=4)
def gaussian_mask(rows: int, columns: int) -> Array:
    """(rows, columns) weights of patches: 1 in the middle of the crop, exp(-1) at its corners.

    Background stands beside a person, so patches count less away from the middle.

    >>> gaussian_mask(3, 1).ravel().round(3).tolist()  # centres at -2/3, 0, 2/3 of half the height
    [0.801, 1.0, 0.801]
    """
    y = (np.arange(rows) + 0.5) / rows * 2 - 1
    x = (np.arange(columns) + 0.5) / columns * 2 - 1
    mask: Array = np.exp(-0.5 * (y[:, None] ** 2 + x**2))
    mask.setflags(write=False)
    return mask


def average_idf(shares: Array) -> Array:
    """(k,) ``log(N / sum of tf)`` of N people's word shares (N, k): small for what everybody is made of.

    A word that nobody has weighs as much as the rarest that somebody has.

    >>> average_idf(np.array([[1.0, 0, 0], [0.5, 0.5, 0]])).round(3).tolist()  # log(2 / 1.5), log(2 / 0.5)
    [0.288, 1.386, 1.386]
    """
    total = shares.sum(axis=0)
    idf: Array = np.log(len(shares) / np.where(total > 0, total, total[total > 0].min()))
    return np.maximum(idf, 0.0)


def read_bow(folder: Path) -> BowEmbedder:
    """The descriptor in the part folder ``folder``.

    Raises:
        InputError: there is none, it is damaged, or it is a part of another kind.
    """
    return bow_of(read_part(Path(folder)), str(folder))


def bow_of(part: Part, where: str) -> BowEmbedder:
    """The descriptor that ``part`` holds; ``where`` it was read from, for messages."""
    if part.kind != BOW:
        raise InputError(
            f"{where} holds a part of kind {part.kind!r}, not words of colour",
            hint="give the folder of a trained bag-of-words descriptor",
        )
    try:
        said: dict[str, Any] = part.settings["settings"]
        height, width = (int(side) for side in said["crop"])
        patch, assigned, stripes = (int(said[name]) for name in ("patch", "assigned", "stripes"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where} does not say how crops become words", hint="train it again") from error
    settings = WordSettings(crop=(height, width), patch=patch, assigned=assigned, stripes=stripes)
    found = {name: np.asarray(array) for name, array in part.arrays.items()}
    count = len(found.get("words", ()))
    check_words(settings, count)
    shapes = {
        "table": (LEVELS, LEVELS, LEVELS, len(NAMES)),
        "words": (count, len(NAMES)),
        "idf": (count,),
        "mean": (stripes * count,),
    }
    check_arrays(found, shapes, where)
    learned = Words(**{name: found[name] for name in shapes})
    return BowEmbedder(settings, learned, fingerprint=part.fingerprint, name=part.kind)


def check_words(settings: WordSettings, words: int) -> None:
    """Refuse settings that fit no crop or no codebook.

    Raises:
        InputError: a patch larger than the crop, more stripes than rows of patches, more words assigned
            than there are.
    """
    fits = 1 <= settings.patch <= min(settings.crop) and 1 <= settings.stripes <= settings.grid[0]
    if not fits or not 1 <= settings.assigned <= words:
        raise InputError(
            f"crops of {settings.crop} pixels with patches of {settings.patch}, {settings.stripes} stripes "
            f"and {settings.assigned} of {words} words a patch do not fit together",
            hint="use the settings of the source: 128x64, 4, 16 stripes, 10 of 350 words",
        )
