"""How alike are two descriptions? Larger is more alike, whichever way they are compared."""

from __future__ import annotations

import numpy as np

from personsearch.types import Array, Similarity

_BLOCK_NUMBERS = 1 << 19
"""Numbers widened to float64 at a time (4 MiB): the copy stays in cache, so it costs no time."""


def norms(people: Array) -> Array:
    """(n,) float64 Euclidean lengths of the rows of ``people`` (n, d): keep them beside a gallery.

    >>> norms(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [5.0, 0.0]
    """
    people = _table(people, "people")
    lengths = np.empty(len(people), np.float64)
    for rows in _blocks(people):
        wide = people[rows].astype(np.float64)
        lengths[rows] = np.sqrt(np.einsum("nd,nd->n", wide, wide))
    return lengths


def similarities(
    queries: Array, people: Array, kind: Similarity, *, people_norms: Array | None = None
) -> Array:
    """How alike every query is to everybody: ``(q, n)`` float32, larger is more alike.

    ``"cosine"`` is the cosine of the angle, in [-1, 1]; a zero vector, which has no
    direction, is like nobody (0). ``"euclidean"`` is minus the distance, from the inner
    product and the norms: ``-sqrt(|a|^2 + |b|^2 - 2 a.b)``. ``"product"`` is the inner
    product as it is: for vectors that are unit vectors already, or whose length means something.

    That difference loses half of the digits of whatever it is computed in, so everything is
    computed in float64 and rounded at the end: a distance is off by at most about
    ``1e-7 * (|a| + |b|)``, two copies of one vector are that near to 0 (never NaN), and
    copies of one person get the same similarity wherever they stand in the gallery, but
    for a last digit of float32 now and then. An embedding that is not finite gives a
    similarity that is not (:func:`~personsearch.ranking.topk.top_k` refuses those).

    Args:
        queries: (q, d) raw embeddings, of any float type.
        people: (n, d) raw embeddings.
        kind: ``"cosine"`` or ``"euclidean"``, as the model says, or ``"product"``.
        people_norms: (n,) float64, what :func:`norms` gave for ``people``, if it is at hand
            (rounded to float32 they cost the distance of near people their digits).

    Raises:
        ValueError: the shapes do not fit, or ``kind`` is none of the three.

    >>> asked, known = np.array([[3.0, 4.0]]), np.array([[6.0, 8.0], [0.0, 0.0], [-4.0, 3.0]])
    >>> similarities(asked, known, "cosine").tolist()
    [[1.0, 0.0, 0.0]]
    >>> similarities(asked, known[:2], "euclidean").tolist()
    [[-5.0, -5.0]]
    """
    queries, people = _table(queries, "queries"), _table(people, "people")
    if queries.shape[1] != people.shape[1]:
        raise ValueError(f"queries have {queries.shape[1]} dimensions, people {people.shape[1]}")
    if kind not in ("cosine", "euclidean", "product"):
        raise ValueError(f"similarity is 'cosine', 'euclidean' or 'product', got {kind!r}")
    if people_norms is not None and np.shape(people_norms) != (len(people),):
        raise ValueError(f"people_norms must have shape ({len(people)},), got {np.shape(people_norms)}")
    if people_norms is None and kind != "product":
        people_norms = norms(people)
    asked, lengths = queries.astype(np.float64), norms(queries)[:, None]
    result = np.empty((len(queries), len(people)), np.float32)
    for rows in _blocks(people):
        product = asked @ people[rows].astype(np.float64).T
        if kind == "cosine":  # after the product: who stands at a right angle gets 0 and nothing else
            product *= _inverse(lengths)
            product *= _inverse(np.asarray(people_norms, np.float64)[None, rows])
        elif kind == "euclidean":
            product *= -2.0
            product += lengths**2
            product += np.asarray(people_norms, np.float64)[None, rows] ** 2
            np.sqrt(np.maximum(product, 0.0, out=product), out=product)
            np.negative(product, out=product)
        result[:, rows] = product  # rounds a cosine that is a few last digits over 1 to 1
    return result


def _inverse(lengths: Array) -> Array:
    """One over each of ``lengths``; 0 for a zero vector, which is like nobody."""
    inverse: Array = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths != 0)
    return inverse


def _table(values: Array, what: str) -> Array:
    """``values`` as (n, d) floats of their own width."""
    table: Array = np.asarray(values)
    if table.ndim != 2:
        raise ValueError(f"{what} must have shape (n, d), got {table.shape}")
    return table


def _blocks(people: Array) -> list[slice]:
    """Slices of rows that are small enough to be widened in cache."""
    step = max(1, _BLOCK_NUMBERS // max(1, people.shape[1]))
    return [slice(start, min(start + step, len(people))) for start in range(0, len(people), step)]
