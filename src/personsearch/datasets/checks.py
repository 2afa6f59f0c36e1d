"""Is this copy of a data set right? Every check by which it can be seen, and what they found.

Nothing is changed and nothing is guessed: what cannot be read is a finding, and the checks of
what can be read go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, TypeVar, get_args

import numpy as np

from personsearch.datasets import published
from personsearch.datasets.check_galleries import check_galleries
from personsearch.datasets.check_pictures import Seen, check_pictures, check_places, check_unlisted
from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.datasets.dataset import Dataset, GallerySize, Part, Split, Subset
from personsearch.datasets.findings import Finding, Findings
from personsearch.datasets.inventory import (
    boxes_left_out,
    boxes_named_otherwise,
    not_annotated,
    other_scenes,
    person_names,
    subset_if_there,
)
from personsearch.datasets.rows import has_size, ignored
from personsearch.datasets.searches import NobodyToFind
from personsearch.errors import DatasetError, UsageError
from personsearch.progress import Progress, silent
from personsearch.types import UNLABELLED, Scene, Trials

SPLITS: tuple[Split, Split] = ("train", "test")
Looks = Literal["none", "headers", "whole"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What was looked at, and what was found.

    Attributes:
        published: whether it was held against the published data set's numbers.
        looks: how far pictures were read: not at all, their headers, or whole.
        counts: pictures, boxes, boxes with an identity and identities of each half (and of a
            validation part, where there is one), queries; None where they could not be counted.
        findings: errors, warnings and notes, in the order of the rules.
    """

    published: bool
    looks: Looks
    counts: Mapping[str, int | None]
    findings: tuple[Finding, ...]

    def number(self, severity: str) -> int:
        """How many rules of that weight are broken."""
        return sum(finding.severity == severity for finding in self.findings)

    @property
    def right(self) -> bool:
        """Whether nothing is wrong: notes and warnings may remain."""
        return self.number("error") == 0


def check_dataset(
    dataset: Dataset,
    *,
    official: bool | None = None,
    looks: Looks = "headers",
    workers: int = 0,
    progress: Progress = silent,
) -> CheckReport:
    """Hold a copy against its format, its pictures, its protocols and the published numbers.

    Args:
        dataset: the copy.
        official: hold its counts against the published ones; None does so where it is evidently
            a copy of the published data (:func:`personsearch.datasets.published.looks_published`).
        looks: ``headers`` reads every picture's size, ``whole`` decodes it and compares the
            contents of all, ``none`` reads no picture.
        workers: threads that read pictures; 0 for one a core and two more.
        progress: told of every picture and every gallery.

    Raises:
        UsageError: ``official``, and nothing is published of such a data set.
    """
    if official and dataset.name not in published.COUNTS:
        raise UsageError(
            f"nothing is published of {dataset.name!r} to compare with",
            hint=f"--official is for {', '.join(published.COUNTS)}",
        )
    findings = Findings()
    halves = _parts(dataset, findings)
    if not any(halves.values()) and halves:
        findings.add("nothing-there", str(dataset.root))
    counts = count(halves)
    for split, scenes in halves.items():
        _check_boxes(scenes, findings)
        _check_people(scenes, findings)
        _check_not_read(dataset, split, findings)
    findings.extend("sequence-not-annotated", not_annotated(dataset))
    _check_shared_pictures(halves, findings)
    everything = [(split, scene) for split, scenes in halves.items() for scene in scenes]
    if looks == "none":
        for _, scene in everything:
            check_places(scene, scene.size, findings)
    else:
        _compare_contents(check_pictures(everything, looks, workers, findings, progress), findings)
        if all(split in halves for split in SPLITS):
            check_unlisted([scene for _, scene in everything], findings)
    protocols = _check_protocols(dataset, halves.get("test", ()), findings, progress)
    counts |= protocols.counts
    if all(halves.get(split) for split in SPLITS):
        _check_shared_people(dataset, halves["test"], protocols.sought, findings)
    if halves.get("val"):
        _check_validation_people(dataset, findings)
    held = published.looks_published(dataset.name, counts) if official is None else official
    return CheckReport(
        published=held,
        looks=looks,
        counts=counts,
        findings=_judged(dataset, counts, held, findings),
    )


def _parts(dataset: Dataset, findings: Findings) -> dict[Part, tuple[Scene, ...]]:
    """The pictures of each half that can be read, and those of a validation part that is neither."""
    parts: dict[Part, tuple[Scene, ...]] = {}
    for split in SPLITS:
        scenes = _tried(partial(dataset.scenes, split), split, findings)
        if scenes is not None:
            parts[split] = scenes
    others = _tried(partial(other_scenes, dataset), "val", findings)
    return parts | {"val": others} if others else parts


def count(halves: Mapping[Part, Sequence[Scene]]) -> dict[str, int | None]:
    """Pictures, boxes, boxes with an identity and identities of each half; None where it is missing.

    Those of a validation part stand beside them where there is one.
    """
    counts: dict[str, int | None] = {}
    for split in dict.fromkeys((*SPLITS, *halves)):
        scenes = halves.get(split)
        keys = [f"{split}_{what}" for what in ("pictures", "boxes", "labelled", "identities")]
        counts |= dict.fromkeys(keys)
        if scenes is not None:
            people = np.concatenate([np.zeros(0, np.int64), *(scene.people for scene in scenes)])
            known = people[people != UNLABELLED]
            numbers = (len(scenes), len(people), len(known), len(np.unique(known)))
            counts |= dict(zip(keys, numbers, strict=True))
    return counts


def _tried(read: Callable[[], T], where: str, findings: Findings) -> T | None:
    """What ``read`` gives, or None and a finding that says why not."""
    try:
        return read()
    except NobodyToFind as error:
        findings.add_once("nobody-to-find", where, str(error))
        return None
    except DatasetError as error:
        findings.add_once("unreadable-annotation", where, str(error))
        return None


def _check_not_read(dataset: Dataset, split: Part, findings: Findings) -> None:
    """What the reader left out, or read as nobody: no scene shows it any more."""
    # Thousands of the published boxes of this layout have no area, and every reader skips them.
    rule = "box-left-out" if isinstance(dataset, CuhkSysu) else "empty-box"
    asked = (
        (rule, partial(boxes_left_out, dataset, split)),
        ("other-identity-field", partial(boxes_named_otherwise, dataset, split)),
    )
    for told, read in asked:
        for name, number in (_tried(read, split, findings) or {}).items():
            findings.extend(told, [name] * number)


def _check_boxes(scenes: Sequence[Scene], findings: Findings) -> None:
    """Boxes without a size, twice the same box, the same person twice."""
    for scene in scenes:
        boxes, empty, out = scene.boxes, ~has_size(scene), ignored(scene)
        for row in np.flatnonzero(empty).tolist():
            findings.add("empty-box", scene.name, box_text(boxes[row].tolist()))
        counted = Counter(map(tuple, boxes[~out & ~empty].tolist()))
        for box, times in counted.items():
            if times > 1:
                findings.add("duplicate-box", scene.name, f"{box_text(box)} {times} times")
        people = scene.people[(scene.people != UNLABELLED) & ~out]
        for person, times in Counter(people.tolist()).items():
            if times > 1:
                findings.add("person-twice", scene.name, f"person {person} {times} times")


def _check_people(scenes: Sequence[Scene], findings: Findings) -> None:
    """People who cannot be found again: an identity with a single picture."""
    where: dict[int, set[str]] = {}
    for scene in scenes:
        for person in scene.people[scene.people != UNLABELLED].tolist():
            where.setdefault(person, set()).add(scene.name)
    for person, names in sorted(where.items()):
        if len(names) == 1:
            findings.add("lone-person", next(iter(names)), f"person {person}")


def _check_shared_pictures(halves: Mapping[Part, Sequence[Scene]], findings: Findings) -> None:
    """Pictures that stand in two parts, by name or by file."""
    names: set[str] = set()
    files: set[str] = set()
    for scenes in halves.values():
        shared = (s.name for s in scenes if s.name in names or (s.path is not None and _file(s) in files))
        findings.extend("shared-picture", list(shared))
        names |= {scene.name for scene in scenes}
        files |= {_file(scene) for scene in scenes}


def _check_shared_people(
    dataset: Dataset, test: Sequence[Scene], sought: frozenset[int], findings: Findings
) -> None:
    """People of the training half among the queries, or at least in the test pictures.

    The numbers of one half mean nothing in the other: people are compared by their own names.
    """
    names = [_tried(partial(person_names, dataset, split), split, Findings()) for split in SPLITS]
    train, known = names
    if train is None or known is None:
        return
    trained = set(train)
    present = np.unique(np.concatenate([np.zeros(0, np.int64), *(scene.people for scene in test)])).tolist()
    for person in present:
        if 0 <= person < len(known) and known[person] in trained:
            asked = person in sought or not sought
            findings.add("shared-person" if asked else "shared-bystander", known[person])


def _check_validation_people(dataset: Dataset, findings: Findings) -> None:
    """People of the validation part who are in a half too."""
    people: dict[Part, Sequence[str]] = {}
    for split in get_args(Part):
        known: list[str] | None = _tried(partial(person_names, dataset, split), split, findings)
        people[split] = known or ()
    half = {split: set(people[split]) for split in SPLITS}
    for person in people["val"]:
        shared = [split for split in SPLITS if person in half[split]]
        if shared:
            findings.add("shared-validation", person, f"in {' and '.join(shared)} too")


def _file(scene: Scene) -> str:
    return "" if scene.path is None else str(scene.path)


def _compare_contents(seen: Sequence[Seen], findings: Findings) -> None:
    """Pictures of the same content: a leak between the halves, or a copy within one."""
    by_digest: dict[str, list[Seen]] = {}
    for one in seen:
        if one.digest:
            by_digest.setdefault(one.digest, []).append(one)
    for same in by_digest.values():
        first = same[0]
        for other in same[1:]:
            if other.name != first.name:
                rule = "same-content" if other.split == first.split else "shared-content"
                findings.add(rule, other.name, f"the same as {first.name}")


@dataclass(frozen=True, kw_only=True)
class _Protocols:
    """What the protocols hold: numbers of queries, and whom they look for."""

    counts: Mapping[str, int | None]
    sought: frozenset[int]


def _check_protocols(
    dataset: Dataset, test: Sequence[Scene], findings: Findings, progress: Progress
) -> _Protocols:
    """Every protocol that the copy has."""
    counts: dict[str, int | None] = {"queries": None}
    sought: frozenset[int] = frozenset()
    sizes = _tried(lambda: dataset.gallery_sizes, "galleries", findings) if test else None
    if sizes is None:
        return _Protocols(counts=counts, sought=sought)
    asked: tuple[GallerySize | None, ...] = sizes or (None,)
    for size in progress(asked, "checking galleries"):
        trials = _trials(partial(dataset.trials, size), f"gallery {size or 'full'}", findings)
        if trials is not None:
            length = size if isinstance(size, int) else None
            check_galleries(trials, test, length, findings, fixed=bool(sizes))
            counts["queries"] = counts["queries"] or len(trials)
            sought |= frozenset(trials.query_person.tolist())
    for subset in get_args(Subset):
        trials = _tried(partial(subset_if_there, dataset, subset), subset, findings)
        if trials is not None:
            counts[f"{subset.replace('-', '_')}_queries"] = len(trials)
            check_galleries(trials, test, None, findings, fixed=True)
    return _Protocols(counts=counts, sought=sought)


def _trials(read: Callable[[], Trials], where: str, findings: Findings) -> Trials | None:
    """The searches of a protocol; None where the data set has no such one, or an unreadable one."""
    try:
        return _tried(read, where, findings)
    except UsageError:
        return None


def _judged(
    dataset: Dataset, counts: Mapping[str, int | None], held: bool, findings: Findings
) -> tuple[Finding, ...]:
    """The findings, after the published counts, with what every copy has as notes."""
    name = dataset.name
    expected = published.COUNTS.get(name, {})
    if expected:
        rule = "official-count" if held else "not-official"
        for what, number in expected.items():
            here = counts.get(what)
            if here != number and (held or what.endswith("pictures")):
                shown = "none" if here is None else f"{here:,}"
                findings.add(rule, what.replace("_", " "), f"{shown} instead of {number:,}")
    sizes = published.GALLERY_SIZES.get(name)
    if held and sizes and "queries" in counts:
        there = set(dataset.gallery_sizes)
        findings.extend(
            "official-count", (f"gallery of {size} is missing" for size in sizes if size not in there)
        )
    found = findings.found(published.KNOWN.get(name) if held else None)
    if held and not any(finding.rule == "official-count" for finding in found):
        found = tuple(
            replace(finding, severity="note") if finding.rule in published.IN_EVERY_COPY else finding
            for finding in found
        )
    return found


def box_text(box: Sequence[float]) -> str:
    """A corner box as ``x,y,w,h``, as short as it goes.

    >>> box_text([10, 20.5, 40, 90])
    '10,20.5,30,69.5'
    """
    x1, y1, x2, y2 = box
    return ",".join(f"{round(value, 2):g}" for value in (x1, y1, x2 - x1, y2 - y1))
