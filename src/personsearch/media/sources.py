"""What people name as a source, and which files (or camera) that is.

A source is a folder, a pattern such as ``photos/**/*.jpg``, a list (a text file with a path a
line), a picture, a video, or a camera (``rtsp://...``, ``webcam:0``). Files come out in a fixed
order, each once, however often and however it was named; what was named and cannot be used comes
out as a failure with its reason, never as nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from personsearch.errors import InputError
from personsearch.media.container import printable
from personsearch.media.folders import READABLE_SUFFIXES, is_medium, is_picture, is_video, walk
from personsearch.media.patterns import is_pattern, matching
from personsearch.types import Failure

LIST_SUFFIXES = frozenset({".txt", ".lst", ".list"})
LONGEST_LIST = 1 << 30
"""Bytes of the longest list that is read: some ten million paths."""

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_HEADS = (
    (0, b"\x1a\x45\xdf\xa3"),
    (0, b"\0\0\x01\xba"),
    (0, b"\0\0\x01\xb3"),
    (0, b"FLV\x01"),
    (0, b"OggS"),
    (8, b"AVI "),
)
"""How videos begin, for files whose name does not say what they are."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """The files of some sources.

    Attributes:
        files: absolute paths in the order of their sources, each once.
        roots: folders that together hold all of them.
        folders: those of the sources that are folders; what is gone from them can be noticed.
        failures: what was named and cannot be used.
    """

    files: PathList
    roots: tuple[Path, ...]
    folders: tuple[Path, ...]
    failures: tuple[Failure, ...] = ()


class PathList:
    """Many paths in little memory: about their letters, where a Path each would be five times that.

    >>> paths = PathList([Path("/a/b.jpg")])
    >>> len(paths), list(paths)
    (1, [PosixPath('/a/b.jpg')])
    """

    def __init__(self, paths: Iterable[Path] = ()) -> None:
        self._texts = [str(path) for path in paths]

    def __len__(self) -> int:
        return len(self._texts)

    def __iter__(self) -> Iterator[Path]:
        return (Path(text) for text in self._texts)


def is_camera(source: str) -> bool:
    """Whether ``source`` names a camera, not files: an address, ``webcam:N`` or ``/dev/videoN``.

    >>> [is_camera(s) for s in ("rtsp://host/1", "webcam:0", "/dev/video0", "photos", "C:/photos")]
    [True, True, True, False, False]
    """
    return bool(_ADDRESS.match(source) and not Path(source).exists()) or source.startswith("/dev/video")


def find_sources(
    sources: Sequence[str | Path],
    *,
    recursive: bool = True,
    follow_links: bool = False,
    within: Path | None = None,
) -> Found:
    """All files that ``sources`` name, pictures and videos.

    Args:
        sources: folders, patterns, lists, files; no cameras.
        recursive: also the folders inside a folder. (A pattern says so itself, with ``**``.)
        follow_links: also folders inside that are links.
        within: refuse files that, links resolved, lie outside of this folder.

    Raises:
        InputError: a single source that is not there or names no file, or no source names one.
    """
    gathered = _Gathered(within.resolve() if within is not None else None)
    for source in sources:
        text = os.fspath(source)
        try:
            gathered.add(text, recursive, follow_links)
        except InputError as error:
            if len(sources) == 1:
                raise
            gathered.fail(Path(text), "find", str(error))
    if not gathered.texts and not gathered.failures:
        raise InputError(
            "no source names a file", hint="give a folder, a pattern, a list, a picture or a video"
        )
    files = PathList()
    files._texts = list(gathered.texts)
    return Found(
        files=files,
        roots=tuple(dict.fromkeys(gathered.roots)),
        folders=tuple(dict.fromkeys(gathered.folders)),
        failures=tuple(gathered.failures),
    )


def is_video_file(path: Path) -> bool:
    """Whether ``path`` is to be read as a video: by its name, and where that says nothing, its content."""
    if is_video(path.name) or path.suffix.lower() in READABLE_SUFFIXES or is_picture(path.name):
        return is_video(path.name)
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    if head[4:8] == b"ftyp":
        return head[8:11] not in (b"hei", b"hev", b"mif", b"msf", b"avi")
    return any(head[at : at + len(magic)] == magic for at, magic in _HEADS)


def shown(path: Path | str) -> str:
    """A path that can be printed and written down: names that are not UTF-8 are escaped."""
    return str(path).encode("utf-8", "backslashreplace").decode()


@dataclass
class _Gathered:
    """What the sources gave so far."""

    within: Path | None
    texts: dict[str, None] = field(default_factory=dict)
    roots: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def fail(self, path: Path, stage: str, error: str, *, retryable: bool = False) -> None:
        self.failures.append(
            Failure(path=shown(path), stage=stage, error=printable(error)[:300], retryable=retryable)
        )

    def add(self, source: str, recursive: bool, follow_links: bool) -> None:
        if "\0" in source:
            raise InputError(f"{printable(source)} is not a path")
        path = Path(source)
        # A name with a star in it that is there is meant as it stands.
        if is_pattern(source) and not os.path.lexists(source):
            self._add_pattern(source, follow_links)
        elif path.is_dir():
            self._add_folder(path.resolve(), recursive, follow_links)
        elif path.suffix.lower() in LIST_SUFFIXES and path.is_file():
            self._add_list(path)
        elif os.path.lexists(source):
            self.add_file(_absolute(path))
            self.roots.append(_absolute(path).parent)
        else:
            raise InputError(
                f"{printable(source)} does not exist", hint="give a folder, a pattern, a list or a file"
            )

    def add_file(self, file: Path) -> None:
        """Take a file, unless it is one that may not be read."""
        if self.within is not None and not _is_inside(file, self.within):
            self.fail(file, "find", "it lies outside of the folder that may be read")
        else:
            self.texts[str(file)] = None

    def _add_folder(self, folder: Path, recursive: bool, follow_links: bool) -> None:
        def complain(error: OSError) -> None:
            where = Path(error.filename or folder)
            if where == folder:
                raise InputError(
                    f"{printable(str(folder))} cannot be listed: {error.strerror}", hint="make it readable"
                ) from error
            self.fail(where, "list", f"it cannot be listed: {error.strerror}", retryable=True)

        before, roots = len(self.texts) + len(self.failures), [folder]
        for file in walk(folder, recursive, follow_links=follow_links, complain=complain, wanted=is_medium):
            file = _absolute(file) if follow_links else file
            self.add_file(file)
            if not any(file.is_relative_to(root) for root in roots):
                roots.append(file.parent)  # behind a link: the gallery calls files by where they are
        if len(self.texts) + len(self.failures) == before and not _holds_known(folder, self.texts):
            where = "in it or in the folders inside" if recursive else "directly in it"
            raise InputError(
                f"{printable(str(folder))} has no pictures {where}, nor videos",
                hint=f"pictures are files that end in {' '.join(sorted(READABLE_SUFFIXES))}",
            )
        self.roots += roots
        self.folders.append(folder)

    def _add_pattern(self, pattern: str, follow_links: bool) -> None:
        before = len(self.failures)

        def complain(error: OSError) -> None:
            where = Path(error.filename or pattern)
            self.fail(where, "list", f"it cannot be listed: {error.strerror}", retryable=True)

        found = sorted(matching(pattern, follow_links=follow_links, complain=complain), key=lambda p: p.parts)
        files = [_absolute(path) for path in found if not path.is_dir()]
        if not files and len(self.failures) == before:
            raise InputError(
                f"no file matches {printable(pattern)}", hint="** also looks into folders; quote the pattern"
            )
        for file in files:
            self.add_file(file)
        self.roots += _roots(files) if files else []

    def _add_list(self, path: Path) -> None:
        """The files that a list names: a path a line, relative ones from the list's folder.

        Empty lines and lines that begin with ``#`` are left out; where there is a NUL, paths end
        with NULs (``find -print0``) and every letter counts.
        """
        try:
            if path.stat().st_size > LONGEST_LIST:
                raise InputError(f"{printable(str(path))} is too long for a list of files")
            content = os.fsdecode(path.read_bytes())
        except OSError as error:
            raise InputError(
                f"{printable(str(path))} cannot be read: {error.strerror}", hint="make the file readable"
            ) from error
        content = content.removeprefix("﻿")
        if "\0" in content:
            names = [name for name in content.split("\0") if name]
        else:
            lines = (line.strip() for line in content.splitlines())
            names = [line for line in lines if line and not line.startswith("#")]
        if not names:
            raise InputError(f"{printable(str(path))} lists no files", hint="write one path a line")
        here, files = _absolute(path).parent, []
        for name in names:
            file = _absolute(here / name)
            if _ADDRESS.match(name) and not os.path.lexists(file):
                self.fail(Path(name), "find", "a list names files only, no addresses")
            elif file.is_dir():
                self.fail(file, "find", "it is a folder; a list names files")
            else:
                files.append(file)
                self.add_file(file)
        if files:
            self.roots += _roots(files)


def _absolute(path: Path) -> Path:
    """``path`` with its folder resolved, and its own name as it is: a link keeps its name."""
    return path.parent.resolve() / path.name


def _roots(files: Sequence[Path]) -> list[Path]:
    """The innermost folder that holds all ``files``; several where drives have nothing in common."""
    try:
        return [Path(os.path.commonpath([file.parent for file in files]))]
    except ValueError:
        return sorted({file.parent for file in files})


def _is_inside(file: Path, folder: Path) -> bool:
    try:
        return file.resolve().is_relative_to(folder)
    except (OSError, RuntimeError):  # a circle of links
        return False


def _holds_known(folder: Path, texts: Iterable[str]) -> bool:
    """Whether an earlier source named files of ``folder`` already."""
    return any(Path(text).is_relative_to(folder) for text in texts)
