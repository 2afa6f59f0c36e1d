"""Who else is there? People who were seen together are looked for together."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.optimize import linear_sum_assignment

from personsearch.ranking.similarity import similarities as compare
from personsearch.ranking.topk import top_k
from personsearch.types import Array, Similarity


def match_in_context(
    similarities: Array,
    pictures: Array,
    people: Array,
    context: Array,
    *,
    k1: int = 10,
    k2: int = 3,
    kind: Similarity = "cosine",
    rows: Array | None = None,
) -> Array:
    """The similarities of one query, revised by who else is in the pictures (CBGM).

    In every picture with one of the ``k1`` most similar people, the first ``k2`` people of
    the query's picture are matched one to one with those in it, so that the sum of their
    similarities is largest. If the query itself finds a partner, the partner's similarity
    becomes that of the *best* pair of the matching: a companion who is surely there speaks
    for the person beside him. So a person may get a similarity that is not his own, and
    the query may lose its partner (unchanged then) to a companion who suits him better.

    Args:
        similarities: (n,) of the query to everybody in its gallery.
        pictures: (n,) which picture each is in, any integers; one that a gallery lists twice
            is matched twice if it has two numbers.
        people: (n, d) their embeddings, or a table that ``rows`` points into.
        context: (m, d) embeddings of the query FIRST, then of the others in its picture, best first.
        k1, k2: as above; ties as in ``top_k``, and the query is one of the ``k2``.
        kind: how embeddings are compared.
        rows: (n,) where in ``people`` each stands, so that a large table need not be copied.

    Returns:
        (n,) of the type of ``similarities``.

    Raises:
        ValueError: shapes that do not fit, no query in ``context``, a NaN.

    Source: Li and Miao, Sequential End-to-end Network for Efficient Person Search (AAAI 2021).
    Often told as giving the partner the total weight; the authors' evaluator gives the best edge.

    >>> asked = np.array([[1.0, 0.0], [0.0, 1.0]])  # the query and a companion
    >>> seen = np.array([[0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])  # two in picture 5, one in 6
    >>> match_in_context(np.array([0.6, 0.0, 0.8]), np.array([5, 5, 6]), seen, asked, k2=2).round(3)
    array([1. , 0. , 0.8])
    """
    values, pictures = np.asarray(similarities), np.asarray(pictures)
    where = np.arange(len(people)) if rows is None else np.asarray(rows)
    if values.ndim != 1 or pictures.shape != values.shape or where.shape != values.shape:
        raise ValueError(
            f"similarities {values.shape}, pictures {pictures.shape} and people {np.shape(people)} do not fit"
        )
    if len(context) == 0 or k1 < 1 or k2 < 1:
        raise ValueError("context must begin with the query, k1 and k2 must be positive")
    chosen = np.unique(pictures[top_k(values, k1)[0]])
    here = np.flatnonzero(np.isin(pictures, chosen))
    here = here[np.argsort(pictures[here], kind="stable")]
    first = np.searchsorted(pictures[here], chosen)
    partners, edges = _partners(compare(context[:k2], people[where[here]], kind), first)
    revised: Array = values.copy()
    revised[here[partners]] = edges
    return revised


def _partners(pairs: Array, first: Array) -> tuple[Array, Array]:
    """Columns of ``pairs`` that are row 0's partner in their picture, and the best edge there.

    ``first``: where the columns of each picture start.
    """
    partners, edges = [], []
    for start, stop in pairwise([*first.tolist(), pairs.shape[1]]):
        asked, seen = linear_sum_assignment(pairs[:, start:stop], maximize=True)
        partner = seen[asked == 0]
        if len(partner):
            partners.append(start + int(partner[0]))
            edges.append(pairs[asked, start + seen].max())
    return np.array(partners, np.int64), np.array(edges, pairs.dtype)
