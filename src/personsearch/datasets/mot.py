"""MOT sequences: a folder each with ``gt/gt.txt``, the frames in ``img1/``; every sequence is a camera.

Layout: sequences in ``train/`` and ``test/`` (or ``val/``), or in ``root`` itself, which is then all to
be searched (test); ``root`` may also be one sequence. Where nothing is called test, val is the test half.
A sequence without ``gt/gt.txt``, as the benchmark's own test half, is not annotated and not read.

A row of ``gt.txt`` has nine columns (MOT16 and later): frame, id, left, top, width, height, flag, class,
visible share; or ten (MOT15): the last three are a place in the world. What the files leave open:

- **Coordinates** count from one: left 1 is the first column of pixels, whose left side is 0 here.
  Files of other makers that count from zero: ``first_pixel=0``.
- **Flag 0**: counts neither way, whoever it is.
- **Class** 1 is people. 2 (on vehicles), 7 (static), 8 (distractors), 12 (reflections) and 13
  (crowds) count neither way and have no identity; all others are things and are left out.
- **Ids** name people within their sequence. Where they go through all sequences of a half say
  ``global_ids=True`` (or ``globalIds=1`` in every ``seqinfo.ini``, as the writer does). Negative ids are
  people whom nobody named. People are numbered in rising order of sequence and id.
- **Visible share** negative or absent: unknown.

Source: Milan et al., MOT16: A Benchmark for Multi-Object Tracking, 2016, arXiv:1603.00831; Leal-Taixé
et al., MOTChallenge 2015, arXiv:1504.01942.
"""

from __future__ import annotations

import configparser
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from personsearch.boxes import from_xywh
from personsearch.datasets.dataset import GallerySize, Subset
from personsearch.datasets.json_files import FARTHEST, picture_path
from personsearch.datasets.protocol_folder import ProtocolFolder
from personsearch.datasets.protocol_trials import Pictures
from personsearch.errors import DatasetError, UsageError
from personsearch.protocols import Cameras
from personsearch.types import UNLABELLED, Array, Scene, Trials

TRUTH = Path("gt/gt.txt")
INFO = "seqinfo.ini"
FRAMES = "img1"
SPLITS = ("train", "val", "test")
MotSplit = Literal["train", "val", "test"]

PEDESTRIAN = 1
NEITHER_WAY = (2, 7, 8, 12, 13)
"""Classes of people-like things that a detector may find or not."""
_MOST_EMPTY, _MOST_A_KNOWN = 100_000, 100
"""Frames that ``seqinfo.ini`` may claim without a picture: so many, or so many an annotated frame."""
_PICTURE = re.compile(r"(\d{1,9})\.(jpg|jpeg|png|bmp|webp)", re.IGNORECASE)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Sequence:
    """One annotated sequence.

    Attributes:
        camera: its folder's name.
        pictures: by frame the picture's name.
        base: the folder in which those names are files.
        size: (width, height), if ``seqinfo.ini`` says so.
        global_ids: whether it says that ids go through all sequences.
        frame, person: (n,) int64; person is the file's id, negative for nobody.
        boxes: (n, 4) float32.
        visible: (n,) float32.
        ignore: (n,) bool.
        empty: by picture how many people's boxes have no area, and are left out.
    """

    camera: str
    pictures: dict[int, str]
    base: Path
    size: tuple[int, int] | None
    global_ids: bool
    frame: Array
    person: Array
    boxes: Array
    visible: Array
    ignore: Array
    empty: dict[str, int]


class MotSequences:
    """The sequences in ``root``; each half is read once, when it is first asked for.

    Args:
        root: a folder of sequences, or of ``train/`` and ``test/`` with sequences, or one sequence.
        name: what to call it in names of protocols.
        global_ids: whether an id is one person in all sequences of a half; None: as the files say.
        first_pixel: what the first column and row of pixels are called.

    Raises:
        DatasetError: there is no annotated sequence, or a file is damaged or odd.
    """

    def __init__(
        self, root: Path, name: str = "mot", *, global_ids: bool | None = None, first_pixel: int = 1
    ) -> None:
        self._root, self._name = Path(root), name
        self._global, self._first = global_ids, first_pixel
        self._folders = _sequence_folders(self._root)
        self._base = self._root.parent if (self._root / TRUTH).is_file() else self._root
        self._protocols = ProtocolFolder(self._root, name, self._pictures)
        self._read: dict[str, tuple[_Sequence, ...]] = {}

    @property
    def name(self) -> str:
        """What the data set is called."""
        return self._name

    @property
    def root(self) -> Path:
        """The folder it lies in."""
        return self._root

    @property
    def gallery_sizes(self) -> tuple[int, ...]:
        """Sizes of the gallery protocols that are on disk, smallest first."""
        return self._protocols.gallery_sizes

    @cached_property
    def unannotated(self) -> tuple[str, ...]:
        """Sequences without ``gt/gt.txt``, which are not read."""
        return tuple(
            f"{split}: {folder.name}"
            for split, folders in self._folders.items()
            for folder in folders
            if not (folder / TRUTH).is_file()
        )

    def scenes(self, split: MotSplit) -> tuple[Scene, ...]:
        """Every frame of one part, by sequence and number, those without anybody too.

        A frame is called ``SEQUENCE/img1/000001.jpg``; frames are those in the picture folder, or,
        without pictures, those that ``seqinfo.ini`` counts, or that are annotated.

        Raises:
            DatasetError: a file is damaged or odd.
            UsageError: there is no such split.
        """
        sequences = self._sequences(split)
        number = {key: i for i, key in enumerate(self._keys(split))}
        return tuple(scene for one in sequences for scene in self._scenes(one, number, split))

    def raw_ids(self, split: MotSplit) -> Array:
        """(n,) text: ``SEQUENCE:ID`` of person 0, 1, 2 ... of one part, or the id where it is global."""
        return np.array(
            [f"{camera}:{person}" if camera else str(person) for camera, person in self._keys(split)], object
        )

    def frames(self, split: MotSplit) -> dict[str, int]:
        """The frame number of every picture, by name."""
        return {name: frame for one in self._sequences(split) for frame, name in sorted(one.pictures.items())}

    def left_out(self, split: MotSplit) -> dict[str, int]:
        """By name of a picture how many of its boxes have no area, and are therefore in no scene."""
        return {name: count for one in self._sequences(split) for name, count in one.empty.items()}

    def trials(self, gallery_size: GallerySize | None = None, *, cameras: Cameras = "all") -> Trials:
        """The searches of one protocol; see :meth:`ProtocolFolder.trials`."""
        return self._protocols.trials(gallery_size, cameras=cameras)

    def subset_trials(self, subset: Subset) -> Trials:
        """The searches for people who are hard to see; see :meth:`ProtocolFolder.subset_trials`."""
        return self._protocols.subset_trials(subset)

    def _pictures(self) -> Pictures:
        number = {name: i for i, name in enumerate(self.raw_ids("test").tolist())}
        return Pictures(scenes=self.scenes("test"), people=number, frames=self.frames("test"))

    def _sequences(self, split: str) -> tuple[_Sequence, ...]:
        if split not in SPLITS:
            raise UsageError(f"no split {split!r}", hint=f"one of: {', '.join(SPLITS)}")
        split = "val" if split == "test" and "test" not in self._folders else split
        if split not in self._read:
            folders = [folder for folder in self._folders.get(split, ()) if (folder / TRUTH).is_file()]
            self._read[split] = tuple(_read_sequence(self._base, folder, self._first) for folder in folders)
        return self._read[split]

    def _through(self, split: str) -> bool:
        """Whether ids go through all sequences."""
        sequences = self._sequences(split)
        return self._global if self._global is not None else all(one.global_ids for one in sequences)

    def _keys(self, split: str) -> list[tuple[str, int]]:
        """(sequence, id) of everybody in the order of their numbers; sequence "" where ids are global."""
        through = self._through(split)
        return sorted(
            {
                ("" if through else one.camera, person)
                for one in self._sequences(split)
                for person in one.person.tolist()
                if person >= 0
            }
        )

    def _scenes(self, one: _Sequence, number: dict[tuple[str, int], int], split: str) -> Iterator[Scene]:
        camera = "" if self._through(split) else one.camera
        people = np.array([number.get((camera, key), UNLABELLED) for key in one.person.tolist()], np.int64)
        order = np.argsort(one.frame, kind="stable")  # by frame, then as in the file
        frames = np.array(sorted(one.pictures), np.int64)
        start, stop = (np.searchsorted(one.frame[order], frames, side) for side in ("left", "right"))
        for i, frame in enumerate(frames.tolist()):
            rows = order[start[i] : stop[i]]
            yield Scene(
                one.pictures[frame],
                path=one.base / one.pictures[frame],
                size=one.size,
                boxes=one.boxes[rows],
                people=people[rows],
                visible=one.visible[rows],
                ignore=one.ignore[rows],
                camera=one.camera,
            )


def _sequence_folders(root: Path) -> dict[str, list[Path]]:
    """Per split the folders of its sequences."""
    if (root / TRUTH).is_file():
        return {"test": [root]}
    found = {split: _with_frames(root / split) for split in SPLITS if (root / split).is_dir()}
    if not any(found.values()):
        found = {"test": _with_frames(root)}
    if not any((folder / TRUTH).is_file() for folders in found.values() for folder in folders):
        raise DatasetError(
            f"{root} holds no sequence with {TRUTH}", hint="a sequence is a folder with img1/ and gt/gt.txt"
        )
    return found


def _with_frames(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and any((path / part).exists() for part in (TRUTH, FRAMES, INFO))
    )


def _read_sequence(base: Path, folder: Path, first_pixel: int) -> _Sequence:
    info = _read_info(folder / INFO)
    table = _read_table(folder / TRUTH)
    pictures = _pictures_of(base, folder, info, table[:, 0])
    unknown = ~np.isin(table[:, 0], list(pictures))
    if unknown.any():
        raise DatasetError(
            f"{folder / TRUTH}: frame {table[np.argmax(unknown), 0]:g} has no picture in {folder.name}",
            hint="are annotation and pictures of one sequence?",
        )
    nine = table.shape[1] == 9
    kind = table[:, 7] if nine else np.full(len(table), PEDESTRIAN)
    table, kind = (part[np.isin(kind, (PEDESTRIAN, *NEITHER_WAY))] for part in (table, kind))
    boxes = from_xywh(np.concatenate([table[:, 2:4] - first_pixel, table[:, 4:6]], axis=1))
    solid = (boxes[:, 2:] > boxes[:, :2]).all(1)
    empty = Counter(pictures[int(frame)] for frame in table[~solid, 0].tolist())
    table, kind, boxes = table[solid], kind[solid], boxes[solid]
    share = table[:, 8] if nine else np.full(len(table), -1.0)
    return _Sequence(
        camera=folder.name,
        pictures=pictures,
        base=base,
        size=info.size,
        global_ids=info.global_ids,
        frame=table[:, 0].astype(np.int64),
        person=np.where(kind == PEDESTRIAN, table[:, 1], -1).astype(np.int64),
        boxes=boxes,
        visible=np.where(share < 0, np.nan, share).astype(np.float32),
        ignore=(table[:, 6] == 0) | (kind != PEDESTRIAN),
        empty=dict(empty),
    )


@dataclass(frozen=True, kw_only=True)
class _Info:
    """What ``seqinfo.ini`` says, with what the layout says where it is silent."""

    pictures: str = FRAMES
    length: int = 0
    frames: tuple[int, ...] = ()
    digits: int = 6
    suffix: str = ".jpg"
    size: tuple[int, int] | None = None
    global_ids: bool = False


def _read_info(path: Path) -> _Info:
    if not path.is_file():
        return _Info()
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=path.name)
        part = parser["Sequence"]
        width, height = part.getint("imWidth", 0), part.getint("imHeight", 0)
        length, digits = part.getint("seqLength", 0), part.getint("imDigits", 6)
        frames = tuple(int(number) for number in part.get("frames", "").split())
        through = part.getboolean("globalIds", False)
    except (configparser.Error, KeyError, ValueError, OSError) as error:
        said = str(error).splitlines()[0][:120]
        raise DatasetError(f"{path} cannot be read: {said}", hint="mend it, or remove it") from error
    suffix, folder = part.get("imExt", ".jpg"), part.get("imDir", FRAMES)
    fits = 0 <= width < 2**31 and 0 <= height < 2**31 and 0 <= length <= 10**7 and 1 <= digits <= 9
    if not (fits and all(0 <= frame < 10**9 for frame in frames) and re.fullmatch(r"\.\w+", suffix)):
        raise DatasetError(
            f"{path}: imWidth, imHeight, seqLength, frames, imDigits or imExt is odd",
            hint="mend it, or remove it",
        )
    picture_path(path.parent, folder, f"{path}: imDir")
    return _Info(
        pictures=folder,
        length=length,
        frames=frames,
        digits=digits,
        suffix=suffix,
        size=(width, height) if width and height else None,
        global_ids=bool(through),
    )


def _pictures_of(base: Path, folder: Path, info: _Info, annotated: Array) -> dict[int, str]:
    """By frame the name of its picture below ``base``."""
    pictures = folder / info.pictures
    prefix = pictures.relative_to(base).as_posix()
    found: dict[int, str] = {}
    for path in sorted(pictures.iterdir()) if pictures.is_dir() else ():
        match = _PICTURE.fullmatch(path.name)
        if match is None:
            continue
        if int(match[1]) in found:
            raise DatasetError(
                f"{pictures} holds frame {int(match[1])} twice",
                hint="one picture a frame, named by its number",
            )
        picture_path(base, f"{prefix}/{path.name}", str(pictures))
        found[int(match[1])] = f"{prefix}/{path.name}"
    if found:
        return found
    known = sorted({int(n) for n in annotated.tolist()})
    if not info.frames and info.length > max(_MOST_EMPTY, _MOST_A_KNOWN * len(known)):
        raise DatasetError(
            f"{folder / INFO}: seqLength is {info.length}, but {len(known)} frames are annotated",
            hint=f"mend seqLength, or put the pictures into {info.pictures}/",
        )
    frames = info.frames or range(1, info.length + 1) or known
    return {frame: f"{prefix}/{frame:0{info.digits}d}{info.suffix}" for frame in frames}


def _read_table(path: Path) -> Array:
    """(n, 9 or 10) float64 rows of a ``gt.txt``."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(
            f"{path} cannot be read: {error}", hint="gt.txt is text, comma separated"
        ) from error
    rows: list[list[float]] = []
    seen: set[tuple[float, float]] = set()
    for i, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path} line {i}"
        try:
            row = [float(part) for part in line.split(",")]
        except ValueError as error:
            raise DatasetError(
                f"{where}: {line.strip()[:60]!r} is not numbers", hint="columns are separated by commas"
            ) from error
        _check_row(row, len(rows[0]) if rows else len(row), where)
        if row[1] >= 0 and (row[0], row[1]) in seen:
            raise DatasetError(f"{where}: id {row[1]:g} is in frame {row[0]:g} twice", hint="keep one")
        seen.add((row[0], row[1]))
        rows.append(row)
    return np.array(rows, np.float64).reshape(len(rows), len(rows[0]) if rows else 9)


def _check_row(row: list[float], columns: int, where: str) -> None:
    if len(row) not in (9, 10) or len(row) != columns:
        raise DatasetError(
            f"{where} has {len(row)} columns" + (f", others {columns}" if len(row) != columns else ""),
            hint="nine (MOT16: ... flag, class, visible) or ten (MOT15)",
        )
    frame, person, *box = row[:6]
    if not all(abs(number) < FARTHEST for number in (*row[:8], *box)):  # false for NaN
        raise DatasetError(f"{where}: a number is not finite or too large", hint="mend the row")
    if frame < 0 or frame % 1 or person % 1:
        raise DatasetError(f"{where}: frame and id must be whole numbers", hint="mend the row")
    if box[2] < 0 or box[3] < 0:
        raise DatasetError(
            f"{where}: width or height is negative", hint="columns: frame, id, left, top, width, height"
        )
    if len(row) == 9 and not row[8] <= 1:
        raise DatasetError(f"{where}: visible is {row[8]:g}, not a share from 0 to 1", hint="mend the row")
