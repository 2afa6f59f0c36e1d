"""The exact best k at the speed of the bare product: float32 for everybody, float64 for who may win.

One BLAS product in float32 reads every vector once, which is all that the memory allows. What it
says of a person is wrong by at most a bound that is known beforehand; whoever could be among the
best within that bound is computed again in float64. The answer is therefore that of a full
float64 search, ties included, and not one that is probably right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from personsearch.ranking.similarity import norms, similarities
from personsearch.ranking.topk import top_k
from personsearch.types import Array, Similarity

UNIT = 2.0**-24
"""Relative error of one rounding to float32."""

FEW = 0.25
"""With a smaller share of the rows allowed, gathering them costs less than reading all."""

AT_A_TIME = 1 << 14
"""Rows gathered at once: a copy that small stays in cache."""

AT_ONCE = 1024
"""Candidates for whom the ways of large tables cost more than they save."""

PRODUCTS = 1 << 24
"""Products of a batch of queries held at once: 64 MiB of float32."""

_LAYERS = 64
"""People in a group of :func:`kth`, at most."""

SPARE = 32
"""Of one group, so many more are looked at than are wanted: mostly enough, and little work."""

LONGEST = 1e15
"""Vectors longer than this (or shorter than its inverse) are compared in float64 throughout: the
products of float32 could overflow or vanish."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """Who counts, and what every search makes of that: kept, it is made once.

    >>> chosen = Chosen(np.array([True, False, True]))
    >>> chosen.number, chosen.rows.tolist(), chosen.barred.tolist()
    (2, [0, 2], [0.0, -inf, 0.0])
    """

    mask: Array

    @cached_property
    def number(self) -> int:
        """How many."""
        return int(np.count_nonzero(self.mask))

    @cached_property
    def rows(self) -> Array:
        """(number,) their rows, rising."""
        return np.flatnonzero(self.mask)

    @cached_property
    def barred(self) -> Array:
        """(n,) float32: 0 for whoever counts, minus infinity for the others."""
        return _barred(self.mask)


@dataclass(frozen=True, eq=False, kw_only=True)
class Matrix:
    """Vectors, and what is kept beside them so that a search is one product.

    Attributes:
        vectors: (n, d) float32, raw.
        lengths: (n,) float64, Euclidean.
        lengths32, inverse: (n,) float32: the lengths, and one over them (0 for a zero vector).
        plain: no length is so far from 1 that float32 could not carry the products.
    """

    vectors: Array
    lengths: Array
    lengths32: Array
    inverse: Array
    plain: bool

    def __len__(self) -> int:
        return len(self.vectors)

    @staticmethod
    def of(vectors: Array) -> Matrix:
        """The matrix of ``vectors`` (n, d) float32, which are not copied.

        >>> matrix = Matrix.of(np.array([[3, 4], [0, 0]], np.float32))
        >>> matrix.lengths.tolist(), matrix.inverse.round(3).tolist(), matrix.plain
        ([5.0, 0.0], [0.20000000298023224, 0.0], True)
        """
        return Matrix._with(vectors, norms(vectors))

    @staticmethod
    def _with(vectors: Array, lengths: Array) -> Matrix:
        positive = lengths > 0
        inverse = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=positive)
        some = lengths[positive]
        plain = not len(some) or (float(some.max()) < LONGEST and float(some.min()) > 1 / LONGEST)
        if not plain:
            inverse = np.clip(inverse, 0, LONGEST)  # unused, but it must fit
        return Matrix(
            vectors=vectors,
            lengths=lengths,
            lengths32=np.minimum(lengths, 1e30).astype(np.float32),
            inverse=inverse.astype(np.float32),
            plain=plain,
        )

    def take(self, rows: Array) -> Matrix:
        """The matrix of these rows (numbers or a mask), copied."""
        return Matrix._with(self.vectors[rows], self.lengths[rows])

    def followed_by(self, vectors: Array, room: Array | None = None) -> Matrix:
        """This matrix with more ``vectors`` (m, d) below it.

        Args:
            room: a larger array that ``self.vectors`` is the beginning of; the new rows are
                written behind it and nothing is copied. Without it everything is.
        """
        n = len(self) + len(vectors)
        if room is None:
            whole = np.concatenate([self.vectors, vectors])
        else:
            room[len(self) : n] = vectors
            whole = room[:n]
        return Matrix._with(whole, np.concatenate([self.lengths, norms(vectors)]))

    def finders(self, queries: Array, kind: Similarity, wanted: Array | Chosen | None) -> Iterator[Finder]:
        """One after the other, something for each of ``queries`` (q, d) float32 that gives its best ``k``.

        Args:
            queries: finite, raw.
            kind: how vectors are compared.
            wanted: (n,) bool, who counts; None for everybody. Nobody else is ever ranked, so nobody
                is missed for them. As :class:`Chosen` where several searches are of the same people.
        """
        chosen = wanted if wanted is None or isinstance(wanted, Chosen) else Chosen(np.asarray(wanted, bool))
        number = len(self) if chosen is None else chosen.number
        some = None if number == len(self) else chosen
        lengths = norms(queries)
        whole = lengths
        plain = self.plain and bool(((lengths < LONGEST) & (lengths > 1 / LONGEST)).all())
        few = some is not None and number < FEW * len(self)
        rows = some.rows if some is not None and (few or not plain) else None
        if not plain:
            for query, length in zip(queries, whole, strict=True):
                yield Finder(self, query, length, kind, number, rows, None, None)
            return
        barred = None if some is None or few else some.barred
        asked = queries
        if kind == "cosine":  # a query's length does not matter, and unit ones make the bound simple
            asked = (queries / lengths[:, None]).astype(np.float32)
            lengths = np.ones_like(lengths)
        step = max(1, PRODUCTS // max(1, number if few else len(self)))
        for start in range(0, len(queries), step):
            several = asked[start : start + step]
            products = self._dot(several, self.vectors) if rows is None else self._gathered(several, rows)
            for i, product in enumerate(products, start):
                value, slack = self._bounded(product, float(lengths[i]), kind, rows)
                if barred is not None:
                    value += barred  # cheaper than taking most of them out
                yield Finder(self, queries[i], whole[i], kind, number, rows, value, slack)

    def _gathered(self, queries: Array, rows: Array) -> Array:
        """(q, m) float32 inner products with these rows only."""
        product = np.empty((len(queries), len(rows)), np.float32)
        for start in range(0, len(rows), AT_A_TIME):
            some = rows[start : start + AT_A_TIME]
            product[:, start : start + len(some)] = self._dot(queries, self.vectors[some])
        return product

    @staticmethod
    def _dot(queries: Array, vectors: Array) -> Array:
        if len(queries) == 1:  # the matrix-vector product reads rows as they lie
            one: Array = (vectors @ queries[0])[None]
            return one
        product: Array = queries @ vectors.T
        return product

    def _bounded(
        self, product: Array, length: float, kind: Similarity, rows: Array | None
    ) -> tuple[Array, Array | np.float32]:
        """What ranks people as their similarity does, and by how much it may be wrong.

        A sum of d products of float32 is off by at most about ``d u |a| |q|`` (Higham, *Accuracy and
        Stability of Numerical Algorithms*, section 3.1), whatever order BLAS adds in; some units
        more pay for the few steps that follow and for the rounding of the similarity itself.

        Euclidean: ``-|a - q|^2 = 2 (a.q - |a|^2 / 2) - |q|^2``, so the bracket ranks alike.
        """

        def of(column: Array) -> Array:
            return column if rows is None else column[rows]

        each = (self.vectors.shape[1] + 16) * UNIT
        if kind == "cosine":
            product *= of(self.inverse)
            return product, np.float32(2 * each)
        lengths = of(self.lengths32)
        if kind == "product":
            return product, lengths * np.float32(2 * each * length)
        half = lengths * lengths
        half *= np.float32(0.5)
        product -= half
        half *= np.float32(32 * UNIT)
        half += lengths * np.float32(2 * each * length)
        half += np.float32(16 * UNIT * length * length)
        return product, half


@dataclass(frozen=True, eq=False)
class Finder:
    """One query against everybody, or those in ``rows``.

    ``length`` is the query's. ``value`` ranks the ``number`` who count to within ``slack``: all rows of
    the matrix (minus infinity for whoever does not count), or only ``rows``; None where float32 cannot.
    """

    matrix: Matrix
    query: Array
    length: np.float64
    kind: Similarity
    number: int
    rows: Array | None
    value: Array | None
    slack: Array | np.float32 | None

    def __len__(self) -> int:
        """How many people are ranked."""
        return self.number

    def best(self, k: int) -> tuple[Array, Array]:
        """Rows and similarities (float32) of the ``k`` most alike, best first, ties by smaller row."""
        rows = self._candidates(k)
        alike = self._similarities(rows)
        if len(rows) > AT_ONCE:
            first, values = top_k(alike, k)
            return rows[first], values
        first = np.argsort(-alike, kind="stable")[:k]  # of few, sorting all is quicker
        return rows[first], alike[first]

    def _similarities(self, rows: Array) -> Array:
        """(m,) float32, to the last bit what :func:`~personsearch.ranking.similarity.similarities` gives.

        Of few, its checks and blocks take three times as long as the product; so here are its steps
        alone, in its order, with what is of the query alone done once.
        """
        matrix, kind = self.matrix, self.kind
        lengths = matrix.lengths[rows]
        if len(rows) > AT_ONCE:
            alike: Array = similarities(self.query[None], matrix.vectors[rows], kind, people_norms=lengths)[0]
            return alike
        wide, length = self._wide, self.length
        product = wide @ matrix.vectors[rows].astype(np.float64).T
        if kind == "cosine":
            product *= 1.0 / length if length else 0.0
            product *= np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths != 0)
        elif kind == "euclidean":
            product *= -2.0
            product += length**2
            product += lengths**2
            np.sqrt(np.maximum(product, 0.0, out=product), out=product)
            np.negative(product, out=product)
        found: Array = product[0].astype(np.float32)
        return found

    @cached_property
    def _wide(self) -> Array:
        """(1, d) float64 query."""
        return self.query[None].astype(np.float64)

    def _candidates(self, k: int) -> Array:
        """Rows of everybody who may be among the best ``k``, rising."""
        if self.value is None or self.slack is None or k >= self.number:
            if self.rows is not None:
                return self.rows
            if self.value is not None and self.number < len(self.matrix):
                return np.flatnonzero(self.value > -np.inf)
            return np.arange(len(self.matrix))
        slack = self.slack
        if isinstance(slack, np.floating):  # one bound for all: two passes over everybody less
            # One look at everybody, by a bar that is not too high, and the rest among the few it leaves.
            found = np.flatnonzero(self.value >= np.nextafter(bar(self.value, k) - 2 * slack, -np.inf))
            few = self.value[found]
            found = found[few >= np.nextafter(_kth_of_few(few, k) - 2 * slack, -np.inf)]
        else:
            found = np.flatnonzero(self.value + slack >= kth(self.value - slack, k))
        return found if self.rows is None else self.rows[found]


def _barred(wanted: Array) -> Array:
    """(n,) float32: 0 for whoever is ``wanted``, minus infinity for the others; without a branch a person.

    >>> _barred(np.array([True, False])).tolist()
    [0.0, -inf]
    """
    bits = wanted.astype(np.int32)
    bits -= 1  # no bit for the wanted, every bit for the others
    bits &= np.int32(-(1 << 23))  # sign and exponent: minus infinity
    barred: Array = bits.view(np.float32)
    return barred


def kth(values: Array, k: int) -> np.float32:
    """The ``k``-th largest of ``values`` (n,) float32, without NaN; ``1 <= k <= n``.

    A third of the time of partitioning everybody (measured at 500,000).

    >>> kth(np.array([0.1, 0.9, 0.5, 0.9], np.float32), 2)
    np.float32(0.9)
    """
    return _kth_of_few(values[values >= bar(values, k)], k)


def bar(values: Array, k: int) -> np.float32:
    """A number that is not above the ``k``-th largest of ``values`` (n,), and mostly close to it.

    Everybody goes into one of some hundred groups, and the k-th largest of the groups' largest is not
    above the k-th largest of all: it is that much of a bar for one look at everybody, which leaves few
    to be sorted out.

    >>> bar(np.array([0.1, 0.9, 0.5, 0.9], np.float32), 2)
    np.float32(-inf)
    """
    n = len(values)
    layers = min(_LAYERS, n // (4 * k))
    if layers < 2:
        return np.float32(-np.inf)
    groups = n // layers
    return _kth_of_few(values[: groups * layers].reshape(layers, groups).max(axis=0), k)


def _kth_of_few(values: Array, k: int) -> np.float32:
    """As :func:`kth`, by partitioning them all."""
    found: np.float32 = np.partition(values, len(values) - k)[len(values) - k]
    return found


def _firsts(of: Array) -> Array:
    """Where each value of ``of`` (n,) stands first: what NumPy's ``unique`` says, in half its time.

    >>> _firsts(np.array([7, 8, 7, 5])).tolist()
    [3, 0, 1]
    """
    order = np.argsort(of, kind="stable")
    rising = of[order]
    first = np.empty(len(of), bool)
    first[:1] = True
    np.not_equal(rising[1:], rising[:-1], out=first[1:])
    leaders: Array = order[first]
    return leaders


def best_of_groups(
    best: Callable[[int], tuple[Array, Array]], n: int, k: int, group: Array | None
) -> tuple[Array, Array]:
    """The ``k`` best rows of which no two are of one group, each the best of its own.

    Args:
        best: gives the best so many of ``n`` rows, as :meth:`Finder.best` does.
        group: (rows,) equal for rows of one group; None where every row is its own.

    >>> ranked = np.array([4, 2, 3, 0]), np.array([0.9, 0.8, 0.7, 0.1])
    >>> of_picture = np.array([7, 7, 8, 9, 8])
    >>> rows, values = best_of_groups(lambda k: (ranked[0][:k], ranked[1][:k]), 4, 2, of_picture)
    >>> rows.tolist(), values.tolist()
    ([4, 3], [0.9, 0.7])
    """
    if group is None:
        return best(k)
    look = min(n, k + SPARE)
    while True:
        rows, values = best(look)
        leaders = _firsts(group[rows])
        if len(leaders) >= k or look == n:
            leaders = np.sort(leaders)[:k]
            return rows[leaders], values[leaders]
        look = min(n, 4 * look)
