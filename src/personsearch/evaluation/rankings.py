"""One query's whole ranking: who stands in it, how alike, and who of them is the person looked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from personsearch.errors import InputError
from personsearch.evaluation.search import WORTH_A_BLOCK, ProtocolSearch, directly, of_row
from personsearch.evaluation.search_rules import SearchRules
from personsearch.evaluation.search_tables import Listing, People, SearchFeatures
from personsearch.ranking.similarity import similarities
from personsearch.ranking.topk import top_k
from personsearch.types import Array, Trials

_BLOCK_NUMBERS = 1 << 24
"""Similarities held at a time (64 MiB as float32)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Ranking:
    """Everybody who counts in one search, in gallery order: n detections.

    Attributes:
        query: row in the trials.
        similarity: (n,) float, larger is more alike, after re-ranking where the rules ask for it.
        detection: (n,) int64 row in the features' ``det_*``.
        entry: (n,) int64 row in the trials' entries.
        right: (n,) bool: scoring takes this detection for the person.
        same: (n,) bool: matches a true box, so it shows the person, be it scoring's or a second one.
    """

    query: int
    similarity: Array
    detection: Array
    entry: Array
    right: Array
    same: Array

    def first(self, k: int) -> Array:
        """(min(n, k),) places in these columns, best first; equals in gallery order."""
        return top_k(self.similarity, k)[0]

    def rank_of(self, place: int) -> int:
        """Rank (1 for the best) of the detection at ``place``."""
        value = self.similarity[place]
        before = np.count_nonzero(self.similarity[:place] == value)
        return int(np.count_nonzero(self.similarity > value) + before + 1)


class Rankings:
    """The rankings that :func:`~personsearch.evaluation.search.score_search` scores, one by one.

    What overlaps what is found once; similarities are compared in blocks, so memory stays
    bounded whatever the gallery. Iterating gives every query in order and is the cheapest
    way to all of them.

    Raises:
        DatasetError: a gallery names a picture that ``features`` do not have.
        InputError: an embedding is not finite.
    """

    def __init__(self, trials: Trials, features: SearchFeatures, rules: SearchRules) -> None:
        self.trials, self.features, self.rules = trials, features, rules
        rows = np.asarray(features.query_rows(trials), np.int64)
        self._queries = np.asarray(features.q_feat, np.float32)[rows]
        if not np.isfinite(self._queries).all():
            raise InputError("the embedding of a query is not finite", hint="the model is broken")
        self._people = People(features, rules, self._queries)
        self._row = np.flatnonzero(np.asarray(features.det_score) >= np.float32(rules.det_threshold))
        self._search = ProtocolSearch(trials, rows, features, self._people, rules)

    def __len__(self) -> int:
        return len(self.trials)

    def __iter__(self) -> Iterator[Ranking]:
        return self.each(np.arange(len(self)))

    def each(self, queries: Array) -> Iterator[Ranking]:
        """The rankings of some queries, in the order given."""
        everybody = max(1, len(self._people))
        whole = self._search.galleries.people_listed() * WORTH_A_BLOCK >= len(self._people)
        step = max(1, min(256, _BLOCK_NUMBERS // everybody)) if whole else 1
        for start in range(0, len(queries), step):
            some = queries[start : start + step].tolist()
            if not whole:
                yield self.of(some[0])
                continue
            table = similarities(
                self._queries[some], self._people.feat, self._people.kind, people_norms=self._people.norms
            )
            for query, values in zip(some, table, strict=True):
                yield self._ranking(query, of_row(values))

    @property
    def people_listed(self) -> float:
        """About how many people a query is compared with."""
        return self._search.galleries.people_listed()

    def of(self, query: int) -> Ranking:
        """The ranking of one query."""
        return self._ranking(query, directly(self._queries[query], self._people))

    def _ranking(self, query: int, alike: Callable[[Array], Array]) -> Ranking:
        search = self._search
        asked = search.asked(query, *search.truths.ptr[query : query + 2].tolist())
        listing = asked.listing
        values = search.revised(asked, self._queries[query], alike(listing.people))
        places, box, overlap = search.placed(search.truths.right, asked)
        search.drop(asked, values, places)
        right, same = np.zeros(len(values), bool), np.zeros(len(values), bool)
        same[places] = True
        if len(places):
            right[places[search.choose(values[places], places, box, overlap, asked.entry)]] = True
        counts = values > -np.inf
        return Ranking(
            query=query,
            similarity=values[counts],
            detection=self._row[listing.people[counts]],
            entry=self.trials.entry_ptr[query] + _entries(listing)[listing.entry[counts]],
            right=right[counts],
            same=same[counts],
        )


def _entries(listing: Listing) -> Array:
    """For each searched entry the first entry of the query's gallery that it stands for."""
    if listing.place is None:
        return np.arange(len(listing.picture))
    stands, first = np.unique(listing.place, return_index=True)
    return first[stands >= 0]
