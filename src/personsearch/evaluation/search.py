"""How well does a searcher find the people a protocol asks for? The search protocol of the field.

One pure function for every data set: who is in the gallery and where the truth is, is
data (:class:`~personsearch.types.Trials`), not code. Source: search protocol of CUHK-SYSU (Xiao et
al., CVPR 2017) as the field's public evaluators compute it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from personsearch.errors import InputError
from personsearch.evaluation.iou_rule import FIXED_IOU
from personsearch.evaluation.metrics import mean_precision
from personsearch.evaluation.search_rules import OFFICIAL, Policies, SearchRules, rules_of_prw
from personsearch.evaluation.search_tables import (
    Galleries,
    Listing,
    Pairs,
    People,
    SearchFeatures,
    Truths,
    ranges,
)
from personsearch.ranking.context import match_in_context
from personsearch.ranking.kreciprocal import rerank
from personsearch.ranking.similarity import norms, similarities
from personsearch.types import Array, SearchScores, Trials

__all__ = [
    "FIXED_IOU",
    "Policies",
    "SearchFeatures",
    "SearchRules",
    "ranges",
    "rules_of_prw",
    "score_search",
    "score_searches",
]

BLOCK = 512
_BLOCK_NUMBERS = 1 << 25
"""Similarities held at a time (128 MiB as float32), whatever the size of the gallery."""
WORTH_A_BLOCK = 16
"""Galleries with less than this part of everybody are compared by themselves, query by query (measured)."""
_WORTH_SORTING = 400
"""So many people for each right answer cost less to sort than to count once for each (measured)."""


def score_search(
    trials: Trials, features: SearchFeatures, rules: SearchRules = OFFICIAL, *, block: int = BLOCK
) -> SearchScores:
    """How well everybody that ``trials`` look for is found: :func:`score_searches` of one protocol."""
    return score_searches([trials], features, rules, block=block)[0]


def score_searches(
    trials: Sequence[Trials],
    features: SearchFeatures,
    rules: SearchRules = OFFICIAL,
    *,
    block: int = BLOCK,
) -> tuple[SearchScores, ...]:
    """How well everybody that some protocols look for is found, query by query; one answer a protocol.

    For each gallery entry with the person: among the detections that overlap the true box
    enough, the most similar one to the query is right (not the best placed one), every other
    detection of the gallery is wrong. A person whom no detection overlaps is missed: average precision
    is multiplied by found / all. Detections in an ignored box, and not on the true one,
    leave the ranking, after any re-ranking: that knows no truth. Ranks count boxes, not
    pictures; equal similarities stand in gallery order, and within a picture in the order
    of the detections.

    A query with no true box anywhere scores 0 in everything, or NaN in the clean policy,
    and is named in ``rules["without_positives"]`` (indices of queries). ``rules["policies"]``
    names what was done about each known defect of the protocols.

    Unit vectors, up to half precision, are multiplied as they are, as in the field; all other
    embeddings are compared as ``features.similarity`` says.

    Args:
        trials: the protocols. Queries and people are compared once for all of them, so the six
            sizes of CUHK-SYSU in one call cost little more than the largest.
        features: what was seen in their pictures.
        rules: what evaluators differ in.
        block: queries compared in one matrix product, at most; memory and time depend on it.

    Raises:
        DatasetError: ``features`` lack a gallery's picture or a query.
        InputError: an embedding is not finite.
        UsageError: context matching is asked for, and the features do not say who is around
            the queries.
    """
    rows = [np.asarray(features.query_rows(one), np.int64) for one in trials]
    asked = np.unique(np.concatenate([np.zeros(0, np.int64), *rows]))
    embeddings = np.asarray(features.q_feat, np.float32)[asked]
    for one in rows:
        bad = np.flatnonzero(~np.isfinite(norms(embeddings[np.searchsorted(asked, one)])))
        if len(bad):
            raise InputError(f"the embedding of query {bad[0]} is not finite", hint="the model is broken")
    people = People(features, rules, embeddings)
    pairs = zip(trials, rows, strict=True)
    searches = [ProtocolSearch(one, mine, features, people, rules) for one, mine in pairs]
    listed = max((search.galleries.people_listed() for search in searches), default=0.0)
    whole = listed * WORTH_A_BLOCK >= len(people)
    step = max(1, min(block, _BLOCK_NUMBERS // max(1, len(people)))) if whole else 1
    for start in range(0, len(asked), step):
        some = embeddings[start : start + step]
        table = similarities(some, people.feat, people.kind, people_norms=people.norms) if whole else None
        for row, embedding in enumerate(some):
            alike = of_row(table[row]) if table is not None else directly(embedding, people)
            for search in searches:
                for query in search.queries_of(int(asked[start + row])):
                    search.score(query, embedding, alike)
    return tuple(search.scores() for search in searches)


def of_row(row: Array) -> Callable[[Array], Array]:
    """Similarities to some of the people, from those to everybody."""
    return lambda people: row.take(people)


def directly(embedding: Array, people: People) -> Callable[[Array], Array]:
    """Similarities to some of the people, compared when they are asked for."""

    def alike(rows: Array) -> Array:
        some = people.feat.take(rows, axis=0)
        result: Array = similarities(embedding[None], some, people.kind, people_norms=people.norms[rows])[0]
        return result

    return alike


@dataclass(frozen=True, eq=False)
class _Asked:
    """One query with its gallery and its true boxes.

    Attributes:
        query: which.
        start: number of its first true box.
        listing: its gallery.
        entry: (t,) the searched entry that each of its boxes is in, -1: none.
        counted: (t,) bool, whether it is to be found; one that is in no searched entry is missed.
    """

    query: int
    start: int
    listing: Listing
    entry: Array
    counted: Array


@dataclass(frozen=True, eq=False)
class _Found:
    """The right answers of one query: how similar, and how many of its gallery stand before each."""

    query: int
    similarity: Array
    here: Array
    before: Array


class ProtocolSearch:
    """One protocol being scored."""

    def __init__(
        self, trials: Trials, rows: Array, features: SearchFeatures, people: People, rules: SearchRules
    ) -> None:
        self.galleries = Galleries(trials, people, features, rules)
        self.truths = Truths(trials, self.galleries.start, self.galleries.stop, people, rules)
        self._trials, self._rows, self._features = trials, rows, features
        self._people, self._rules = people, rules
        self._queries: dict[int, list[int]] = {}
        for query, row in enumerate(rows.tolist()):
            self._queries.setdefault(row, []).append(query)
        self._wanted = np.zeros(len(trials), np.int64)
        self._first_hit = np.zeros(len(trials), np.int64)
        self._found: list[_Found] = []

    def queries_of(self, row: int) -> Sequence[int]:
        """The queries that are described by ``row`` of the features."""
        return self._queries.get(row, ())

    def score(self, i: int, embedding: Array, alike: Callable[[Array], Array]) -> None:
        """Where the right answers of query ``i`` stand in its gallery."""
        start, stop = self.truths.ptr[i : i + 2].tolist()
        if start == stop:
            return
        asked = self.asked(i, start, stop)
        self._wanted[i] = asked.counted.sum()
        values = self.revised(asked, embedding, alike(asked.listing.people))
        places, box, overlap = self.placed(self.truths.right, asked)
        self.drop(asked, values, places)
        if not len(places):
            return
        right = places[self.choose(values[places], places, box, overlap, asked.entry)]
        level = values[right]
        before, here = _counts(values, level)
        best = int(right[level == level.max()].min())
        equals_before = np.count_nonzero(values[:best] == values[best])
        self._first_hit[i] = before[level.argmax()] + equals_before + 1
        self._found.append(_Found(i, level, here, before))

    def asked(self, i: int, start: int, stop: int) -> _Asked:
        """Query ``i``, whose true boxes are ``start:stop``."""
        listing = self.galleries.listing(i)
        entry = listing.entries(self.truths.entry[start:stop] - self._trials.entry_ptr[i])
        counted = np.ones(stop - start, bool)
        if self._rules.policy == "clean":
            counted = entry >= 0
            if len(entry) > 1:  # the entries of a repeated picture may name the same box each time
                named = np.column_stack([entry, self.truths.box[start:stop]])
                first = np.unique(named, axis=0, return_index=True)[1]
                counted &= np.isin(np.arange(len(entry)), first)
        return _Asked(i, start, listing, entry, counted)

    def placed(self, pairs: Pairs, asked: _Asked) -> tuple[Array, Array, Array]:
        """Whoever overlaps a true box that can be found: the place in the gallery, the box, the overlap."""
        person, box, overlap = pairs.of(asked.start, asked.start + len(asked.entry))
        box = box - asked.start
        usable = (asked.counted & (asked.entry >= 0))[box]
        person, box, overlap = person[usable], box[usable], overlap[usable]
        return self.galleries.places(asked.listing, asked.entry[box], person), box, overlap

    def revised(self, asked: _Asked, embedding: Array, values: Array) -> Array:
        """``values`` after re-ranking, where the rules ask for it."""
        rules, people, rows = self._rules, self._people, asked.listing.people
        if rules.context is not None:
            k1, k2 = rules.context
            around = self._features.context(int(self._rows[asked.query])).embeddings
            entry = asked.listing.entry
            return match_in_context(
                values, entry, people.feat, around, k1=k1, k2=k2, kind=people.kind, rows=rows
            )
        if rules.k_reciprocal is not None and len(values):
            best, new = rerank(embedding, people.feat, values, people.kind, rules.k_reciprocal, rows=rows)
            values = values.astype(np.float64)
            values -= values.max() + 2.0  # behind the new ones, which are in [-1, 0]
            values[best] = new
        return values

    def drop(self, asked: _Asked, values: Array, on_truth: Array) -> None:
        """Put those who count neither way behind everybody, where nobody counts them."""
        ignored = self.galleries.ignored(asked.query, asked.listing)
        dropped = np.append(ignored, self.placed(self.truths.junk, asked)[0])
        if len(dropped):
            kept = values[on_truth]
            values[dropped] = -np.inf
            values[on_truth] = kept

    def choose(self, values: Array, places: Array, box: Array, overlap: Array, entry: Array) -> Array:
        """Which of the pairs (a place in the gallery, a true box) are right."""
        if self._rules.policies.several_boxes == "first" or len(np.unique(entry)) == len(entry):
            order = np.lexsort((places, -values, box))
            best: Array = order[np.append(True, box[order][1:] != box[order][:-1])]
            return best
        chosen: list[int] = []
        taken: set[int] = set()
        given: set[int] = set()
        for pair in np.lexsort((box, -overlap, places, -values)).tolist():
            if places[pair] not in taken and box[pair] not in given:
                chosen.append(pair)
                taken.add(int(places[pair]))
                given.add(int(box[pair]))
        return np.array(chosen, np.int64)

    def scores(self) -> SearchScores:
        """What came out, once every query has been scored."""
        found, wanted, n = self._found, self._wanted, len(self._trials)
        counts = np.array([len(one.similarity) for one in found], np.int64)
        query = np.repeat(np.array([one.query for one in found], np.int64), counts)

        def column(name: str) -> Array:
            return np.concatenate([np.zeros(0, np.float32), *(getattr(one, name) for one in found)])

        recall = np.bincount(query, minlength=n) / np.maximum(wanted, 1)
        precision = mean_precision(
            query, column("similarity"), column("here"), column("before"), n, self._rules.ap
        )
        ap = precision * recall
        if self._rules.policies.without_positives == "left out":
            ap, recall = (np.where(wanted > 0, one, np.nan) for one in (ap, recall))
        return SearchScores(
            protocol=self._trials.name, ap=ap, first_hit=self._first_hit, recall=recall, rules=self._said()
        )

    def _said(self) -> dict[str, Any]:
        policies = self._rules.policies
        return {
            **asdict(self._rules),
            "repeated": policies.repeated_picture,
            "policies": asdict(policies),
            "similarity": self._features.similarity,
            "without_positives": np.flatnonzero(self._wanted == 0).tolist(),
        }


def _counts(values: Array, level: Array) -> tuple[Array, Array]:
    """How many of ``values`` are over each ``level``, and how many at least there."""
    ahead = values[values >= level.min()]
    n = len(ahead)
    if n <= _WORTH_SORTING * len(level):
        ahead.sort()
        return n - np.searchsorted(ahead, level, "right"), n - np.searchsorted(ahead, level, "left")
    before = np.array([np.count_nonzero(ahead > one) for one in level])
    return before, np.array([np.count_nonzero(ahead >= one) for one in level])
