"""Which files a pattern such as ``photos/**/*.jpg`` names, in folders that nobody vouches for.

Like :mod:`glob`, but for three things: folders that are links are not entered where a wildcard names
them (two links in a circle would be entered endlessly often), folders that cannot be listed are told
of, and nesting is no deeper than memory, not than Python may call.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

_WILD = re.compile(r"[*?\[]")


def is_pattern(text: str) -> bool:
    """Whether there is a wildcard in ``text``."""
    return bool(_WILD.search(text))


def matching(
    pattern: str, *, follow_links: bool = False, complain: Callable[[OSError], object]
) -> Iterator[Path]:
    """Every path that ``pattern`` names, in no particular order, each once.

    ``*``, ``?`` and ``[abc]`` stand for letters of one name, ``**`` for any number of folders. Hidden
    names (a leading dot) are matched by a part that begins with a dot itself.

    Args:
        pattern: relative to the working directory, or absolute.
        follow_links: also enter folders that are links, where a wildcard names them; each once.
        complain: told of every folder that cannot be listed.
    """
    parts = list(Path(pattern).parts)
    base = Path(parts.pop(0)) if parts and Path(pattern).anchor else Path()
    parts = [part for i, part in enumerate(parts) if part != "**" or parts[i - 1 : i] != ["**"]]
    if parts and parts[-1] == "**":
        parts.append("*")
    todo = [(base, 0)]
    seen: set[object] = set()
    told: set[str] = set()

    def once(error: OSError) -> None:
        if str(error.filename) not in told:
            told.add(str(error.filename))
            complain(error)

    while todo:
        folder, at = todo.pop()
        if at == len(parts):
            yield folder
            continue
        state = _state(folder, follow_links)
        if (state, at) in seen:
            continue
        seen.add((state, at))
        part = parts[at]
        if part == "**":
            todo.append((folder, at + 1))
            todo += [(folder / name, at) for name in _folders(folder, "*", follow_links, once)]
        elif not is_pattern(part):
            path = folder / part
            if os.path.lexists(path) if at + 1 == len(parts) else path.is_dir():
                todo.append((path, at + 1))
        elif at + 1 < len(parts):
            todo += [(folder / name, at + 1) for name in _folders(folder, part, follow_links, once)]
        else:
            for item in _listed(folder, part, once):
                yield folder / item.name


def _state(folder: Path, follow_links: bool) -> object:
    """What is equal for one folder under several names, where links make that possible."""
    if not follow_links:
        return str(folder)
    try:
        about = folder.stat()
    except OSError:
        return str(folder)
    return about.st_dev, about.st_ino


def _listed(folder: Path, part: str, complain: Callable[[OSError], object]) -> list[os.DirEntry[str]]:
    """What is directly in ``folder`` and is matched by ``part``."""
    try:
        with os.scandir(folder) as listing:
            return [
                item
                for item in listing
                if fnmatch.fnmatch(item.name, part) and (part[:1] == "." or item.name[:1] != ".")
            ]
    except OSError as error:
        complain(error)
        return []


def _folders(folder: Path, part: str, follow_links: bool, complain: Callable[[OSError], object]) -> list[str]:
    """Names of the folders among them that may be entered."""
    names = []
    for item in _listed(folder, part, complain):
        try:
            if item.is_dir(follow_symlinks=follow_links):
                names.append(item.name)
        except OSError:  # a circle of links
            continue
    return names
