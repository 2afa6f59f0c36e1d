"""People's own data: COCO JSON whose boxes say which person they show.

Layout: ``annotations.json``, or ``train.json`` and ``test.json`` (and ``val.json``), or a single other
JSON file; each of them in ``root`` or in ``root/annotations/``. Pictures lie in ``images/`` or beside.

- **Who**: ``person_id``, else ``track_id``, else ``object_id``, of an annotation or in its ``attributes``
  (where CVAT puts it). The first of them that occurs anywhere counts for the whole data set, so
  that a track without a person is nobody. Ids are whole numbers or text, compared as text; absent,
  null and negative ones are people whom nobody named. In each half they are numbered in
  rising order: numbers first, then text.
- **Where**: ``bbox``, continuous x, y, width, height from the picture's upper left corner. Boxes
  without width or height are left out. ``iscrowd`` or ``ignore``: counts neither way. ``visible``: the
  visible share, 0 to 1.
- **What**: the category "person", or the only one there is.
- **Pictures**: ``file_name`` (folders with ``/``), ``width``, ``height``, and where known ``camera`` or
  ``camera_id``, ``frame``, ``time`` (seconds since 1970), ``split``: train, val or test. Without splits
  everything is to be searched: test. Where nothing is called test, val is the test half.
- **Searches**: ``protocol.json`` and ``protocols/`` (:mod:`personsearch.datasets.protocol_folder`).

Source: the COCO data format (Lin et al., Microsoft COCO, ECCV 2014), and CVAT's export of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from personsearch.boxes import from_xywh
from personsearch.datasets.dataset import GallerySize, Subset
from personsearch.datasets.json_files import Fields, picture_path, read_json
from personsearch.datasets.protocol_folder import DEFAULT, ProtocolFolder
from personsearch.datasets.protocol_trials import Pictures
from personsearch.errors import DatasetError, UsageError
from personsearch.files import sha256_of
from personsearch.protocols import Cameras
from personsearch.types import UNLABELLED, Array, Scene, Trials

IDENTITY_FIELDS = ("person_id", "track_id", "object_id")
"""Attributes that may say who somebody is, in the order in which they count."""

ANNOTATION = Path("annotations.json")
PICTURES = Path("images")
SPLITS = ("train", "val", "test")
CocoSplit = Literal["train", "val", "test"]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Box:
    """One annotation: its names by field of identity, where it is, and whether it counts."""

    names: tuple[str | None, ...]
    xywh: list[float]
    visible: float
    ignore: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class _Image:
    """One picture as its file has it; ``boxes`` and ``empty`` (what had no area) are filled afterwards."""

    name: str
    where: str
    split: str | None
    size: tuple[int, int] | None
    camera: str | None
    frame: int | None
    time: float | None
    boxes: list[_Box]
    empty: list[str]


class CocoPersons:
    """The data set in ``root``; its annotation is read once, when it is first needed.

    Args:
        root: the data set's folder, or its annotation file.
        name: what to call it in names of protocols.
        identity_field: the attribute that names people, instead of the first that occurs.

    Raises:
        DatasetError: there is no annotation file, several of them, or it is damaged or odd.
    """

    def __init__(self, root: Path, name: str = "coco", *, identity_field: str | None = None) -> None:
        if identity_field not in (None, *IDENTITY_FIELDS):
            raise UsageError(
                f"no field {identity_field!r} names people", hint=f"one of: {', '.join(IDENTITY_FIELDS)}"
            )
        path = Path(root)
        self._root = path.parent if path.is_file() else path
        self._files = {None: path} if path.is_file() else _annotation_files(path)
        self._name, self._wanted_field = name, identity_field
        self._protocols = ProtocolFolder(self._root, name, self._pictures)
        self._made: dict[str, tuple[Scene, ...]] = {}

    @property
    def name(self) -> str:
        """What the data set is called."""
        return self._name

    @property
    def root(self) -> Path:
        """The folder it lies in."""
        return self._root

    @property
    def files(self) -> tuple[Path, ...]:
        """The annotation files."""
        return tuple(self._files.values())

    @cached_property
    def fingerprint(self) -> str:
        """Hex digest of the annotation files and of the field that names people."""
        return f"{sha256_of(*self.files)[:16]}-{self.identity_field or 'nobody'}"

    @property
    def gallery_sizes(self) -> tuple[int, ...]:
        """Sizes of the gallery protocols that are on disk, smallest first."""
        return self._protocols.gallery_sizes

    @cached_property
    def identity_field(self) -> str | None:
        """Which attribute names the people; None where nobody is named."""
        if self._wanted_field is not None:
            return self._wanted_field
        boxes = [box for image in self._images for box in image.boxes]
        for i, field in enumerate(IDENTITY_FIELDS):
            if any(box.names[i] is not None for box in boxes):
                return field
        return None

    def scenes(self, split: CocoSplit) -> tuple[Scene, ...]:
        """Every picture of one part, in the order of the annotation, those without anybody too.

        Raises:
            DatasetError: the annotation is damaged or odd, or a picture's name leads out of its folder.
            UsageError: there is no such split.
        """
        if split not in SPLITS:
            raise UsageError(f"no split {split!r}", hint=f"one of: {', '.join(SPLITS)}")
        if split not in self._made:
            number = {name: i for i, name in enumerate(self.raw_ids(split).tolist())}
            folder = self._picture_folder
            images = self._of_split(split)
            self._made[split] = tuple(self._scene(image, number, folder) for image in images)
        return self._made[split]

    def raw_ids(self, split: CocoSplit) -> Array:
        """(n,) text: what the annotation calls person 0, 1, 2 ... of one part."""
        names = (self._name_of(box) for image in self._of_split(split) for box in image.boxes)
        return np.array(rising({name for name in names if name is not None}), object)

    def frames(self, split: CocoSplit) -> dict[str, int]:
        """The frame number of every picture that says it, by name."""
        images = self._of_split(split)
        return {image.name: image.frame for image in images if image.frame is not None}

    def left_out(self, split: CocoSplit) -> dict[str, int]:
        """By name of a picture how many of its boxes have no area, and are therefore in no scene."""
        return {image.name: len(image.empty) for image in self._of_split(split) if image.empty}

    def named_otherwise(self, split: CocoSplit) -> dict[str, int]:
        """By name of a picture how many boxes only another field names: they are people without a name."""
        count = {
            image.name: sum(self._name_of(box) is None and any(box.names) for box in image.boxes)
            for image in self._of_split(split)
        }
        return {name: number for name, number in count.items() if number}

    def trials(self, gallery_size: GallerySize | None = None, *, cameras: Cameras = "all") -> Trials:
        """The searches of one protocol; see :meth:`ProtocolFolder.trials`."""
        return self._protocols.trials(gallery_size, cameras=cameras)

    def subset_trials(self, subset: Subset) -> Trials:
        """The searches for people who are hard to see; see :meth:`ProtocolFolder.subset_trials`."""
        return self._protocols.subset_trials(subset)

    def _pictures(self) -> Pictures:
        number = {name: i for i, name in enumerate(self.raw_ids("test").tolist())}
        return Pictures(scenes=self.scenes("test"), people=number, frames=self.frames("test"))

    @cached_property
    def _images(self) -> tuple[_Image, ...]:
        images: dict[str, _Image] = {}
        for split, path in self._files.items():
            for image in _read_file(path, split):
                if image.name in images:
                    raise DatasetError(
                        f"{image.where}: file_name {image.name} is listed twice",
                        hint="every picture is listed once, in one part",
                    )
                images[image.name] = image
        with_split = [image.split is not None for image in images.values()]
        if any(with_split) and not all(with_split):
            lacking = next(image for image in images.values() if image.split is None)
            raise DatasetError(
                f"{lacking.where}: split is missing, other pictures have one",
                hint="give all pictures a split, or none",
            )
        return tuple(images.values())

    def _of_split(self, split: str) -> list[_Image]:
        present = {image.split or "test" for image in self._images}
        wanted = "val" if split == "test" and "test" not in present else split
        return [image for image in self._images if (image.split or "test") == wanted]

    @cached_property
    def _picture_folder(self) -> Path:
        """``images/`` if the first picture lies there, or if that folder is all there is."""
        folder, first = self._root / PICTURES, next(iter(self._images), None)
        if first is None or not folder.is_dir():
            return self._root
        beside = picture_path(self._root, first.name, first.where).is_file()
        inside = picture_path(folder, first.name, first.where).is_file()
        return self._root if beside and not inside else folder

    def _name_of(self, box: _Box) -> str | None:
        field = self.identity_field
        return None if field is None else box.names[IDENTITY_FIELDS.index(field)]

    def _scene(self, image: _Image, number: dict[str, int], folder: Path) -> Scene:
        names = [self._name_of(box) for box in image.boxes]
        boxes = from_xywh(np.array([box.xywh for box in image.boxes]).reshape(-1, 4))
        people = [UNLABELLED if name is None else number[name] for name in names]
        return Scene(
            image.name,
            path=picture_path(folder, image.name, f"{image.where}: file_name"),
            size=image.size,
            boxes=boxes,
            people=np.array(people, np.int64),
            visible=np.array([box.visible for box in image.boxes], np.float32),
            ignore=np.array([box.ignore for box in image.boxes], bool),
            camera=image.camera,
            time=image.time,
        )


def rising(names: set[str]) -> list[str]:
    """Names in rising order: whole numbers by size, then text.

    >>> rising({"10", "9", "b", "a"})
    ['9', '10', 'a', 'b']
    """

    def key(name: str) -> tuple[bool, int, str]:
        number = name.isascii() and name.isdigit() and len(name) < 4000
        return not number, int(name) if number else 0, name

    return sorted(names, key=key)


def _annotation_files(root: Path) -> dict[str | None, Path]:
    """The annotation file (by None), or one a split."""
    for folder in (root, root / "annotations"):
        if (folder / ANNOTATION).is_file():
            return {None: folder / ANNOTATION}
        found: dict[str | None, Path] = {
            split: folder / f"{split}.json" for split in SPLITS if (folder / f"{split}.json").is_file()
        }
        if found:
            return found
        others = sorted(path for path in folder.glob("*.json") if path.name != DEFAULT.name)
        if len(others) == 1:
            return {None: others[0]}
        if others:
            raise DatasetError(
                f"{folder} holds several annotations: {', '.join(path.name for path in others[:4])}",
                hint="call them train.json and test.json, or give the one file",
            )
    raise DatasetError(
        f"{root} holds no {ANNOTATION}", hint="annotations.json, or train.json and test.json, belong there"
    )


def _read_file(path: Path, split: str | None) -> list[_Image]:
    """The pictures of one file with their boxes."""
    top = Fields(read_json(path), str(path))
    if not isinstance(top.values.get("images"), list):
        raise top.wrong("images", "a list of pictures")
    images: dict[str, _Image] = {}
    for i, raw in enumerate(top.objects("images")):
        entry = Fields(raw, f"{path}: images[{i}]")
        key = entry.label("id")
        if key is None:
            raise entry.wrong("id", "a number or text")
        if key in images:
            raise DatasetError(f"{entry.where}: id {key} is that of another picture", hint="ids must differ")
        images[key] = _image(entry, split)
    counts = _categories(top)
    for i, raw in enumerate(top.objects("annotations")):
        entry = Fields(raw, f"{path}: annotations[{i}]")
        key = entry.label("image_id")
        if key not in images:
            raise DatasetError(
                f"{entry.where}: image_id {key} is that of no picture", hint="is the file whole?"
            )
        if _is_person(entry, counts):
            box = _box(entry)
            if box is None:
                images[key].empty.append(f"annotations[{i}]")
            else:
                images[key].boxes.append(box)
    return list(images.values())


def _image(entry: Fields, split: str | None) -> _Image:
    name = entry.text("file_name")
    if name is None:
        raise entry.wrong("file_name", "the name of a picture")
    picture_path(Path(), name, f"{entry.where}: file_name")
    said = entry.text("split")
    if said is not None and said not in SPLITS:
        raise entry.wrong("split", " or ".join(SPLITS))
    if split is not None and said not in (None, split):
        raise entry.wrong("split", f"{split}, as the file is called")
    sides = [entry.integer(side) for side in ("width", "height")]
    for side, value in zip(("width", "height"), sides, strict=True):
        if (value is None) != (sides[0] is None) or (value is not None and not 0 < value < 2**31):
            raise entry.wrong(side, "a number of pixels, like the other side")
    frame = entry.integer("frame")
    if frame is not None and abs(frame) >= 2**62:
        raise entry.wrong("frame", "the number of a frame")
    return _Image(
        name=name,
        where=entry.where,
        split=said or split,
        size=None if sides[0] is None or sides[1] is None else (sides[0], sides[1]),
        camera=entry.label("camera") if "camera" in entry else entry.label("camera_id"),
        frame=frame,
        time=entry.number("time"),
        boxes=[],
        empty=[],
    )


def _categories(top: Fields) -> dict[str, bool]:
    """By category id whether it is people; empty where the file names no categories."""
    names: dict[str, str] = {}
    for i, raw in enumerate(top.objects("categories")):
        entry = Fields(raw, f"{top.where}: categories[{i}]")
        key = entry.label("id")
        if key is None:
            raise entry.wrong("id", "a number or text")
        names[key] = (entry.text("name") or "").casefold()
    people = {key: name == "person" for key, name in names.items()}
    if names and not any(people.values()):
        if len(names) > 1:
            raise DatasetError(
                f"{top.where}: categories are {', '.join(sorted(names.values())[:6])}, none is person",
                hint="call the category of people 'person'",
            )
        return dict.fromkeys(names, True)
    return people


def _is_person(entry: Fields, categories: dict[str, bool]) -> bool:
    key = entry.label("category_id")
    if not categories and key is None:
        return True
    if key not in categories:
        raise DatasetError(
            f"{entry.where}: category_id {key} is no category of the file", hint="is 'categories' whole?"
        )
    return categories[key]


def _box(entry: Fields) -> _Box | None:
    """One annotation; None where the box has no inside (in float32)."""
    more = entry.values.get("attributes")
    parts = (entry, Fields(more, f"{entry.where}: attributes")) if isinstance(more, dict) else (entry,)
    share = float("nan")
    if (part := _holder(parts, "visible")) is not None:
        share = part.number("visible") or 0.0
        if not 0 <= share <= 1:
            raise part.wrong("visible", "a share from 0 to 1")
    names = tuple(_identity(parts, field) for field in IDENTITY_FIELDS)
    ignore = any(field in entry and entry.flag(field) for field in ("iscrowd", "ignore"))
    left, top, width, height = xywh = entry.box("bbox")
    low, high = np.array([left, top], np.float32), np.array([left + width, top + height], np.float32)
    return _Box(names=names, xywh=xywh, visible=share, ignore=ignore) if (high > low).all() else None


def _holder(parts: tuple[Fields, ...], field: str) -> Fields | None:
    """Where ``field`` stands: in the annotation, or else in its attributes; empty text is none."""
    return next((part for part in parts if part.values.get(field) not in (None, "")), None)


def _identity(parts: tuple[Fields, ...], field: str) -> str | None:
    part = _holder(parts, field)
    name = None if part is None else part.label(field)
    return None if name is None or (name.startswith("-") and name[1:].isdigit()) else name
