"""People who have a name: examples of somebody, kept with the gallery to be looked for again.

A named person is one file, ``named/NAME.json`` in the gallery's folder: what the examples look like
(vectors), which of them are the person and which are others who were taken for the person, and
where each comes from. Files are written whole or not at all, whoever reads meanwhile. Forgetting
somebody takes the examples of that person along (:mod:`personsearch.gallery.named_forgetting`).
"""

from __future__ import annotations

import base64
import json
import time
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.errors import InputError, LockedError, PersonSearchError, UsageError
from personsearch.files import WriterLock, disk_errors, sync_folder, write_text
from personsearch.gallery.description import read_object
from personsearch.gallery.terms import Terms
from personsearch.ranking.combining import combined
from personsearch.types import Array, Similarity

FOLDER, LOCK = "named", "named.lock"
SCHEMA = "personsearch.named/1"
FORMAT = 1

LONGEST_NAME = 80
"""Bytes of UTF-8: file systems take 255, and the rest belongs to temporary names."""

PATIENCE = 30.0
"""Seconds to wait for others who are changing a named person, which takes milliseconds."""

_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))}


@dataclass(frozen=True, eq=False, kw_only=True)
class Example:
    """One view of somebody, kept to search with.

    Attributes:
        vector: (d,) float32, raw embedding.
        model: fingerprint of the model that made it.
        right: whether this is the person; otherwise somebody who is not.
        picture: path of the picture (or video) it comes from; empty for pixels.
        box: (4,) float32 x1 y1 x2 y2 in the upright picture.
        sha256: of that file's content; empty for pixels.
        detection: number in this gallery, for a hit.
        frame, position: of a video, time stamp and seconds since its first frame.
        added: ISO 8601, UTC.
    """

    vector: Array
    model: str
    right: bool
    picture: str
    box: Array
    sha256: str = ""
    detection: int | None = None
    frame: int | None = None
    position: float | None = None
    added: str = ""

    def __post_init__(self) -> None:
        vector, box = np.asarray(self.vector, np.float32), np.asarray(self.box, np.float32)
        if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
            raise ValueError(f"an embedding is (d,) finite numbers, got shape {vector.shape}")
        if box.shape != (4,) or not np.isfinite(box).all():
            raise ValueError(f"a box is (4,) finite numbers, got shape {box.shape}")
        added = self.added or datetime.now(UTC).isoformat(timespec="seconds")
        for name, value in (("vector", vector), ("box", box), ("added", added)):
            object.__setattr__(self, name, value)

    @property
    def key(self) -> object:
        """What makes two examples one: the hit, the place in the file, or else the pixels; and the model."""
        if self.detection is not None:
            return self.model, self.detection, None
        from_file = self.sha256 or self.picture
        place = (self.sha256, self.picture, self.frame) if from_file else self.vector.tobytes()
        return self.model, place, tuple(self.box.tolist())


@dataclass(frozen=True, eq=False, kw_only=True)
class NamedPerson:
    """Examples of one person, and of others who are not.

    Attributes:
        name: what the person is called.
        examples: in the order in which they were added.
        created: ISO 8601, UTC.
        shown: numbers of the hits that were shown last, best first, so that they can be judged by rank;
            0 in the place of one that is not in the gallery any more.
        terms: on which terms those were looked for; None where that is not known.
    """

    name: str
    examples: tuple[Example, ...] = ()
    created: str = ""
    shown: tuple[int, ...] = ()
    terms: Terms | None = None

    def __post_init__(self) -> None:
        if not self.created:
            object.__setattr__(self, "created", datetime.now(UTC).isoformat(timespec="seconds"))

    def vectors(self, model: str, *, right: bool = True) -> Array:
        """(n, d) raw embeddings by the model with this fingerprint: of the person, or of wrong ones."""
        found = [e.vector for e in self.examples if e.model == model and e.right == right]
        return np.stack(found) if found else np.zeros((0, 0), np.float32)

    def query(self, model: str, kind: Similarity) -> Array:
        """(d,) float32: what to look for; compare it with others as any embedding of that model.

        Args:
            model: fingerprint of the model whose descriptions are searched.
            kind: how that model's embeddings are compared.

        Raises:
            InputError: there is no example of the person by that model.
        """
        right, wrong = self.vectors(model), self.vectors(model, right=False)
        if not len(right):
            others = sorted({e.model[:12] for e in self.examples if e.right and e.model != model})
            why = f"only by {', '.join(others)}" if others else "there is none of the person"
            raise InputError(
                f"{self.name} has no example by model {model[:12]}: {why}",
                hint="add one with: personsearch person add NAME --query PICTURE --model MODEL",
            )
        return combined(right, wrong if len(wrong) else None, kind=kind)

    def including(self, examples: Iterable[Example]) -> NamedPerson:
        """With these as well; who is there already is judged anew, not there twice."""
        known = {example.key: example for example in (*self.examples, *examples)}
        return replace(self, examples=tuple(known.values()))

    def without(self, gone: Callable[[Example], bool], numbers: Collection[int] = ()) -> NamedPerson:
        """Without the examples that ``gone`` says, and with 0 for these numbers among the hits shown."""
        kept = tuple(example for example in self.examples if not gone(example))
        return replace(self, examples=kept, shown=tuple(0 if n in numbers else n for n in self.shown))

    def to_json(self) -> dict[str, Any]:
        """As a JSON object with its ``schema``; vectors as base64 of float32, little-endian."""
        return {
            "schema": SCHEMA,
            "format": FORMAT,
            "name": self.name,
            "created": self.created,
            "shown": list(self.shown),
            **({} if self.terms is None else {"terms": self.terms.to_json()}),
            "examples": [_to_json(example) for example in self.examples],
        }

    def write(self, path: Path) -> None:
        """Write the file, all or nothing; in ASCII, so that paths that are not UTF-8 come back unchanged."""
        write_text(path, json.dumps(self.to_json(), indent=1, sort_keys=True, allow_nan=False) + "\n")

    @staticmethod
    def from_json(value: dict[str, Any], path: Path) -> NamedPerson:
        """What :meth:`to_json` made; ``path`` is named in the error for anything else.

        Raises:
            InputError: it is not a named person.
            PersonSearchError: a newer version of personsearch wrote it.
        """
        version = value.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise PersonSearchError(
                f"{path} has format version {version}, this personsearch reads up to {FORMAT}",
                hint="update personsearch: pip install --upgrade personsearch",
            )
        try:
            if value["schema"] != SCHEMA or not isinstance(value["name"], str):
                raise ValueError(f"schema {value['schema']!r}")
            return NamedPerson(
                name=value["name"],
                created=str(value["created"]),
                shown=tuple(int(number) for number in value["shown"]),
                terms=None if value.get("terms") is None else Terms.from_json(value["terms"]),
                examples=tuple(_from_json(item) for item in value["examples"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path} is no saved person: {type(error).__name__} at {error}",
                hint="restore it from a copy, or remove the file and save the person again",
            ) from error


class NamedPeople:
    """The named people of one gallery; any number of processes read and change them.

    Args:
        gallery: its folder.
    """

    def __init__(self, gallery: Path | str) -> None:
        self.gallery = Path(gallery)

    def names(self) -> list[str]:
        """Everybody's name, sorted."""
        return sorted(self.files())

    def load(self, name: str) -> NamedPerson:
        """The person of this name.

        Raises:
            UsageError: that cannot be a name.
            InputError: nobody has it, or the file is damaged.
        """
        name = checked_name(name)
        path = self.files().get(name)
        if path is None:
            known = self.names()
            raise InputError(
                f"{self.gallery} knows nobody called {name}",
                hint=f"known are {', '.join(known[:10])}"
                if known
                else "save one with: search --save-as NAME",
            )
        return NamedPerson.from_json(read_object(path), path)

    def change(
        self, name: str, act: Callable[[NamedPerson | None], NamedPerson | None]
    ) -> NamedPerson | None:
        """Replace a named person by what ``act`` makes of it; nobody else changes one meanwhile.

        Args:
            name: whose.
            act: gets the person, or None where nobody has the name; gives what is to be saved, or
                None to remove it.

        Returns:
            What was saved.

        Raises:
            UsageError: that cannot be a name, or another one differs from it in case only.
            LockedError: others were changing named people for half a minute.
        """
        name = checked_name(name)
        with self.locked():
            known = self.files()
            alike = [other for other in known if other.casefold() == name.casefold() and other != name]
            if alike and name not in known:
                raise UsageError(f"{name} and {alike[0]} differ in case only", hint="choose another name")
            after = act(self.load(name) if name in known else None)
            if after is not None:
                replace(after, name=name).write(self.gallery / FOLDER / f"{name}.json")
            elif name in known:
                remove_file(known[name])
        return after

    def remove(self, name: str) -> bool:
        """Remove the person of this name, with all examples; whether there was one."""
        there: list[bool] = []

        def gone(person: NamedPerson | None) -> None:
            there.append(person is not None)

        self.change(name, gone)
        return there[0]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While this is held, no other process changes a named person."""
        with disk_errors(self.gallery / LOCK):
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    lock = WriterLock(self.gallery / LOCK)
                    break
                except LockedError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.01)
        try:
            yield
        finally:
            lock.release()

    def files(self) -> dict[str, Path]:
        """The file of every name."""
        folder = self.gallery / FOLDER
        if not folder.is_dir():
            return {}
        return {path.stem: path for path in folder.glob("*.json") if not path.name.startswith(".")}


def checked_name(name: str) -> str:
    """``name`` in composed form (NFC), if a file can be called so on every system.

    Letters and digits of any script, and within the name blanks, ``.``, ``_`` and ``-``. So no name
    leads out of its folder.

    Raises:
        UsageError: it cannot be a name.

    >>> checked_name("Ana 2"), checked_name("M" + "u" + chr(0x308) + "ller") == "M" + chr(0xFC) + "ller"
    ('Ana 2', True)
    """
    name = unicodedata.normalize("NFC", name)
    fits = all(letter.isalnum() or letter in " ._-" or unicodedata.combining(letter) for letter in name)
    ends = name[:1].isalnum() and name[-1:] not in ("", " ", ".")
    short = len(name.encode("utf-8", "replace")) <= LONGEST_NAME
    if not (fits and ends and short) or name.split(".")[0].casefold() in _RESERVED:
        raise UsageError(
            f"{name!a} cannot be the name of a person",
            hint="letters, digits, blanks, . _ and -, beginning with a letter or digit, "
            f"up to {LONGEST_NAME} bytes, and no name that Windows keeps for itself",
        )
    return name


def remove_file(path: Path) -> None:
    """Remove a file for good, also when the power fails now."""
    with disk_errors(path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def _to_json(example: Example) -> dict[str, Any]:
    return {
        "vector": base64.b64encode(example.vector.astype("<f4").tobytes()).decode(),
        "model": example.model,
        "right": example.right,
        "picture": example.picture,
        "box_xyxy": [float(side) for side in example.box],
        "sha256": example.sha256,
        "detection": example.detection,
        "frame": example.frame,
        "position_s": example.position,
        "added": example.added,
    }


def _from_json(item: dict[str, Any]) -> Example:
    number, frame, position = item["detection"], item["frame"], item["position_s"]
    vector = np.frombuffer(base64.b64decode(item["vector"], validate=True), "<f4")
    if not isinstance(item["right"], bool):
        raise ValueError(f"right is {item['right']!r}")
    return Example(
        vector=vector.astype(np.float32),
        model=str(item["model"]),
        right=item["right"],
        picture=str(item["picture"]),
        box=np.array([float(side) for side in item["box_xyxy"]], np.float32),
        sha256=str(item["sha256"]),
        detection=None if number is None else int(number),
        frame=None if frame is None else int(frame),
        position=None if position is None else float(position),
        added=str(item["added"]),
    )
