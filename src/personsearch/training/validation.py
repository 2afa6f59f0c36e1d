"""People held out of training, for two ends: telling probabilities, and searching while it goes on.

They are not the same people: those by whom the best weights are chosen tell nothing about
probabilities.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from personsearch import images
from personsearch.errors import DatasetError
from personsearch.evaluation.search import score_search
from personsearch.features import extract
from personsearch.progress import Progress, silent
from personsearch.protocols import camera_trials
from personsearch.ranking.calibration import Calibration
from personsearch.ranking.presence import calibrate_people
from personsearch.training.settings import ValidationSettings
from personsearch.types import Array, Embedder, Query, Scene, Searcher, SearchScores


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
    """Similarity to probability, from appearances of people training never named: pairs and searches.

    See :func:`personsearch.ranking.presence.calibrate_people`. None without identities.
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
    return calibrate_people(vectors, np.array(people), np.array(pictures), searcher.similarity)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The part of the training data that validation searches.

    Attributes:
        identities: (n,) people who are looked for, sorted.
        pictures: (m,) rows of the scenes with them, sorted: all the pictures they are in.
    """

    identities: Array
    pictures: Array

    def training(self, scenes: Sequence[Scene]) -> tuple[Scene, ...]:
        """The scenes that are left to train on."""
        gone = set(self.pictures.tolist())
        return tuple(scene for row, scene in enumerate(scenes) if row not in gone)


def hold_out(scenes: Sequence[Scene], taken: Array, settings: ValidationSettings, seed: int) -> HeldOut:
    """People who leave training with all their pictures, drawn by ``seed``.

    Whoever is seen in at least two pictures may be drawn, one after the other, as long as no more
    than ``settings.pictures`` and a quarter of all pictures leave.

    Args:
        scenes: all training scenes.
        taken: identities that serve another end.

    Raises:
        DatasetError: fewer than two people can be spared.
    """
    rows: dict[int, list[int]] = {}
    for row, scene in enumerate(scenes):
        for person in np.unique(scene.people[(scene.people >= 0) & ~np.asarray(scene.ignore)]).tolist():
            rows.setdefault(person, []).append(row)
    free = sorted(p for p, where in rows.items() if len(where) > 1 and p not in set(taken.tolist()))
    most = min(settings.pictures, len(scenes) // 4)
    identities: list[int] = []
    pictures: set[int] = set()
    for person in np.random.default_rng([seed, 17]).permutation(np.array(free, np.int64)).tolist():
        if len(identities) < min(settings.identities, len(free) // 4):
            more = pictures | set(rows[person])
            if len(more) <= most:
                identities.append(person)
                pictures = more
    if len(identities) < 2:
        raise DatasetError(
            "too few people are in several pictures to hold some out for validation",
            hint="train without validation (--validate 0)",
        )
    return HeldOut(np.array(sorted(identities), np.int64), np.array(sorted(pictures), np.int64))


def search_held_out(
    searcher: Searcher, scenes: Sequence[Scene], held_out: HeldOut, scratch: Path
) -> SearchScores:
    """Each held-out person, as first seen, looked for in all held-out pictures but their own.

    Args:
        searcher: the network as it stands.
        scenes: all training scenes.
        held_out: of them.
        scratch: a features file, gone afterwards.
    """
    chosen = [scenes[row] for row in held_out.pictures.tolist()]
    queries = []
    for person in held_out.identities.tolist():
        first = next(s for s in chosen if ((s.people == person) & ~np.asarray(s.ignore)).any())
        row = np.flatnonzero((first.people == person) & ~np.asarray(first.ignore))[0]
        queries.append(Query(first.name, first.boxes[row], person))
    trials = camera_trials("validation", chosen, queries)
    try:
        return score_search(trials, extract(searcher, chosen, trials, scratch))
    finally:
        scratch.unlink(missing_ok=True)
        shutil.rmtree(scratch.with_name(f"{scratch.name}.parts"), ignore_errors=True)
