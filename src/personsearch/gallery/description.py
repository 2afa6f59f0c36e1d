"""``gallery.json``: what a gallery is, and which model's embeddings it holds."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from personsearch.errors import InputError, ModelMismatch, PersonSearchError
from personsearch.files import write_json
from personsearch.gallery.ledger import Place
from personsearch.ranking.calibration import Calibration
from personsearch.types import Similarity

FORMAT = 1
"""Version of the gallery folder that this module writes, and the newest that it reads."""

DESCRIPTION = "gallery.json"
CALIBRATION = "calibration.json"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A folder that pictures were indexed from; the ledger's paths are relative to it.

    Attributes:
        number: what the ledger calls it.
        root: the folder, absolute.
        beside: the folder as seen from the gallery's, where there is such a path. If ``root``
            is gone, pictures are looked for there: gallery and pictures can be moved together.
    """

    number: int
    root: Path
    beside: str | None = None

    def folder(self, gallery: Path) -> Path:
        """Where the pictures are now."""
        if not self.root.is_dir() and self.beside is not None:
            moved = (gallery.resolve() / self.beside).resolve()
            if moved.is_dir():
                return moved
        return self.root


@dataclass(frozen=True, kw_only=True)
class Description:
    """The content of ``gallery.json``.

    Attributes:
        fingerprint, dim, similarity: of the model that described everybody in the gallery.
        created: ISO 8601, UTC.
        sources: the folders indexed; ``sources[i].number == i``.
        generation: how often everybody was described anew by another model; names the tables.
        numbered: detection numbers up to this one may have been given to people who are not
            here any more, and are never given again.
    """

    fingerprint: str
    dim: int
    similarity: Similarity
    created: str
    sources: tuple[Source, ...] = ()
    generation: int = 0
    numbered: int = 0

    @property
    def people_table(self) -> str:
        """Name of the table of everybody."""
        return table_name("people", self.generation)

    @property
    def ledger_table(self) -> str:
        """Name of the table of all files."""
        return table_name("ledger", self.generation)

    def check_model(self, fingerprint: str, gallery: Path) -> None:
        """Raise ModelMismatch unless ``fingerprint`` is that of the gallery's own model."""
        if fingerprint != self.fingerprint:
            raise ModelMismatch(
                f"{gallery} holds people described by model {self.fingerprint[:12]}, not {fingerprint[:12]}",
                hint="use the model that made this gallery, or index the pictures into another gallery",
            )

    def file(self, place: Place, gallery: Path) -> Path:
        """Where the file at ``place`` is now."""
        return self.sources[place.source].folder(gallery) / place.path

    def place(self, file: Path, gallery: Path) -> Place | None:
        """What the ledger calls ``file``, by the innermost source around it; None outside of all."""
        file = file.parent.resolve() / file.name
        inside = self._around(file, gallery)
        if inside is None:
            return None
        return Place(inside.number, file.relative_to(inside.folder(gallery)).as_posix())

    def including(self, folder: Path, gallery: Path) -> Description:
        """The same with ``folder`` below one of its sources; ``self`` if nothing has to change.

        Raises:
            InputError: its path cannot be written down in UTF-8.
        """
        folder = folder.resolve()
        try:
            str(folder).encode()
        except UnicodeEncodeError as error:
            raise InputError(f"the path {str(folder)!a} is not UTF-8", hint="rename the folder") from error
        source = self._around(folder, gallery)
        if source is None:
            source = Source(number=len(self.sources), root=folder, beside=_beside(folder, gallery))
        else:  # it, or the gallery, may have been moved
            here = source.folder(gallery)
            source = replace(source, root=here, beside=_beside(here, gallery))
        sources = (*self.sources[: source.number], source, *self.sources[source.number + 1 :])
        return self if sources == self.sources else replace(self, sources=sources)

    def _around(self, path: Path, gallery: Path) -> Source | None:
        """The innermost source that ``path`` is in."""
        inside = [source for source in self.sources if path.is_relative_to(source.folder(gallery))]
        return max(inside, key=lambda source: len(source.folder(gallery).parts), default=None)

    def write(self, gallery: Path) -> None:
        """Write ``gallery.json``, all or nothing."""
        sources = [{"root": str(source.root), "beside": source.beside} for source in self.sources]
        value = {
            "schema": f"personsearch.gallery/{FORMAT}",
            "format": FORMAT,
            "fingerprint": self.fingerprint,
            "dim": self.dim,
            "similarity": self.similarity,
            "created": self.created,
            "sources": sources,
            "generation": self.generation,
            "numbered": self.numbered,
        }
        write_json(gallery / DESCRIPTION, value)


def new_description(fingerprint: str, dim: int, similarity: Similarity) -> Description:
    """The description of an empty gallery made now."""
    if not fingerprint or dim < 1 or similarity not in get_args(Similarity):
        raise ValueError(f"not a model: fingerprint {fingerprint!r}, dim {dim}, similarity {similarity!r}")
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Description(fingerprint=fingerprint, dim=dim, similarity=similarity, created=created)


def read_description(gallery: Path) -> Description:
    """What ``gallery`` says of itself.

    Raises:
        InputError: there is no gallery, or its description is not one.
        PersonSearchError: a newer version of personsearch made it.
    """
    path = gallery / DESCRIPTION
    if not path.is_file():
        raise InputError(
            f"{gallery} is not a gallery: it has no {DESCRIPTION}",
            hint="make one with: personsearch index FOLDER --gallery DIR",
        )
    value = read_object(path)
    version = value.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise _not_one(path, "it does not say its format version")
    if version > FORMAT:
        raise PersonSearchError(
            f"{gallery} has format version {version}, but this personsearch reads up to {FORMAT}",
            hint="update personsearch: pip install --upgrade personsearch",
        )
    try:
        sources = tuple(
            Source(number=number, root=Path(item["root"]), beside=item["beside"])
            for number, item in enumerate(value["sources"])
        )
        description = Description(
            fingerprint=value["fingerprint"],
            dim=value["dim"],
            similarity=value["similarity"],
            created=value["created"],
            sources=sources,
            generation=int(value.get("generation", 0)),
            numbered=int(value.get("numbered", 0)),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _not_one(path, f"{type(error).__name__} at {error}") from error
    if description.similarity not in get_args(Similarity) or not isinstance(description.dim, int):
        raise _not_one(path, "dim or similarity is not a possible one")
    return description


def table_name(name: str, generation: int) -> str:
    """What a table is called on disk.

    >>> table_name("people", 0), table_name("people", 2)
    ('people', 'people-2')
    """
    return f"{name}-{generation}" if generation else name


def calibration_file(gallery: Path, generation: int) -> Path:
    """Where the calibration of a generation's model is kept."""
    name = Path(CALIBRATION)
    return gallery / (table_name(name.stem, generation) + name.suffix)


def own_calibration_file(gallery: Path, generation: int) -> Path:
    """Where a calibration is kept that was made with this gallery; it wins over the model's."""
    return gallery / (table_name("own-calibration", generation) + ".json")


def write_calibration(gallery: Path, calibration: Calibration, generation: int = 0) -> None:
    """Keep the model's calibration with the people it described."""
    write_json(calibration_file(gallery, generation), calibration.to_json())


def read_calibration(gallery: Path, generation: int = 0, *, own: bool = True) -> Calibration | None:
    """The calibration kept with the gallery, if there is one: its own, or else the model's.

    Args:
        gallery: its folder.
        generation: of its model.
        own: False gives the model's in any case.
    """
    paths = [calibration_file(gallery, generation)]
    if own:
        paths.insert(0, own_calibration_file(gallery, generation))
    found = next((path for path in paths if path.is_file()), None)
    return None if found is None else Calibration.from_json(read_object(found))


def _beside(root: Path, gallery: Path) -> str | None:
    """``root`` as seen from ``gallery``; None between two drives of Windows."""
    try:
        return Path(os.path.relpath(root, gallery.resolve())).as_posix()
    except ValueError:
        return None


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a gallery; InputError for what is none."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", hint="make the file readable") from error
    except (ValueError, RecursionError) as error:
        raise _not_one(path, "it is not JSON") from error
    if not isinstance(value, dict):
        raise _not_one(path, "it is not a JSON object")
    return value


def _not_one(path: Path, why: str) -> InputError:
    return InputError(f"{path} is damaged: {why}", hint="restore it from a copy, or index into a new gallery")
