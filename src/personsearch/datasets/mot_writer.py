"""Scenes as MOT sequences, one a camera, with nine columns (MOT16 and later).

What is read back is what was written, except where the layout has no room: times are lost, pictures
of one camera share a size, an ignored box without identity becomes a distractor, a person is
once in a picture. Pictures that are not called ``CAMERA/img1/000001.jpg`` are called so afterwards, in
their order. Person numbers go through all sequences; ``globalIds=1`` in ``seqinfo.ini`` says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from personsearch.boxes import from_xywh
from personsearch.datasets.dataset import Split
from personsearch.datasets.json_files import exact_xywh, picture_path
from personsearch.datasets.mot import FRAMES, INFO, PEDESTRIAN, TRUTH
from personsearch.datasets.rows import ignored, visible
from personsearch.errors import DatasetError
from personsearch.files import write_text
from personsearch.types import UNLABELLED, Scene

_DISTRACTOR = 8
_PLACE = re.compile(r"(?:(train|val|test)/)?([^/]+)/([^/]+)/(\d{1,9})(\.\w+)")


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a picture goes: ``half/camera/folder/number.suffix`` (half "": directly below the root)."""

    half: str
    camera: str
    folder: str
    digits: int
    frame: int
    suffix: str

    @property
    def sequence(self) -> Path:
        return Path(self.half) / self.camera

    @property
    def picture(self) -> Path:
        return self.sequence / self.folder / f"{self.frame:0{self.digits}d}{self.suffix}"


def write_mot(root: Path, *, train: Sequence[Scene] = (), test: Sequence[Scene] = ()) -> dict[str, Path]:
    """Write ``gt/gt.txt`` and ``seqinfo.ini`` of every camera, each file all or nothing.

    Args:
        root: folder of the data set; ``root/train/CAMERA`` and ``root/test/CAMERA``.
        train: pictures to learn from.
        test: pictures to search in; their people's ids are number + 1, training people follow.

    Returns:
        By name of scene where its picture belongs, below ``root``.

    Raises:
        DatasetError: the layout cannot hold it: two pictures of one name, a camera whose name is no
            folder, pictures of one camera of different size, a person twice in a picture, or a box
            without inside.
    """
    names = [scene.name for scene in (*train, *test)]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DatasetError(f"two scenes are called {twice}", hint="names of pictures must differ")
    places = _kept(train, test) or {**_new("train", train), **_new("test", test)}
    first = {"test": 1, "train": 1 + max((int(s.people.max(initial=-1)) for s in test), default=-1) + 1}
    halves: tuple[tuple[Split, Sequence[Scene]], ...] = (("train", train), ("test", test))
    texts: dict[Path, str] = {}
    for split, scenes in halves:
        sequences: dict[Path, list[Scene]] = {}
        for scene in scenes:
            sequences.setdefault(places[scene.name].sequence, []).append(scene)
        for sequence, members in sequences.items():
            texts[sequence / INFO] = _info(members, places)
            rows = (_rows(scene, places[scene.name].frame, first[split]) for scene in members)
            texts[sequence / TRUTH] = "".join(rows)
    for path, text in texts.items():
        write_text(root / path, text)
    return {name: place.picture for name, place in places.items()}


def _kept(train: Sequence[Scene], test: Sequence[Scene]) -> dict[str, _Place] | None:
    """The places that the names say already, if those of all scenes fit together; else None."""
    places: dict[str, _Place] = {}
    halves: dict[str, set[str]] = {"train": set(), "test": set()}
    like: dict[Path, tuple[str, int, str]] = {}
    order: dict[Path, int] = {}
    for split, scenes in (("train", train), ("test", test)):
        for scene in scenes:
            match = _PLACE.fullmatch(scene.name)
            if match is None or match[2] != scene.camera:
                return None
            half, camera, folder, number, suffix = match.groups(default="")
            place = _Place(
                half=half, camera=camera, folder=folder, digits=len(number), frame=int(number), suffix=suffix
            )
            if place.picture.as_posix() != scene.name:
                return None
            kind = (folder, len(number), suffix)
            if like.setdefault(place.sequence, kind) != kind or order.get(place.sequence, -1) >= place.frame:
                return None
            order[place.sequence] = place.frame
            halves[split].add(half)
            places[scene.name] = place
    wanted = {"train"} if train else set()
    apart = halves["train"] == wanted and len(halves["test"]) <= 1 and "train" not in halves["test"]
    return places if apart and not (train and "" in halves["test"]) else None


def _new(half: Split, scenes: Sequence[Scene]) -> dict[str, _Place]:
    """Frames 1, 2, 3 ... of every camera, in the order of the scenes."""
    count: dict[str, int] = {}
    places = {}
    for scene in scenes:
        camera = "sequence" if scene.camera is None else scene.camera
        if "/" in camera:
            raise DatasetError(f"{scene.name}: camera {camera!r} is no name of a folder", hint="rename it")
        picture_path(Path(), camera, f"{scene.name}: camera")
        count[camera] = count.get(camera, 0) + 1
        suffix = Path(scene.name).suffix.lower()
        known = suffix if re.fullmatch(r"\.(jpg|jpeg|png|bmp|webp)", suffix) else ".jpg"
        places[scene.name] = _Place(
            half=half, camera=camera, folder=FRAMES, digits=6, frame=count[camera], suffix=known
        )
    return places


def _info(scenes: Sequence[Scene], places: Mapping[str, _Place]) -> str:
    """``seqinfo.ini`` of one sequence."""
    place = places[scenes[0].name]
    sizes = {scene.size for scene in scenes}
    if len(sizes) > 1:
        raise DatasetError(
            f"pictures of camera {place.camera} have several sizes, {scenes[0].name} has {scenes[0].size}",
            hint="a sequence has one size",
        )
    frames = [places[scene.name].frame for scene in scenes]
    lines = [f"name={place.camera}", f"imDir={place.folder}", f"seqLength={max(frames)}"]
    if scenes[0].size is not None:
        lines += [f"imWidth={scenes[0].size[0]}", f"imHeight={scenes[0].size[1]}"]
    lines += [f"imExt={place.suffix}", "globalIds=1"]
    if frames != list(range(1, len(frames) + 1)):
        lines.append(f"frames={' '.join(map(str, frames))}")
    if place.digits != 6:
        lines.append(f"imDigits={place.digits}")
    return "\n".join(["[Sequence]", *lines]) + "\n"


def _rows(scene: Scene, frame: int, first: int) -> str:
    """The rows of one picture; corners move by one because MOT's first pixel is 1."""
    named = scene.people[scene.people != UNLABELLED]
    if len(np.unique(named)) != len(named):
        raise DatasetError(
            f"{scene.name} holds a person twice", hint="the layout has a person once a picture"
        )
    rows = []
    for box, person, share, ignore in zip(
        _one_based_xywh(scene),
        scene.people.tolist(),
        visible(scene),
        ignored(scene).tolist(),
        strict=True,
    ):
        kind = _DISTRACTOR if ignore and person == UNLABELLED else PEDESTRIAN
        number = person + first if person != UNLABELLED else -1
        seen = "-1" if np.isnan(share) else str(share)
        sides = ",".join(repr(side) if side % 1 else f"{side:.0f}" for side in box)
        rows.append(f"{frame},{number},{sides},{int(not ignore)},{kind},{seen}\n")
    return "".join(rows)


def _one_based_xywh(scene: Scene) -> list[list[float]]:
    """Left, top, width, height with the first pixel at 1, such that minus 1 gives the same corners."""
    exact = np.array(exact_xywh(scene.boxes)).reshape(-1, 4)
    exact[:, :2] += 1
    short = exact.round(9)
    moved = short - [1, 1, 0, 0]
    fits = (from_xywh(moved) == scene.boxes).all(1)
    exact[fits] = short[fits]
    if not np.array_equal(from_xywh(exact - [1, 1, 0, 0]), scene.boxes):
        raise DatasetError(f"{scene.name}: a box is too small to be written exactly", hint="boxes are pixels")
    numbers: list[list[float]] = exact.tolist()
    return numbers
