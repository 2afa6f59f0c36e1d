"""Whoever is forgotten leaves the named people, too."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from personsearch.gallery.description import read_object
from personsearch.gallery.named import FOLDER, Example, NamedPeople, NamedPerson, remove_file
from personsearch.gallery.suppression import Suppression, read_suppression
from personsearch.ranking.similarity import similarities
from personsearch.types import Array, Detections, Similarity


def forget_named(gallery: Path, detections: Collection[int], out: Suppression, kind: Similarity) -> int:
    """Take the examples of people who are being forgotten out of all named people; how many they were.

    Those are the hits with these numbers, whatever shows the place in a picture that is kept out, and
    whoever is so much like an example kept of them. A person of whom nothing is left, and so the
    name, goes as well. Safe to repeat.

    Raises:
        InputError: a named person is damaged; it might be the one who is to go.
    """
    people, count = NamedPeople(gallery), 0
    if not (gallery / FOLDER).is_dir():
        return 0
    with people.locked():
        for debris in (gallery / FOLDER).glob(".*.tmp"):  # of a process that died while it wrote
            remove_file(debris)
        for path, person, left in _left(people, frozenset(detections), out, kind):
            count += len(person.examples) - len(left.examples)
            if not any(example.right for example in left.examples):
                remove_file(path)
            elif len(left.examples) < len(person.examples) or left.shown != person.shown:
                left.write(path)
    return count


def count_named(gallery: Path, detections: Collection[int], out: Suppression, kind: Similarity) -> int:
    """How many examples :func:`forget_named` would take out."""
    found = _left(NamedPeople(gallery), frozenset(detections), out, kind)
    return sum(len(person.examples) - len(left.examples) for _, person, left in found)


def forget_alike(
    gallery: Path,
    vector: Array,
    model: str,
    kind: Similarity,
    min_similarity: float,
    *,
    only_count: bool = False,
) -> int:
    """Take out of all named people whatever is at least so much like ``vector``; how many examples.

    For those who are forgotten by what they look like, and were saved from a picture that the gallery
    never held. Examples by other models are not compared. A person of whom nothing is left goes.
    """

    def gone(example: Example) -> bool:
        if example.model != model:
            return False
        return bool(
            similarities(vector[None], example.vector[None], kind)[0, 0] >= np.float32(min_similarity)
        )

    people, count = NamedPeople(gallery), 0
    for name in people.names():
        alike = sum(gone(example) for example in people.load(name).examples)
        count += alike
        if alike and not only_count:
            people.change(name, lambda old: _without(old, gone))
    return count


def _without(person: NamedPerson | None, gone: Callable[[Example], bool]) -> NamedPerson | None:
    left = None if person is None else person.without(gone)
    return left if left is not None and any(example.right for example in left.examples) else None


def kept_out(gallery: Path, kind: Similarity, numbers: frozenset[int]) -> Callable[[Example], bool]:
    """Whether an example is of somebody who is kept out of the gallery, or of one of these hits."""
    return _gone(numbers, read_suppression(gallery), kind)


def _gone(numbers: frozenset[int], out: Suppression, kind: Similarity) -> Callable[[Example], bool]:
    def gone(example: Example) -> bool:
        if example.detection in numbers:
            return True
        seen = Detections(example.box[None], np.ones(1), example.vector[None])
        alike = tuple(other for other in out.examples if len(other.vector) == len(example.vector))
        where = example.frame, example.model, kind, example.position
        return bool(replace(out, examples=alike).keeps_out(example.sha256 or "unknown", seen, *where)[0])

    return gone


def _left(
    people: NamedPeople, numbers: frozenset[int], out: Suppression, kind: Similarity
) -> Iterator[tuple[Path, NamedPerson, NamedPerson]]:
    """Every named person, and what would be left: file, before, after."""
    gone = _gone(numbers, out, kind)
    for path in people.files().values():
        person = NamedPerson.from_json(read_object(path), path)
        yield path, person, person.without(gone, numbers)
