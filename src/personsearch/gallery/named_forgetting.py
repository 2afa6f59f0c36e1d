"""Whoever is forgotten leaves the named people, too."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from personsearch.gallery.description import read_object
from personsearch.gallery.named import FOLDER, Example, NamedPeople, NamedPerson, remove_file
from personsearch.gallery.suppression import Suppression
from personsearch.types import Detections, Similarity


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


def _left(
    people: NamedPeople, numbers: frozenset[int], out: Suppression, kind: Similarity
) -> Iterator[tuple[Path, NamedPerson, NamedPerson]]:
    """Every named person, and what would be left: file, before, after."""

    def gone(example: Example) -> bool:
        if example.detection in numbers:
            return True
        seen = Detections(example.box[None], [1.0], example.vector[None])
        alike = tuple(other for other in out.examples if len(other.vector) == len(example.vector))
        where = example.frame, example.model, kind, example.position
        out_of_all = replace(out, examples=alike).keeps_out(example.sha256 or "unknown", seen, *where)
        return bool(out_of_all[0])

    for path in people.files().values():
        person = NamedPerson.from_json(read_object(path), path)
        yield path, person, person.without(gone, numbers)
