"""A search that can go on: whom it was for, under which conditions, which hits were shown and judged.

The file is written where the user says, whole or not at all. It holds vectors of people, and lies
outside of the gallery: forgetting somebody does not reach it. Whoever is not in the gallery any
more, or is kept out of it, is therefore left out when a session is read, and out of the file as
soon as it is written again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

from personsearch.errors import InputError, ModelMismatch
from personsearch.files import write_text
from personsearch.gallery.description import read_object
from personsearch.gallery.named import NamedPeople, NamedPerson
from personsearch.gallery.named_forgetting import kept_out
from personsearch.gallery.reading import ReadableGallery
from personsearch.gallery.terms import Terms

SCHEMA = "personsearch.session/1"


@dataclass(frozen=True, eq=False, kw_only=True)
class Session:
    """A search, so far.

    Attributes:
        person: whom it is for: examples, judged hits among them, and the hits shown last.
        model: fingerprint of the gallery's model.
        terms: how many hits are asked for, of whom, and in which order.
        saved: under which name the person is kept with the gallery, too, if any.
    """

    person: NamedPerson
    model: str
    terms: Terms = field(default_factory=Terms)
    saved: str | None = None

    def write(self, path: Path) -> None:
        """Write the file, all or nothing."""
        value = {
            "schema": SCHEMA,
            "model": self.model,
            **self.terms.to_json(),
            "saved": self.saved,
            "person": self.person.to_json(),
        }
        write_text(path, json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_session(path: Path, gallery: ReadableGallery) -> tuple[Session, int]:
    """The search in a file, as far as its people may still be looked for; how many examples may not.

    Raises:
        InputError: there is no such file, it is no session, or nobody is left to look for.
        ModelMismatch: it is of a gallery of another model.
    """
    hint = "write one with: personsearch search --session FILE"
    if not path.is_file():
        raise InputError(f"there is no session at {path}", hint=hint)
    value = read_object(path)
    try:
        if value["schema"] != SCHEMA:
            raise ValueError(f"schema {value['schema']!r}")
        session = Session(
            person=NamedPerson.from_json(value["person"], path),
            model=str(value["model"]),
            terms=Terms.from_json(value),
            saved=None if value["saved"] is None else str(value["saved"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path} is no session: {type(error).__name__} at {error}", hint=hint) from error
    if session.model != gallery.fingerprint:
        raise ModelMismatch(
            f"{path} is a search by model {session.model[:12]}, the gallery is {gallery.fingerprint[:12]}'s",
            hint="search anew, with the gallery's model",
        )
    numbers = {e.detection for e in session.person.examples if e.detection is not None}
    numbers |= set(session.person.shown) - {0}
    there = {person.detection for person in gallery.stored(sorted(numbers))}
    out = kept_out(gallery.path, gallery.similarity, frozenset(numbers - there))
    person = session.person.without(out, numbers - there)
    if not any(example.right for example in person.examples):
        raise InputError(
            f"nobody is left to look for in {path}",
            hint="they are not in the gallery any more; search anew",
        )
    return replace(session, person=person), len(session.person.examples) - len(person.examples)


def save_as(gallery: ReadableGallery, name: str, person: NamedPerson) -> NamedPerson:
    """Keep the examples of ``person`` with the gallery under a name; one that is there gets them as well.

    Whoever is being forgotten at the same time is not saved: that is looked at while nobody else may
    change named people, and forgetting takes the saved ones out after everything else.

    Raises:
        UsageError: that cannot be a name.
        InputError: nobody is left to be saved.
    """
    saved = NamedPeople(gallery.path).change(name, lambda old: _with(gallery, name, old, person))
    return person if saved is None else saved


def add_to_saved(gallery: ReadableGallery, name: str, person: NamedPerson) -> NamedPerson | None:
    """As :func:`save_as`, for somebody who is there; None, and nothing is saved, once nobody has the name.

    Whoever was removed or forgotten does not come back with a search that goes on.
    """
    return NamedPeople(gallery.path).change(
        name, lambda old: None if old is None else _with(gallery, name, old, person)
    )


def _with(gallery: ReadableGallery, name: str, old: NamedPerson | None, person: NamedPerson) -> NamedPerson:
    """``old`` with the examples of ``person`` who may still be looked for."""
    numbers = {e.detection for e in person.examples if e.detection is not None} | set(person.shown) - {0}
    gone = frozenset(numbers - {one.detection for one in gallery.stored(sorted(numbers))})
    left = person.without(kept_out(gallery.path, gallery.similarity, gone), gone)
    if not any(example.right for example in left.examples):
        raise InputError(f"nobody is left to be saved as {name}", hint="they are not in the gallery any more")
    base = old or NamedPerson(name=name)
    return replace(base.including(left.examples), shown=left.shown, terms=left.terms or base.terms)
