"""Which pictures and videos are in a folder?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from personsearch.errors import InputError

READABLE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".mpo", ".heic", ".heif"}
)
"""Suffixes of the formats that :mod:`personsearch.images` reads."""

OTHER_SUFFIXES = frozenset({".tif", ".tiff", ".gif", ".avif", ".jp2"})
"""Suffixes of pictures in formats that are not read: found, so that each is reported, not skipped."""

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".vob", ".m2v"}
    | {".ts", ".mts", ".m2ts", ".flv", ".wmv", ".asf", ".ogv", ".mxf", ".dv"}
)
"""Suffixes of the containers that :mod:`personsearch.media.video` reads."""

SYSTEM_FOLDERS = frozenset({"__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information"})
"""Folders that systems fill with thumbnails, caches and deleted files, in lower case."""


def find_pictures(
    folder: Path | str,
    recursive: bool = True,
    *,
    follow_links: bool = False,
    unreadable: Callable[[Path, OSError], object] | None = None,
) -> list[Path]:
    """The pictures in ``folder``, sorted by their path below it, the same on every system.

    A picture is a file with a picture's suffix in any case; its content is judged only when
    it is read. Hidden files and folders (a leading dot) and the folders in
    :data:`SYSTEM_FOLDERS` are left out. A link to a file counts as a file.

    Args:
        folder: where to look; it may itself be hidden or a link.
        recursive: also in the folders inside it.
        follow_links: also in folders that are links; each folder is visited once.
        unreadable: told of every folder inside that cannot be listed, and the search goes
            on; without it, that is an error.

    Raises:
        InputError: not a folder, a folder that cannot be listed, or no picture in it.
    """
    folder = Path(folder)
    if not folder.exists():
        raise InputError(f"{folder} does not exist", hint="give a folder of pictures")
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, not a folder", hint="give the folder that the pictures are in")

    def complain(error: OSError) -> None:
        where = Path(error.filename or folder)
        if unreadable is None or where == folder:
            raise InputError(
                f"{where} cannot be listed: {error.strerror}", hint="make it readable"
            ) from error
        unreadable(where, error)

    found = list(walk(folder, recursive, follow_links=follow_links, complain=complain, wanted=is_picture))
    if not found:
        where = "in it or in the folders inside" if recursive else "directly in it"
        kinds = " ".join(sorted(READABLE_SUFFIXES))
        raise InputError(f"{folder} has no pictures {where}", hint=f"pictures are files that end in {kinds}")
    return found


def walk(
    folder: Path,
    recursive: bool,
    *,
    follow_links: bool,
    complain: Callable[[OSError], None],
    wanted: Callable[[str], bool],
) -> Iterator[Path]:
    """Every file below ``folder`` whose name is ``wanted``, in the order of the paths' parts.

    One folder's names are in memory at a time, so a million files cost no more than the largest
    folder. Hidden names and system folders are left out, as :func:`find_pictures` says.

    Args:
        folder: where to look.
        recursive: also in the folders inside it.
        follow_links: also in folders that are links; each folder is visited once.
        complain: told of every folder that cannot be listed; what it raises ends the walk.
        wanted: judges a file's name.
    """
    visited: set[tuple[int, int]] = set()
    # A stack, not recursion: folders may be nested deeper than Python may call.
    open_folders = [iter(_listed(folder, follow_links, complain, visited))]
    while open_folders:
        item = next(open_folders[-1], None)
        if item is None:
            open_folders.pop()
            continue
        path, is_folder = item
        if is_folder and recursive and not _is_hidden(path.name):
            open_folders.append(iter(_listed(path, follow_links, complain, visited)))
        elif is_folder is False and wanted(path.name):
            yield path


def _listed(
    folder: Path, follow_links: bool, complain: Callable[[OSError], None], visited: set[tuple[int, int]]
) -> list[tuple[Path, bool | None]]:
    """What is directly in ``folder``, by name, and whether to look into it; nothing the second time."""
    try:
        if follow_links:
            here = folder.stat()
            if (here.st_dev, here.st_ino) in visited:
                return []
            visited.add((here.st_dev, here.st_ino))
        with os.scandir(folder) as listing:
            inside = sorted((item.name, _is_folder(item, follow_links)) for item in listing)
    except OSError as error:
        complain(error)
        return []
    return [(folder / name, is_folder) for name, is_folder in inside]


def _is_folder(item: os.DirEntry[str], follow_links: bool) -> bool | None:
    """Whether to look into ``item`` (True), at it (False) or not at all (None)."""
    try:
        if not item.is_dir():
            return False
        return True if follow_links or not item.is_symlink() else None
    except OSError:
        return False


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def is_picture(name: str) -> bool:
    """Whether a file of this name is taken for a picture, readable or not."""
    suffix = Path(name).suffix.lower()
    return not name.startswith(".") and (suffix in READABLE_SUFFIXES or suffix in OTHER_SUFFIXES)


def is_video(name: str) -> bool:
    """Whether a file of this name is taken for a video."""
    return not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES


def is_medium(name: str) -> bool:
    """Whether a file of this name is taken for a picture or a video."""
    return is_picture(name) or is_video(name)
