"""Who else is there? People who were seen together are looked for together."""

from __future__ import annotations

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
) -> Array:
    """The similarities of one query, revised by who else is in the pictures (CBGM).

    For every picture that holds one of the ``k1`` most similar people, the first ``k2``
    people of the query's picture are matched one to one with the people of that picture,
    so that the sum of their similarities is largest. If the query itself finds a partner,
    the partner's similarity becomes that of the *best* pair of the matching: a companion
    who is surely there speaks for the person beside him. So a person may end up with a
    similarity that is not his own, and the query may lose its partner (unchanged then)
    to a companion who suits him better.

    Args:
        similarities: (n,) of the query to everybody in its gallery.
        pictures: (n,) which picture of the gallery each is in, any integers; a picture
            that a protocol lists twice is matched twice if it has two numbers.
        people: (n, d) their embeddings.
        context: (m, d) embeddings of the people of the query's picture: the query FIRST,
            then the others, best detection first.
        k1: how many of the most similar people name a picture; ties as in ``top_k``.
        k2: how many people of the query's picture take part, the query among them.
        kind: how embeddings are compared.

    Returns:
        (n,) of the type of ``similarities``.

    Raises:
        ValueError: shapes that do not fit, no query in ``context``, a NaN.

    Source: Li and Miao, Sequential End-to-end Network for Efficient Person Search (AAAI
    2021), context bipartite graph matching. It is often described as giving the partner
    the total weight of the matching; the authors' evaluator gives the best edge, as here.

    >>> asked = np.array([[1.0, 0.0], [0.0, 1.0]])  # the query and a companion
    >>> seen = np.array([[0.6, 0.8], [0.0, 1.0], [0.8, 0.6]])  # two in picture 5, one in 6
    >>> match_in_context(np.array([0.6, 0.0, 0.8]), np.array([5, 5, 6]), seen, asked, k2=2).round(3)
    array([1. , 0. , 0.8])
    """
    values, pictures = np.asarray(similarities), np.asarray(pictures)
    if values.ndim != 1 or pictures.shape != values.shape or len(people) != len(values):
        raise ValueError(
            f"similarities {values.shape}, pictures {pictures.shape} and people {np.shape(people)} do not fit"
        )
    if len(context) == 0 or k1 < 1 or k2 < 1:
        raise ValueError("context must begin with the query, k1 and k2 must be positive")
    revised: Array = values.copy()
    for picture in np.unique(pictures[top_k(values, k1)[0]]):
        rows = np.flatnonzero(pictures == picture)
        partner, best_edge = _partner(compare(context[:k2], people[rows], kind))
        if partner is not None:
            revised[rows[partner]] = best_edge
    return revised


def _partner(pairs: Array) -> tuple[int | None, float]:
    """Whom the best matching of rows with columns gives to row 0, and its best edge."""
    asked, seen = linear_sum_assignment(pairs, maximize=True)
    partner = seen[asked == 0]
    return (int(partner[0]) if len(partner) else None), float(pairs[asked, seen].max())
