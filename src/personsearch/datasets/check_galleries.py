"""Can the searches of a protocol mean what they should? Its galleries held against the annotation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from personsearch.boxes import iou
from personsearch.datasets.findings import Findings
from personsearch.datasets.rows import ignored
from personsearch.types import UNLABELLED, Array, Scene, Trials

CLOSE = 0.75
"""Pixels by which two corners may differ and still mean the same."""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Searches:
    """One protocol under examination.

    Attributes:
        trials: the searches.
        owner: (E,) query of every gallery entry.
        positive: (E,) whether the entry has a box of the person.
        findings: where to say what is odd.
    """

    trials: Trials
    owner: Array
    positive: Array
    findings: Findings

    def tell_queries(self, rule: str, queries: Array) -> None:
        """Every one of ``queries`` breaks ``rule``."""
        for query in queries.tolist():
            name = self.trials.scenes[self.trials.query_scene[query]]
            self.findings.add(rule, name, f"query {query} of {self.trials.name}")

    def tell_entries(self, rule: str, entries: Array) -> None:
        """Every one of ``entries`` breaks ``rule``."""
        for entry in entries.tolist():
            query = int(self.owner[entry])
            asked = self.trials.scenes[self.trials.query_scene[query]]
            name = self.trials.scenes[self.trials.entry_scene[entry]]
            self.findings.add(rule, name, f"query {query} ({asked}) of {self.trials.name}")


def check_galleries(
    trials: Trials, scenes: Sequence[Scene], size: int | None, findings: Findings, *, fixed: bool
) -> None:
    """Queries and galleries of one protocol.

    Args:
        trials: the searches.
        scenes: the annotated pictures they are made in.
        size: how many pictures each gallery should have, where the protocol says so.
        findings: where to say what is odd.
        fixed: whether the galleries are listed in files; those that follow from a rule (all other
            pictures) cannot repeat or misplace one.
    """
    owner = np.repeat(np.arange(len(trials)), np.diff(trials.entry_ptr))
    positive = np.diff(trials.truth_ptr) > 0
    searches = _Searches(trials=trials, owner=owner, positive=positive, findings=findings)
    searches.tell_entries("own-picture", np.flatnonzero(trials.entry_scene == trials.query_scene[owner]))
    answered = np.bincount(owner[positive], minlength=len(trials)) > 0
    searches.tell_queries("no-positive", np.flatnonzero(~answered))
    if size is not None:
        searches.tell_queries("gallery-length", np.flatnonzero(np.diff(trials.entry_ptr) != size))
    if fixed:
        keys = owner.astype(np.int64) * len(trials.scenes) + trials.entry_scene
        searches.tell_entries("repeated-entry", _repeated(keys))
        late = positive[1:] & ~positive[:-1] & (owner[1:] == owner[:-1])
        searches.tell_queries("positives-not-first", np.unique(owner[1:][late]))
    row_of = {scene.name: row for row, scene in enumerate(scenes)}
    rows = np.array([row_of.get(name, -1) for name in trials.scenes], np.int64)
    if len(rows) and rows.min() >= 0:  # else the reader lists what the annotation does not
        _check_truths(searches, scenes, rows)
        _check_queries(searches, scenes, rows)


def _repeated(keys: Array) -> Array:
    """Rows of every key that an earlier row has, too.

    >>> _repeated(np.array([4, 7, 4, 4])).tolist()
    [2, 3]
    """
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero(keys[order][1:] == keys[order][:-1]) + 1
    result: Array = np.sort(order[same])
    return result


def _among(box: Array, boxes: Array) -> bool:
    """Whether ``box`` is one of ``boxes`` up to rounding: protocols in text give few digits."""
    return bool((np.abs(boxes - box) < CLOSE).all(1).any())


def _check_truths(searches: _Searches, scenes: Sequence[Scene], rows: Array) -> None:
    """Positives are boxes of their picture; a picture that shows the person is no distractor."""
    trials, owner = searches.trials, searches.owner
    most = max((int(scene.people.max(initial=0)) for scene in scenes), default=0) + 1
    shown = [np.zeros(0, np.int64)]
    for row, scene in enumerate(scenes):
        shown.append(row * most + scene.people[(scene.people != UNLABELLED) & ~ignored(scene)])
    sought = trials.query_person[owner]
    there = np.isin(rows[trials.entry_scene] * most + sought, np.concatenate(shown))
    counted = (sought != UNLABELLED) & (sought < most) & (np.diff(trials.ignore_ptr) == 0)
    searches.tell_entries("positive-left-out", np.flatnonzero(counted & ~searches.positive & there))
    entry_of = np.repeat(np.arange(len(owner)), np.diff(trials.truth_ptr))
    places = rows[trials.entry_scene[entry_of]].tolist()
    pairs = zip(places, trials.truth_box, strict=True)
    strange = np.array([not _among(box, scenes[row].boxes) for row, box in pairs], bool)
    searches.tell_entries("truth-not-annotated", entry_of[strange])


def _check_queries(searches: _Searches, scenes: Sequence[Scene], rows: Array) -> None:
    """A query is a box of its person in its picture."""
    trials, odd = searches.trials, {"query-box-shifted": [0] * 0, "query-not-annotated": [0] * 0}
    for query in range(len(trials)):
        scene, person = scenes[rows[trials.query_scene[query]]], int(trials.query_person[query])
        mine = scene.boxes if person == UNLABELLED else scene.boxes[scene.people == person]
        box = trials.query_box[query]
        if not _among(box, mine):
            close = len(mine) and iou(mine, box[None]).max() >= 0.5
            odd["query-box-shifted" if close else "query-not-annotated"].append(query)
    for rule, queries in odd.items():
        searches.tell_queries(rule, np.array(queries, np.int64))
