"""Identities held out of training: what they are for is telling probabilities, not choosing weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from personsearch import images
from personsearch.progress import Progress, silent
from personsearch.ranking.calibration import Calibration, fit_calibration
from personsearch.ranking.similarity import similarities
from personsearch.types import Array, Embedder, Scene


def choose_validation(scenes: Sequence[Scene], count: int, seed: int) -> Array:
    """Up to ``count`` training identities seen in at least two pictures, drawn by ``seed``, sorted.

    Never more than a quarter of them: small data needs its people for training. None where that
    would be one: one person alone makes no pair of two people.
    """
    each = [np.unique(s.people[s.people >= 0]) for s in scenes]
    people = np.concatenate(each) if each else np.zeros(0, np.int64)
    identities, pictures = np.unique(people, return_counts=True)
    able = identities[pictures >= 2]
    drawn = np.random.default_rng([seed, 5]).permutation(able)[: min(count, len(able) // 4)]
    return np.sort(drawn if len(drawn) > 1 else drawn[:0]).astype(np.int64)


def calibrate(
    searcher: Embedder, scenes: Sequence[Scene], identities: Array, *, progress: Progress = silent
) -> Calibration | None:
    """Similarity to probability, from all pairs of appearances of people training never named.

    Pairs within one picture are left out: they are always two people. None without identities.
    """
    if not len(identities):
        return None
    embeddings: list[Array] = []
    people: list[int] = []
    pictures: list[int] = []
    wanted = [(i, s) for i, s in enumerate(scenes) if np.isin(s.people, identities).any()]
    for i, scene in progress(wanted, "calibrating", total=len(wanted)):
        rows = np.flatnonzero(np.isin(scene.people, identities))
        assert scene.path is not None  # training has read it
        embeddings.append(searcher.embed(images.load(scene.path), scene.boxes[rows]))
        people += scene.people[rows].tolist()
        pictures += [i] * len(rows)
    vectors = np.concatenate(embeddings)
    table = similarities(vectors, vectors, searcher.similarity)
    first, second = np.triu_indices(len(vectors), k=1)
    who, where = np.array(people), np.array(pictures)
    apart = where[first] != where[second]
    first, second = first[apart], second[apart]
    return fit_calibration(table[first, second], who[first] == who[second])
