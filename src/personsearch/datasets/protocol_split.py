"""Two halves of annotated pictures that share neither a person nor a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from personsearch.types import UNLABELLED, Array, Scene

_TRIES = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class Halves:
    """Rows of the scenes: to learn from, to search in, and what shows people of both and is left out."""

    train: Array
    test: Array
    left_out: Array


def split_scenes(scenes: Sequence[Scene], test_share: float, rng: np.random.Generator) -> Halves:
    """Halves with about ``test_share`` of the people in the test half.

    People who are ever seen together stay together where that comes near the wanted share: then no
    picture is lost. In a film everybody is linked to everybody; then the people are parted where
    few pictures show both halves, and those pictures are left out. Pictures of nobody who is
    named are dealt out by the same share.

    Args:
        scenes: people are numbered through all of them.
        test_share: in [0, 1].
        rng: decides.
    """
    shown = _incidence(scenes)
    people = shown.shape[1]
    wanted = round(test_share * people)
    if 0 < test_share < 1 and people > 1:
        wanted = min(max(wanted, 1), people - 1)
    in_test = _whole_groups(shown, wanted, rng)
    if abs(int(in_test.sum()) - wanted) > max(1, people // 10) or not _both(in_test, wanted):
        tries = [_grown(shown, wanted, rng) for _ in range(_TRIES)]
        in_test = max(tries, key=lambda chosen: _kept(shown, chosen, test_share))
    torn = _torn(shown, in_test)
    test = (shown @ in_test.astype(np.int64) > 0) & ~torn
    empty = np.flatnonzero(np.asarray(shown.sum(1)).ravel() == 0)
    test[rng.permutation(empty)[: round(test_share * len(empty))]] = True
    return Halves(
        train=np.flatnonzero(~test & ~torn), test=np.flatnonzero(test), left_out=np.flatnonzero(torn)
    )


def _incidence(scenes: Sequence[Scene]) -> coo_matrix:
    """(pictures, people) 1 where a picture shows a person; people are those that occur, by number."""
    picture = np.repeat(np.arange(len(scenes)), [len(scene) for scene in scenes])
    person = np.concatenate([np.zeros(0, np.int64), *(scene.people for scene in scenes)])
    named = person != UNLABELLED
    found, column = np.unique(person[named], return_inverse=True)
    pairs = np.unique(np.stack([picture[named], column.reshape(-1)]), axis=1)
    ones = np.ones(pairs.shape[1], np.int64)
    return coo_matrix((ones, (pairs[0], pairs[1])), shape=(len(scenes), len(found))).tocsr()


def _both(in_test: Array, wanted: int) -> bool:
    """Whether both halves have people, as far as both are wanted."""
    return bool((in_test.any() or wanted == 0) and (not in_test.all() or wanted == len(in_test)))


def _whole_groups(shown: coo_matrix, wanted: int, rng: np.random.Generator) -> Array:
    """(people,) who is in the test half if people who meet stay together: large groups are placed first."""
    people = shown.shape[1]
    _, group = connected_components(shown.T @ shown, directed=False)
    size = np.bincount(group, minlength=0)
    need = [people - wanted, wanted]
    in_test = np.zeros(people, bool)
    shuffled = rng.permutation(len(size))
    for one in shuffled[np.argsort(-size[shuffled], kind="stable")].tolist():
        half = int(need[1] > need[0])
        need[half] -= int(size[one])
        in_test[group == one] = bool(half)
    return in_test


def _grown(shown: coo_matrix, wanted: int, rng: np.random.Generator) -> Array:
    """(people,) the test half grown from one person: next comes who is seen most with those who are in."""
    together = (shown.T @ shown).tolil()
    together.setdiag(0)
    together = together.tocsr()
    meets = np.maximum(np.asarray(together.sum(1)).ravel(), 1)
    inside = np.zeros(shown.shape[1], bool)
    drawn = rng.permutation(len(inside))
    pull = np.zeros(len(inside))
    for _ in range(wanted):
        share = np.where(inside, -1.0, pull / meets)
        person = drawn[int(np.argmax(share[drawn]))]
        inside[person] = True
        pull += together[[person]].toarray().ravel()
    return inside


def _kept(shown: coo_matrix, in_test: Array, test_share: float) -> tuple[float, int]:
    """How good a parting is: the smaller half's pictures by its share, then all that are kept."""
    torn = _torn(shown, in_test)
    test = int(((shown @ in_test.astype(np.int64) > 0) & ~torn).sum())
    train = int(((shown @ (~in_test).astype(np.int64) > 0) & ~torn).sum())
    return min(test / max(test_share, 1e-9), train / max(1 - test_share, 1e-9)), test + train


def _torn(shown: coo_matrix, in_test: Array) -> Array:
    """(pictures,) whether people of both halves are in it."""
    torn: Array = (shown @ in_test.astype(np.int64) > 0) & (shown @ (~in_test).astype(np.int64) > 0)
    return torn
