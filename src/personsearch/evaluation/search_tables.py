"""What scoring works on: the people seen, the boxes to be found, one query's gallery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from personsearch.errors import DatasetError, InputError
from personsearch.evaluation.iou_rule import match_thresholds, paired_ignored, paired_iou, with_sides
from personsearch.evaluation.search_rules import SearchRules
from personsearch.ranking.similarity import norms
from personsearch.types import Array, Detections, Similarity, Trials

UNIT_LENGTH = 1e-3
"""Unit vectors kept in half precision have lengths this near to 1."""
_BOXES_AT_A_TIME = 1 << 16


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

    @property
    def q_feat(self) -> Array:
        """(R, d) float32 descriptions of all queries."""
        ...

    def query_rows(self, trials: Trials) -> Array:
        """(Q,) int64 row in ``q_feat`` of each query of ``trials``."""
        ...

    def context(self, query: int) -> Detections:
        """The people around the query in row ``query`` of ``q_feat``, the query itself first."""
        ...


class People:
    """The detections that count, by picture of the features.

    Attributes:
        ptr: (N+1,) int64, people of picture i are rows ``ptr[i]:ptr[i+1]``.
        box: (M, 4) float32, continuous sides.
        feat: (M, d) float32.
        norms: (M,) float64 lengths of ``feat``.
        kind: how they are compared with queries.
    """

    def __init__(self, features: SearchFeatures, rules: SearchRules, queries: Array) -> None:
        """Keep whoever is over the threshold; ``queries`` (q, d) are what they will be compared with."""
        kept = np.asarray(features.det_score) >= np.float32(rules.det_threshold)
        everybody = bool(kept.all())
        self.ptr = np.concatenate([[0], np.cumsum(kept)])[np.asarray(features.det_ptr)]
        box, feat = np.asarray(features.det_box, np.float32), np.asarray(features.det_feat, np.float32)
        self.box = with_sides(box if everybody else box[kept], rules.box_sides)
        self.feat = feat if everybody else feat[kept]
        self.norms = norms(self.feat)
        if not np.isfinite(self.norms).all():
            bad = int(np.flatnonzero(~np.isfinite(self.norms))[0])
            name = features.scenes[int(np.searchsorted(self.ptr, bad, "right")) - 1]
            raise InputError(f"an embedding in {name} is not finite", hint="the model is broken")
        self.kind: Similarity = features.similarity
        # The field multiplies unit vectors as they are. Dividing them again by lengths that
        # half precision has moved off 1 would exchange people whom it keeps in order.
        if self.kind == "cosine" and _unit(self.norms) and _unit(norms(queries)):
            self.kind = "product"

    def __len__(self) -> int:
        return len(self.box)


def _unit(lengths: Array) -> bool:
    return bool(((np.abs(lengths - 1) <= UNIT_LENGTH) | (lengths == 0)).all())


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairs:
    """Which of the people overlap which true box, by true box.

    Attributes:
        ptr: (T+1,) int64, pairs of box t are rows ``ptr[t]:ptr[t+1]``.
        person: (P,) int64 row of the people.
        box: (P,) int64 the true box.
        overlap: (P,) float64.
    """

    ptr: Array
    person: Array
    box: Array
    overlap: Array

    def of(self, start: int, stop: int) -> tuple[Array, Array, Array]:
        """(person, box, overlap) of the boxes ``start:stop``."""
        rows = slice(self.ptr[start], self.ptr[stop])
        return self.person[rows], self.box[rows], self.overlap[rows]


class Truths:
    """The boxes that are to be found, and who overlaps them: once for all queries.

    Attributes:
        box: (T, 4) float32.
        entry: (T,) int64 entry of the trials, ascending.
        ptr: (Q+1,) int64, boxes of query i are rows ``ptr[i]:ptr[i+1]``.
        right: who overlaps a box enough.
        junk: who does not, but by ``junk_overlap``.
    """

    def __init__(self, trials: Trials, start: Array, stop: Array, people: People, rules: SearchRules) -> None:
        """``start``, ``stop``: rows of ``people`` in each of the pictures of ``trials``."""
        rows = np.arange(len(trials.truth_box))
        entry = np.searchsorted(trials.truth_ptr, rows, "right") - 1
        if rules.policies.several_boxes == "first":
            rows = rows[rows == trials.truth_ptr[entry]]
            entry = entry[rows]
        self.entry = entry
        self.box = with_sides(trials.truth_box[rows], rules.box_sides)
        self.ptr = np.searchsorted(entry, trials.entry_ptr)
        least = match_thresholds(self.box, rules.match_iou)
        lowest = least if rules.junk_overlap is None else np.minimum(least, rules.junk_overlap)
        scene = trials.entry_scene[entry]
        people_of, boxes_of, overlaps = (
            [np.zeros(0, np.int64)],
            [np.zeros(0, np.int64)],
            [np.zeros(0)],
        )
        for some in range(0, len(rows), _BOXES_AT_A_TIME):
            part = slice(some, some + _BOXES_AT_A_TIME)
            first, last = start[scene[part]], stop[scene[part]]
            person, box = ranges(first, last), np.repeat(np.arange(len(rows))[part], last - first)
            # The field compares in float64 here, and a far person's threshold may be met exactly.
            overlap = paired_iou(people.box[person].astype(np.float64), self.box[box].astype(np.float64))
            near = overlap >= lowest[box]
            people_of.append(person[near])
            boxes_of.append(box[near])
            overlaps.append(overlap[near])
        person, box, overlap = np.concatenate(people_of), np.concatenate(boxes_of), np.concatenate(overlaps)
        enough = overlap >= least[box]
        self.right = _pairs(person[enough], box[enough], overlap[enough], len(rows))
        self.junk = _pairs(person[~enough], box[~enough], overlap[~enough], len(rows))


def _pairs(person: Array, box: Array, overlap: Array, boxes: int) -> Pairs:
    ptr = np.searchsorted(box, np.arange(boxes + 1))
    return Pairs(ptr=ptr, person=person, box=box, overlap=overlap)


class Inside:
    """Who is in the boxes that count neither way.

    A picture mostly has the same such boxes in every gallery: what is in those of one
    entry is found once for each picture, and again only for boxes that are different.
    """

    def __init__(self, trials: Trials, start: Array, stop: Array, people: People, rules: SearchRules) -> None:
        """``start``, ``stop``: rows of ``people`` in each of the pictures of ``trials``."""
        self._trials, self._people, self._sides = trials, people, rules.box_sides
        self._start, self._stop = start, stop
        if not len(trials.ignore_box):
            return
        entry = np.full(len(trials.scenes), -1, np.int64)  # any one of the picture that has some
        for i in range(len(trials)):
            first, last = trials.entry_ptr[i : i + 2]
            some = first + np.flatnonzero(np.diff(trials.ignore_ptr[first : last + 1]))
            entry[trials.entry_scene[some]] = some
        begin = np.where(entry >= 0, trials.ignore_ptr[entry], 0)
        count = np.where(entry >= 0, trials.ignore_ptr[entry + 1], 0) - begin
        rows = ranges(begin, begin + count)
        picture = np.repeat(np.arange(len(trials.scenes)), count)
        self._count, self._first = count, np.cumsum(count) - count
        self._box = trials.ignore_box[rows]
        box, self._person = self._compare(rows, picture)
        self._ptr = np.searchsorted(box, np.arange(len(rows) + 1))

    def of(self, rows: Array, picture: Array, number: Array) -> tuple[Array, Array]:
        """Pairs (place in ``rows``, row of the people): whoever is in the ignored boxes ``rows``.

        Args:
            rows: of ``ignore_box``.
            picture: each box's picture.
            number: which of its entry's boxes each is.
        """
        known = number < self._count[picture]
        same = np.where(known, self._first[picture] + number, 0)
        known &= (self._box[same] == self._trials.ignore_box[rows]).all(axis=1)
        first, last = self._ptr[same[known]], self._ptr[same[known] + 1]
        new = np.flatnonzero(~known)
        of, person = self._compare(rows[new], picture[new])
        places = np.concatenate([np.repeat(np.flatnonzero(known), last - first), new[of]])
        return places, np.concatenate([self._person[ranges(first, last)], person])

    def _compare(self, rows: Array, picture: Array) -> tuple[Array, Array]:
        """Pairs (place in ``rows``, row of the people), ascending, by comparing boxes."""
        box = with_sides(self._trials.ignore_box[rows], self._sides)
        first, last = self._start[picture], self._stop[picture]
        person, of = ranges(first, last), np.repeat(np.arange(len(rows)), last - first)
        inside = paired_ignored(self._people.box[person], box[of])
        return of[inside], person[inside]


@dataclass(frozen=True, eq=False, kw_only=True)
class Listing:
    """One query's gallery as it is searched.

    Attributes:
        people: (n,) int64 rows of everybody in it, in the order of the gallery.
        picture: (e,) of each entry that is searched: its picture.
        first: (e,) where in ``people`` its first person stands.
        place: of each entry of the trials, which of the searched entries stands for it
            (-1: none); None: every entry for itself.
    """

    people: Array
    picture: Array
    first: Array
    place: Array | None

    def entries(self, of: Array) -> Array:
        """Which of the searched entries stands for each of the entries ``of`` the trials; -1: none."""
        return of if self.place is None else self.place[of]

    @property
    def entry(self) -> Array:
        """(n,) which entry each of the people is in."""
        counts = np.diff(self.first, append=len(self.people))
        return np.repeat(np.arange(len(self.picture)), counts)


class Galleries:
    """The galleries of all queries of some trials, made one at a time."""

    def __init__(self, trials: Trials, people: People, features: SearchFeatures, rules: SearchRules) -> None:
        row_of = {name: row for row, name in enumerate(features.scenes)}
        row = np.array([row_of.get(name, -1) for name in trials.scenes], np.int64)
        self.start = np.where(row >= 0, people.ptr[row], 0)
        self.stop = np.where(row >= 0, people.ptr[row + 1], 0)
        self._trials, self._people, self._rules = trials, people, rules
        self._count = self.stop - self.start
        self._numbers = np.arange(0)
        if (row < 0).any():
            self._refuse_missing(row < 0)
        self._inside = Inside(trials, self.start, self.stop, people, rules)

    def _refuse_missing(self, missing: Array) -> None:
        """A gallery that names a picture which nobody looked at cannot be scored."""
        used = np.zeros(len(missing), bool)
        for i in range(len(self._trials)):
            used[self._trials.entry_scene[self._entries(i)]] = True
        absent = np.flatnonzero(used & missing)
        if len(absent):
            raise DatasetError(
                f"the features hold nothing of {self._trials.scenes[absent[0]]} "
                f"({len(absent)} pictures missing)",
                hint="they were made for other pictures; make them again for this data set",
            )

    def _entries(self, i: int) -> slice:
        return slice(int(self._trials.entry_ptr[i]), int(self._trials.entry_ptr[i + 1]))

    def people_listed(self) -> float:
        """About how many people a query is compared with."""
        per_picture = len(self._people) / max(1, len(self._people.ptr) - 1)
        return per_picture * len(self._trials.entry_scene) / max(1, len(self._trials))

    def listing(self, i: int) -> Listing:
        """The gallery of query ``i``."""
        picture = self._trials.entry_scene[self._entries(i)].astype(np.int64)
        place = self._places(i, picture)
        if place is not None:
            picture = picture[np.diff(np.maximum.accumulate(place), prepend=-1) > 0]
        count = self._count[picture]
        last = np.cumsum(count)
        first, total = last - count, int(last[-1]) if len(last) else 0
        if total > len(self._numbers):
            self._numbers = np.arange(2 * total)
        people = np.repeat(self.start[picture] - first, count) + self._numbers[:total]
        return Listing(people=people, picture=picture, first=first, place=place)

    def _places(self, i: int, picture: Array) -> Array | None:
        """Which searched entry stands for each entry, where not each for itself."""
        policies, n = self._rules.policies, len(picture)
        repeats = policies.repeated_picture != "twice" and n > 0 and np.bincount(picture).max() > 1
        own = policies.own_picture == "dropped" and (picture == self._trials.query_scene[i]).any()
        if not repeats and not own:
            return None
        stands, by = np.ones(n, bool), np.arange(n)
        if repeats:
            _, first, inverse = np.unique(picture, return_index=True, return_inverse=True)
            by = first[inverse]
            stands = by == np.arange(n)
        if own:
            stands &= picture != self._trials.query_scene[i]
        place = np.where(stands, np.cumsum(stands) - 1, -1)
        return place[by] if policies.repeated_picture == "once" else place

    def ignored(self, i: int, listing: Listing) -> Array:
        """Places in ``listing.people`` of whoever is in a box that counts neither way."""
        entries = self._entries(i)
        ptr = self._trials.ignore_ptr[entries.start : entries.stop + 1]
        if ptr[0] == ptr[-1]:
            return np.zeros(0, np.int64)
        count = np.diff(ptr)
        entry = listing.entries(np.repeat(np.arange(len(count)), count))
        rows = np.arange(ptr[0], ptr[-1])
        number = rows - np.repeat(ptr[:-1], count)
        rows, entry, number = rows[entry >= 0], entry[entry >= 0], number[entry >= 0]
        of, person = self._inside.of(rows, listing.picture[entry], number)
        return self.places(listing, entry[of], person)

    def places(self, listing: Listing, entry: Array, person: Array) -> Array:
        """Where in ``listing.people`` the rows ``person`` of the searched entries ``entry`` stand."""
        places: Array = listing.first[entry] + person - self.start[listing.picture[entry]]
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
