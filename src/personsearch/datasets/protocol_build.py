"""A data set with new protocols: halves kept or drawn, queries and galleries drawn, pictures with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from personsearch.datasets.dataset import Dataset
from personsearch.datasets.inventory import person_names
from personsearch.datasets.protocol_maker import Protocols, ProtocolSettings, make_protocols
from personsearch.datasets.protocol_writer import write_protocols
from personsearch.datasets.rows import sized
from personsearch.datasets.staging import Transfer, build, check_free, transfer
from personsearch.errors import DatasetError
from personsearch.progress import Progress, silent
from personsearch.types import UNLABELLED, Scene


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """How to make a data set with protocols.

    Attributes:
        protocol: what to draw.
        layout: what is written.
        halves: keep the data set's own (all is test where there is no training half), or draw new
            ones from all of its pictures.
        pictures: copied, linked to, or left away.
    """

    protocol: ProtocolSettings = field(default_factory=ProtocolSettings)
    layout: Literal["coco", "cuhk-sysu"] = "coco"
    halves: Literal["keep", "draw"] = "keep"
    pictures: Transfer = "copy"


def build_protocols(
    dataset: Dataset, out: Path, settings: BuildSettings, *, progress: Progress = silent
) -> Protocols:
    """Write ``dataset`` to ``out`` with new protocols; the same seed gives the same bytes.

    Halves are drawn only where that is asked for: no picture and no person is then in both. A
    data set without a training half keeps all its pictures in the test half, and a note says so.

    Raises:
        UsageError: ``out`` is not empty, or a number makes no sense.
        DatasetError: the data set is damaged, a picture is missing, or nobody can be looked for.
    """
    out = Path(out)
    check_free(out, dataset.root)
    train, test = dataset.scenes("train"), dataset.scenes("test")
    if not train and not test:
        raise DatasetError(f"{dataset.root} has no annotated picture", hint="is this the right folder?")
    if settings.halves == "keep":
        protocols = make_protocols(test, settings.protocol, train=train)
        if not train:
            note = "no training half: every picture is a test picture (--resplit draws two halves)"
            protocols = replace(protocols, notes=(note, *protocols.notes))
    else:
        protocols = make_protocols(pooled(dataset, train, test), settings.protocol)
    frames = getattr(dataset, "frames", None)
    numbers = {} if frames is None else {**frames("train"), **frames("test")}
    lost: list[str] = []

    def make(part: Path) -> dict[str, Any]:
        everything = (*protocols.train, *protocols.test)
        known = {scene.name: sized(scene) for scene in progress(everything, "reading headers")}
        fitting = replace(
            protocols,
            train=tuple(known[scene.name] for scene in protocols.train),
            test=tuple(known[scene.name] for scene in protocols.test),
        )
        written = write_protocols(part, fitting, settings.layout, frames=numbers)
        pictures = [(scene, written.places[scene.name]) for scene in everything]
        transfer(part, pictures, settings.pictures, progress)
        lost.extend(f"{loss.count} {loss.what}" for loss in written.losses)
        return {"notes": [*protocols.notes, *lost]}

    asked = {
        "schema": "personsearch.protocol/1",
        "dataset": dataset.name,
        "root": str(dataset.root.resolve()),
        "layout": settings.layout,
        "halves": settings.halves,
        "pictures": settings.pictures,
        **asdict(settings.protocol),
        "gallery_sizes": list(settings.protocol.gallery_sizes),
    }
    build(out, asked, make)
    return replace(protocols, notes=(*protocols.notes, *lost))


def pooled(dataset: Dataset, train: Sequence[Scene], test: Sequence[Scene]) -> list[Scene]:
    """Both halves as one, people numbered through: by the annotation's own names where it has them."""
    names: list[list[str] | None] = [person_names(dataset, "train"), person_names(dataset, "test")]
    number: dict[tuple[int, object], int] = {}
    scenes = []
    for half, (part, known) in enumerate(zip((train, test), names, strict=True)):
        for scene in part:
            people = []
            for person in scene.people.tolist():
                if person == UNLABELLED:
                    people.append(UNLABELLED)
                    continue
                # Without names the numbers of one half mean nothing in the other.
                key = (0, known[person]) if all(n is not None for n in names) and known else (half, person)
                people.append(number.setdefault(key, len(number)))
            scenes.append(replace(scene, people=np.array(people, np.int64)))
    return scenes
