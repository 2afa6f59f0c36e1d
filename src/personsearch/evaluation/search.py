"""How well does a searcher find the people a protocol asks for? The search protocol of the field.

One pure function for every data set: who is in the gallery and where the truth is, is
data (:class:`~personsearch.types.Trials`), not code. Source: search protocol of CUHK-SYSU (Xiao et
al., CVPR 2017) as the field's public evaluators compute it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal, Protocol

import numpy as np

from personsearch.errors import DatasetError, InputError
from personsearch.evaluation.iou_rule import match_threshold, paired_ignored, paired_iou
from personsearch.evaluation.metrics import ApReading, average_precision, first_hit
from personsearch.ranking.similarity import norms, similarities
from personsearch.types import Array, SearchScores, Similarity, Trials

FIXED_IOU = 0.5
_BLOCK_NUMBERS = 1 << 25
"""Similarities held at a time (128 MiB as float32), whatever the size of the gallery."""
_WORTH_A_BLOCK = 16
"""A gallery with less than this part of everybody is compared by itself, query by query (measured)."""


@dataclass(frozen=True, kw_only=True)
class SearchRules:
    """What evaluators differ in. The defaults are those of the first and most cited one.

    Attributes:
        det_threshold: detections with a lower score do not exist.
        match_iou: overlap that finds a person: ``"size-adaptive"``, or ``"fixed"`` at 0.5.
        repeated: a picture that a gallery lists again is searched ``"twice"``, or only the
            ``"first"`` time (its person is counted as missed the second time, as SeqNet's
            evaluator and its descendants do).
        ap: how average precision is read.
    """

    det_threshold: float = 0.5
    match_iou: Literal["size-adaptive", "fixed"] = "size-adaptive"
    repeated: Literal["twice", "first"] = "twice"
    ap: ApReading = "step"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("match_iou", ("size-adaptive", "fixed")),
            ("repeated", ("twice", "first")),
            ("ap", ("step", "trapezoid")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is one of {', '.join(allowed)}, got {getattr(self, name)!r}")


class SearchFeatures(Protocol):
    """What scoring has to know of a searcher: what it saw, and how it describes the queries."""

    @property
    def similarity(self) -> Similarity:
        """How embeddings are compared."""
        ...

    @property
    def scenes(self) -> tuple[str, ...]:
        """Names of the pictures looked at."""
        ...

    @property
    def det_ptr(self) -> Array:
        """(N+1,) int64; people seen in picture i are rows ``det_ptr[i]:det_ptr[i+1]``."""
        ...

    @property
    def det_box(self) -> Array:
        """(M, 4) float32 x1 y1 x2 y2."""
        ...

    @property
    def det_score(self) -> Array:
        """(M,) float32."""
        ...

    @property
    def det_feat(self) -> Array:
        """(M, d) float32."""
        ...

    def query_embeddings(self, trials: Trials) -> Array:
        """(Q, d) float32 descriptions of the people that ``trials`` look for."""
        ...


def score_search(
    trials: Trials, features: SearchFeatures, rules: SearchRules = SearchRules(), *, block: int = 512
) -> SearchScores:
    """How well everybody that ``trials`` look for is found, query by query.

    For each gallery entry with the person: among the detections that overlap the true box
    enough, the most similar one to the query is right (not the best placed one), every other
    detection of the gallery is wrong. A person whom no detection overlaps is missed: average precision
    is multiplied by found / all. Where an entry has several true boxes, the first counts, as
    in the field's evaluators. Detections in an ignored box, and not on the true one, leave
    the ranking. Ranks count boxes, not pictures; equal similarities stand in gallery order.

    A query with no true box anywhere scores 0 in everything and is named in
    ``rules["without_positives"]`` (indices of queries).

    Args:
        trials: the searches.
        features: what was seen in their pictures.
        rules: what evaluators differ in.
        block: queries compared with everybody in one matrix product, at most; only
            memory and time depend on it.

    Raises:
        DatasetError: a gallery names a picture that ``features`` do not have.
        InputError: an embedding is not finite.
    """
    seen = _People(trials, features, rules)
    matches = _Matches(trials, seen, rules)
    ap, recall = np.zeros(len(trials)), np.zeros(len(trials))
    hit = np.zeros(len(trials), np.int64)
    barren = []
    alike_to = _Similarities(trials, features, seen, block)
    for i in range(len(trials)):
        truths = int(np.count_nonzero(matches.has_truth[trials.entry_ptr[i] : trials.entry_ptr[i + 1]]))
        if not truths:
            barren.append(i)
            continue
        alike, right = matches.ranking(partial(alike_to.of, i), _entries(trials, i, rules))
        recall[i] = np.count_nonzero(right) / truths
        ap[i] = average_precision(alike, right, rules.ap) * recall[i]
        hit[i] = first_hit(alike, right)
    said = {**asdict(rules), "similarity": features.similarity, "without_positives": barren}
    return SearchScores(protocol=trials.name, ap=ap, first_hit=hit, recall=recall, rules=said)


class _People:
    """The detections that count, by scene of the trials: CSR pointer, boxes, embeddings."""

    def __init__(self, trials: Trials, features: SearchFeatures, rules: SearchRules) -> None:
        row_of = {name: row for row, name in enumerate(features.scenes)}
        scene_row = np.array([row_of.get(name, -1) for name in trials.scenes], np.int64)
        used = np.unique(trials.entry_scene)
        missing = used[scene_row[used] < 0]
        if len(missing):
            raise DatasetError(
                f"the features hold nothing of {trials.scenes[missing[0]]} ({len(missing)} pictures missing)",
                hint="they were made for other pictures; make them again for this data set",
            )
        start = np.where(scene_row >= 0, features.det_ptr[scene_row], 0)
        stop = np.where(scene_row >= 0, features.det_ptr[scene_row + 1], 0)
        rows = ranges(start, stop)
        kept = np.asarray(features.det_score)[rows] >= np.float32(rules.det_threshold)
        scene = np.repeat(np.arange(len(trials.scenes)), stop - start)[kept]
        self.ptr = np.concatenate([[0], np.cumsum(np.bincount(scene, minlength=len(trials.scenes)))])
        self.box = np.asarray(features.det_box, np.float32)[rows[kept]]
        self.feat = np.asarray(features.det_feat, np.float32)[rows[kept]]
        if not np.isfinite(self.feat).all():
            bad = int(np.flatnonzero(~np.isfinite(self.feat).all(axis=1))[0])
            raise InputError(
                f"an embedding in {trials.scenes[scene[bad]]} is not finite", hint="the model is broken"
            )


class _Matches:
    """Which detections overlap which true or ignored box: found once, whatever the similarities."""

    def __init__(self, trials: Trials, seen: _People, rules: SearchRules) -> None:
        self._scene, self._ptr = trials.entry_scene, seen.ptr
        self.has_truth = np.diff(trials.truth_ptr) > 0
        entries = np.flatnonzero(self.has_truth)
        truth = trials.truth_box[trials.truth_ptr[entries]]  # of several boxes the first counts
        adaptive = rules.match_iou == "size-adaptive"
        threshold = match_threshold(truth) if adaptive else np.full(len(truth), FIXED_IOU)
        person, of = self._people(entries)
        kept = paired_iou(seen.box[person], truth[of]) >= threshold[of]
        self._true_entry, self._true_person = entries[of[kept]], person[kept]

        entries = np.repeat(np.arange(len(self._scene)), np.diff(trials.ignore_ptr))
        person, of = self._people(entries)
        kept = paired_ignored(seen.box[person], trials.ignore_box[of])
        self._ignored_entry, self._ignored_person = entries[of[kept]], person[kept]

    def _people(self, entries: Array) -> tuple[Array, Array]:
        """Rows of everybody seen in ``entries``, and for each the place of the entry in the list."""
        scene = self._scene[entries]
        start, stop = self._ptr[scene], self._ptr[scene + 1]
        return ranges(start, stop), np.repeat(np.arange(len(entries)), stop - start)

    def ranking(self, alike_to: Callable[[Array], Array], entries: Array) -> tuple[Array, Array]:
        """Similarities of everybody in ``entries`` in gallery order, and who of them is right.

        Args:
            alike_to: similarities of the query to the people of given rows.
            entries: ascending entries of one query.
        """
        people, of = self._people(entries)
        first = np.searchsorted(of, np.arange(len(entries)))  # where each entry's people start
        alike = alike_to(people)
        true = self._places(entries, first, self._true_entry, self._true_person)
        ignored = self._places(entries, first, self._ignored_entry, self._ignored_person)
        best = true[np.lexsort((true, -alike[true], of[true]))]
        best = best[np.unique(of[best], return_index=True)[1]]  # per entry the most similar, then the earlier
        right, counts = np.zeros(len(people), bool), np.ones(len(people), bool)
        right[best] = True
        counts[ignored] = False
        counts[true] = True
        return alike[counts], right[counts]

    def _places(self, entries: Array, first: Array, entry: Array, person: Array) -> Array:
        """Where the pairs (``entry``, ``person``) of these ``entries`` stand in their ranking."""
        if not len(entries):
            return np.zeros(0, np.int64)
        pairs = slice(np.searchsorted(entry, entries[0]), np.searchsorted(entry, entries[-1], "right"))
        entry, person = entry[pairs], person[pairs]
        index = np.searchsorted(entries, entry)
        there = entries[index] == entry  # an entry that is listed again may be left out
        index, entry, person = index[there], entry[there], person[there]
        places: Array = first[index] + person - self._ptr[self._scene[entry]]
        return places


def ranges(start: Array, stop: Array) -> Array:
    """``start[0], ..., stop[0] - 1, start[1], ...`` in one array.

    >>> ranges(np.array([5, 0, 2]), np.array([7, 0, 5])).tolist()
    [5, 6, 2, 3, 4]
    """
    length = np.asarray(stop) - np.asarray(start)
    before = np.cumsum(length) - length
    result: Array = np.repeat(start - before, length) + np.arange(length.sum())
    return result


def _entries(trials: Trials, i: int, rules: SearchRules) -> Array:
    """Ascending gallery entries of query ``i`` that are searched."""
    entries = np.arange(trials.entry_ptr[i], trials.entry_ptr[i + 1])
    if rules.repeated == "first":
        _, first = np.unique(trials.entry_scene[entries], return_index=True)
        entries = entries[np.sort(first)]
    return entries


class _Similarities:
    """Each query's similarity to some of the people seen: of a small gallery directly, else by blocks."""

    def __init__(self, trials: Trials, features: SearchFeatures, seen: _People, block: int) -> None:
        self._queries = np.asarray(features.query_embeddings(trials), np.float32)
        bad = np.flatnonzero(~np.isfinite(self._queries).all(axis=1))
        if len(bad):
            raise InputError(f"the embedding of query {bad[0]} is not finite", hint="the model is broken")
        self._people, self._norms, self._kind = seen.feat, norms(seen.feat), features.similarity
        self._step = max(1, min(block, _BLOCK_NUMBERS // max(1, len(seen.feat))))
        self._start, self._rows = 0, np.zeros((0, len(seen.feat)), np.float32)

    def of(self, query: int, people: Array) -> Array:
        """(len(people),) float32; queries are asked for in ascending order."""
        if len(people) * _WORTH_A_BLOCK < len(self._people):
            direct: Array = self._compare(query, 1, self._people[people], self._norms[people])[0]
            return direct
        if query >= self._start + len(self._rows):
            self._start = query
            self._rows = self._compare(query, self._step, self._people, self._norms)
        alike: Array = self._rows[query - self._start][people]
        return alike

    def _compare(self, query: int, count: int, people: Array, lengths: Array) -> Array:
        queries = self._queries[query : query + count]
        return similarities(queries, people, self._kind, people_norms=lengths)
