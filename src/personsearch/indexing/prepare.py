"""What can be found out about one file before it is its turn: changed or not, its content, its pixels.

Runs in threads of its own, ahead of the model; touches the gallery only to ask.
"""

from __future__ import annotations

import errno
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from personsearch import images
from personsearch.errors import InputError
from personsearch.files import sha256_of
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import Entry, FileState, Place
from personsearch.indexing.nearness import Look, dhash, look
from personsearch.indexing.options import IndexOptions
from personsearch.media.sources import is_video_file
from personsearch.types import Picture

Outcome = Literal["settled", "unreadable", "name", "read"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared:
    """One file, as far as it could be judged alone.

    Attributes:
        file: where it is.
        outcome: ``"settled"`` (nothing happened to it since ``old``), ``"name"`` (it cannot be
            written down), ``"unreadable"`` (the system does not give its content) or ``"read"``.
        now: its state.
        old: what the ledger says of it.
        video: whether it is one.
        error: what the system said.
        picture: its pixels, unless the content was known, or is a video's, or cannot be decoded.
        taken: when, as the picture itself says.
        damage: why it cannot be decoded.
        hashed, seen: of the pixels, for near duplicates.
    """

    file: Path
    outcome: Outcome
    now: FileState
    old: Entry | None
    video: bool = False
    error: str = ""
    picture: Picture | None = None
    taken: float | None = None
    damage: str | None = None
    hashed: int | None = None
    seen: Look | None = None

    @property
    def bytes(self) -> int:
        """Memory that the pixels take."""
        return 0 if self.picture is None else self.picture.pixels.nbytes


def prepare(file: Path, gallery: Gallery, options: IndexOptions) -> Prepared:
    """Look at ``file``: its state, and if it is new or has changed, its content and pixels."""
    found = judged(file, gallery, options)
    if found.outcome != "read":
        return found
    try:
        now = replace(found.now, sha256=sha256_of(file))
    except OSError as error:
        return replace(found, outcome="unreadable", error=system_said(error))
    found = replace(found, now=now)
    if found.video or gallery.picture_of(now.sha256) is not None:
        return found
    return decoded(found, options)


def judged(file: Path, gallery: Gallery, options: IndexOptions) -> Prepared:
    """Look at the state of ``file``, not at its content: ``"read"`` if that has to be looked at."""
    place = gallery.place(file)
    if place is None:
        raise ValueError(f"{file} is outside of the folders of the gallery")
    now, old = FileState(place=place, size=-1, mtime_ns=-1), gallery.entry(place)
    try:
        place.path.encode()
    except UnicodeEncodeError:
        return Prepared(
            file=file, outcome="name", now=now, old=None, error="its name is not UTF-8; rename it"
        )
    try:
        now = file_state(place, file)
        video = is_video_file(file)
    except OSError as error:
        return Prepared(file=file, outcome="unreadable", now=now, old=old, error=system_said(error))
    settled = old is not None and is_settled(old, now, gallery, options, video)
    return Prepared(file=file, outcome="settled" if settled else "read", now=now, old=old, video=video)


def system_said(error: OSError) -> str:
    """Why the system does not give a file's content."""
    return f"it cannot be read: {error.strerror or error}"


def decoded(found: Prepared, options: IndexOptions) -> Prepared:
    """``found`` with the picture's pixels, or why there are none."""
    try:
        picture = images.load(found.file)
    except InputError as error:
        return replace(found, damage=str(error))
    if options.near_duplicates:
        return replace(found, picture=picture, taken=picture.taken)
    hashed, seen = dhash(picture.pixels), look(picture.pixels)
    return replace(found, picture=picture, taken=picture.taken, hashed=hashed, seen=seen)


def is_settled(old: Entry, now: FileState, gallery: Gallery, options: IndexOptions, video: bool) -> bool:
    """Whether nothing happened to a file since ``old``, and nothing else is asked for now."""
    if (old.size, old.mtime_ns) != (now.size, now.mtime_ns) or old.state in ("missing", "partial"):
        return False
    if old.state == "near":  # of a picture that is gone, or not wanted to be left out any more
        return not options.near_duplicates and old.like is not None and gallery.is_live(old.like)
    if old.state == "done":
        # A video of which a part could not be read is done with what could.
        asked_again = options.retry_failed and old.error is not None
        return not asked_again and (not video or old.sampling == str(options.sampling))
    return not options.retry_failed


def file_state(place: Place, file: Path) -> FileState:
    """Size and time of change of a regular file; OSError for anything else."""
    state = file.stat()
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return FileState(place=place, size=state.st_size, mtime_ns=state.st_mtime_ns)


def is_same(file: Path, state: FileState) -> bool:
    """Whether the file is as it was before its content was hashed."""
    try:
        return replace(file_state(state.place, file), sha256=state.sha256) == state
    except OSError:
        return False


def is_gone(file: Path) -> bool:
    """Whether the system says that there is no such file; not whether it cannot tell."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
