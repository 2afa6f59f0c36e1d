"""Which pictures are in a folder?"""

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

    found = list(_walk(folder, recursive, follow_links, complain))
    if not found:
        where = "in it or in the folders inside" if recursive else "directly in it"
        kinds = " ".join(sorted(READABLE_SUFFIXES))
        raise InputError(f"{folder} has no pictures {where}", hint=f"pictures are files that end in {kinds}")
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def _walk(
    folder: Path, recursive: bool, follow_links: bool, complain: Callable[[OSError], None]
) -> Iterator[Path]:
    """Every picture file, folder by folder, in no particular order."""
    visited: set[tuple[int, int]] = set()
    for where, folders, files in os.walk(folder, onerror=complain, followlinks=follow_links):
        if follow_links:
            here = Path(where).stat()
            if (here.st_dev, here.st_ino) in visited:
                folders.clear()
                continue
            visited.add((here.st_dev, here.st_ino))
        folders[:] = [name for name in folders if recursive and not _is_hidden(name)]
        yield from (Path(where, name) for name in files if _is_picture(name))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def _is_picture(name: str) -> bool:
    suffix = Path(name).suffix.lower()
    return not name.startswith(".") and (suffix in READABLE_SUFFIXES or suffix in OTHER_SUFFIXES)
