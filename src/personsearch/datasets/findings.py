"""What can be wrong with a copy of a data set: the rules, and what was found by them.

Every rule has its word, its weight and its line here, so that the command, its JSON and the
documentation name the same things.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warning", "note"]
"""error: numbers made with this copy are wrong; warning: odd, look at it; note: worth knowing."""

RULES: Mapping[str, tuple[Severity, str]] = {
    "unreadable-annotation": ("error", "parts of the annotation that cannot be read"),
    "nobody-to-find": ("warning", "test halves in which nobody is in two pictures: nobody can be looked for"),
    "sequence-not-annotated": ("note", "sequences without gt/gt.txt, which are not read"),
    "other-identity-field": (
        "warning",
        "boxes that only another identity field names: they are people without a name",
    ),
    "nothing-there": ("error", "halves without a single picture"),
    "official-count": ("error", "counts that differ from the published ones"),
    "not-official": ("note", "counts that differ from the published ones: another set in this layout"),
    "missing-picture": ("error", "pictures that are missing"),
    "unreadable-picture": ("error", "pictures that cannot be read"),
    "other-size": ("error", "pictures of another size than the annotation says"),
    "no-picture-file": ("note", "scenes that name no picture file"),
    "unlisted-picture": ("note", "picture files that no annotation names"),
    "box-outside": ("error", "boxes of which half or more lies outside the picture"),
    "box-over-edge": ("warning", "boxes that reach over the picture's edge by more than a pixel"),
    "empty-box": ("error", "boxes without width or height, or with a number that is none"),
    "box-left-out": ("note", "boxes without an area, which are left out, as other readers do"),
    "duplicate-box": ("error", "boxes that are annotated twice in one picture"),
    "person-twice": ("warning", "people who are twice in one picture"),
    "lone-person": ("warning", "people with an identity who are in one picture only"),
    "shared-picture": ("error", "pictures that are in two parts"),
    "shared-content": ("error", "pictures of one part that are in another under another name"),
    "same-content": ("warning", "pictures that are there twice, under two names"),
    "shared-person": ("error", "people of the training half whom a query looks for"),
    "shared-bystander": ("warning", "people of the training half in test pictures, whom nobody looks for"),
    "shared-validation": ("error", "people of the validation part who are in a half too"),
    "gallery-length": ("error", "galleries of another length than their protocol says"),
    "own-picture": ("error", "queries whose gallery holds their own picture"),
    "repeated-entry": ("error", "gallery pictures that are listed twice for one query"),
    "positives-not-first": ("error", "galleries with a positive after a distractor: other readers lose it"),
    "no-positive": ("warning", "queries that nothing in their gallery can answer"),
    "query-not-annotated": ("error", "queries that are no box of their person in their picture"),
    "query-box-shifted": ("warning", "queries whose box differs from the annotated one by a pixel or more"),
    "truth-not-annotated": ("error", "positives that are no box of the person in the picture"),
    "positive-left-out": ("error", "gallery pictures that show the person, but are listed as distractors"),
}
"""Per rule its weight and what was found, to stand after a number."""

EXAMPLES = 5
"""How many places a finding names."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that is odd, how often, and where first.

    Attributes:
        rule: its word, a key of :data:`RULES`.
        severity: how much it weighs.
        message: what was found, to stand after ``count``.
        count: how often.
        examples: the first few places.
    """

    rule: str
    severity: Severity
    message: str
    count: int
    examples: tuple[str, ...]


@dataclass
class Findings:
    """Collects what the checks see, in the order of :data:`RULES`."""

    _places: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, rule: str, where: str, detail: str = "") -> None:
        """Something that breaks ``rule`` at ``where`` (a picture, a half, a protocol)."""
        self._places.setdefault(rule, []).append((where, detail))

    def add_once(self, rule: str, where: str, detail: str) -> None:
        """As :meth:`add`, but nothing where the same detail was told of another place."""
        if all(told != detail for _, told in self._places.get(rule, ())):
            self.add(rule, where, detail)

    def extend(self, rule: str, places: Iterable[str]) -> None:
        """Several of one kind."""
        for where in places:
            self.add(rule, where)

    def found(self, known: Mapping[str, frozenset[str] | int] | None = None) -> tuple[Finding, ...]:
        """Everything, one finding a rule.

        Args:
            known: what is so in every copy of this data set, and therefore a note: by rule the
                places, or how many there may be.
        """
        result = []
        for rule, (severity, message) in RULES.items():
            places = self._places.get(rule, [])
            expected, rest = _part(places, (known or {}).get(rule, 0))
            for part, weight, suffix in (
                (rest, severity, ""),
                (expected, "note", " (so in the published data)"),
            ):
                if part:
                    result.append(_finding(rule, weight, message + suffix, part))
        return tuple(result)


def _part(
    places: list[tuple[str, str]], known: frozenset[str] | int
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """The places that are known and the others; a number is known only as a whole."""
    if isinstance(known, int):
        return (places, []) if len(places) <= known else ([], places)
    return [p for p in places if p[0] in known], [p for p in places if p[0] not in known]


def _finding(rule: str, severity: str, message: str, places: list[tuple[str, str]]) -> Finding:
    examples = tuple(f"{where}: {detail}" if detail else where for where, detail in places[:EXAMPLES])
    weight: Severity = "note" if severity == "note" else "warning" if severity == "warning" else "error"
    return Finding(rule=rule, severity=weight, message=message, count=len(places), examples=examples)
