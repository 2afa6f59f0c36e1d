"""Index a folder of pictures on this machine: only what is new or changed, and nothing silently."""

from __future__ import annotations

import errno
import stat
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from personsearch import images
from personsearch.errors import InputError, PersonSearchError
from personsearch.files import sha256_of
from personsearch.gallery.folder import is_gallery
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import Entry, FileState, Place
from personsearch.media.folders import find_pictures
from personsearch.progress import Progress, silent
from personsearch.types import Failure, IndexReport, Searcher

MODEL_FAILURES = 20
"""After the model failed on this many pictures in a row, the model is at fault and the run stops."""


def index_folder(
    folder: Path | str,
    gallery_path: Path | str,
    searcher: Searcher,
    *,
    recursive: bool = True,
    retry_failed: bool = False,
    progress: Progress = silent,
) -> IndexReport:
    """Put everybody in the pictures of ``folder`` into the gallery, and say what was done.

    The gallery is made if there is none. A picture is known by its content: unchanged files
    (equal size and time of change, else equal SHA-256) cost nothing, a changed one replaces
    what was known, copies are recorded but stored once, and a file that moved is recognised.
    A file that is gone is marked missing, and its people are not searched any more. A file
    that cannot be used is recorded with the reason and never stops the others.

    Interrupted (Ctrl-C) it commits what is finished; killed, it loses at most the last batch
    (two seconds); either way the same call goes on.

    Args:
        folder: of pictures; see :func:`personsearch.media.folders.find_pictures`.
        gallery_path: the gallery's folder.
        searcher: finds and describes the people; if it has a ``calibration``, a new gallery
            keeps it.
        recursive: also the folders inside ``folder``.
        retry_failed: try files again that failed before and have not changed since; without
            it they are reported again, with the old reason.
        progress: told of every picture.

    Returns:
        Counts of pictures: ``added`` (new in the gallery, or back), ``updated`` (other content
        than before), ``unchanged``, ``duplicates`` (new files with a content that is in the
        gallery already), ``removed`` (files that are gone), ``failures`` (all that are not in
        the gallery now, and why); ``people`` is how many were found in what was added and updated.

    Raises:
        InputError: ``folder`` is none, or has no pictures.
        ModelMismatch: the gallery is another model's; nothing was done.
        LockedError: another process is writing to the gallery.
        PersonSearchError: the disk is full, or the model fails on everything.
    """
    started = time.monotonic()
    # Resolved, so that one folder has one path, however it was named.
    folder = Path(folder).resolve()
    with ExitStack() as closing:
        gallery = None
        if is_gallery(Path(gallery_path)):
            gallery = closing.enter_context(Gallery.open(gallery_path, writable=True))
            gallery.check_model(searcher.fingerprint)
        files, unreadable = _find(folder, recursive)
        if gallery is None:
            gallery = closing.enter_context(_create(Path(gallery_path), searcher))
        gallery.add_source(folder)
        run = _Run(gallery, searcher, retry_failed, failures=unreadable)
        run.mark_missing(folder, files)
        for file in progress(files, "indexing", total=len(files)):
            run.index(file)
    return run.report(time.monotonic() - started)


def _find(folder: Path, recursive: bool) -> tuple[list[Path], list[Failure]]:
    """The pictures in ``folder``, and the folders in it that could not be listed."""
    failures: list[Failure] = []

    def complain(where: Path, error: OSError) -> None:
        failures.append(_failure(where, "list", f"it cannot be listed: {error.strerror}", retryable=True))

    return find_pictures(folder, recursive, unreadable=complain), failures


def _create(path: Path, searcher: Searcher) -> Gallery:
    calibration = getattr(searcher, "calibration", None)
    return Gallery.create(path, searcher.fingerprint, searcher.dim, searcher.similarity, calibration)


@dataclass
class _Run:
    """One pass over a folder."""

    gallery: Gallery
    searcher: Searcher
    retry_failed: bool
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("added", "unchanged", "updated", "removed", "duplicates", "people"), 0
        )
    )
    failures: list[Failure] = field(default_factory=list)
    model_failures: int = 0

    def report(self, seconds: float) -> IndexReport:
        """What was done."""
        return IndexReport(
            gallery=str(self.gallery.path),
            model=self.gallery.fingerprint,
            failures=tuple(self.failures),
            seconds=seconds,
            **self.counts,
        )

    def mark_missing(self, folder: Path, found: Iterable[Path]) -> None:
        """Mark the files below ``folder`` that are known, but not there any more.

        A file that was merely not ``found`` (because this run does not look into folders, or
        may not look into one) is left alone: gone is what the system says does not exist.
        """
        present = set(found)
        for entry in list(self.gallery.entries()):
            file = self.gallery.file(entry.place)
            if entry.state == "missing" or file in present or not file.is_relative_to(folder):
                continue
            if not _is_gone(file):
                continue
            self.gallery.mark_missing(entry.place)
            self.counts["removed"] += 1

    def index(self, file: Path) -> None:
        """Do what ``file`` needs."""
        place = self.gallery.place(file)
        if place is None:
            raise ValueError(f"{file} is outside of the folders of the gallery")
        try:
            place.path.encode()
        except UnicodeEncodeError:
            self.failures.append(_failure(file, "name", "its name is not UTF-8; rename it"))
            return
        old = self.gallery.entry(place)
        now = FileState(place=place, size=-1, mtime_ns=-1)
        try:
            now = _file_state(place, file)
            if old is not None and self._is_settled(file, old, now):
                return
            now = replace(now, sha256=sha256_of(file))
        except OSError as error:
            self._leave(file, now, old, f"it cannot be read: {error.strerror or error}")
            return
        if old is not None and old.sha256 == now.sha256 and old.state == "done" and old.picture is not None:
            self.gallery.add_place(now, old.picture)  # same content, new time of change
            self.counts["unchanged"] += 1
            return
        self._take(file, now, old)

    def _is_settled(self, file: Path, old: Entry, now: FileState) -> bool:
        """Whether nothing happened to ``file`` since ``old``; it is then counted."""
        if (old.size, old.mtime_ns) != (now.size, now.mtime_ns) or old.state == "missing":
            return False
        if old.state == "done":
            self.counts["unchanged"] += 1
            return True
        if self.retry_failed:
            return False
        self.failures.append(_failure(file, old.stage or "", old.error or ""))
        return True

    def _take(self, file: Path, now: FileState, old: Entry | None) -> None:
        """Store the people of a content that is new at its place."""
        done = "updated" if old is not None and old.state == "done" else "added"
        known = self.gallery.picture_of(now.sha256)
        if known is not None:
            copy = self.gallery.is_live(known)
            self.gallery.add_place(now, known)
            self.counts["duplicates" if copy else done] += 1
            return
        try:
            picture = images.load(file)
        except InputError as error:
            if _is_same(file, now):
                self._fail(file, now, "decode", str(error))
            else:
                self._leave(file, now, old, "it changed while it was being read")
            return
        if not _is_same(file, now):
            self._leave(file, now, old, "it changed while it was being read")
            return
        try:
            seen = self.searcher.detect(picture)
            self.gallery.check(seen)
        except Exception as error:  # whatever a model does to one picture must not cost the others
            self._blame_model(file, now, error)
            return
        self.model_failures = 0
        self.gallery.add_picture(now, seen, camera=picture.camera, time=picture.taken)
        self.counts[done] += 1
        self.counts["people"] += len(seen)

    def _blame_model(self, file: Path, now: FileState, error: Exception) -> None:
        """Record that the model failed on ``file``; stop when it fails on everything."""
        said = f"{type(error).__name__}: {error}"
        self._fail(file, now, "detect", said)
        self.model_failures += 1
        if self.model_failures >= MODEL_FAILURES:
            raise PersonSearchError(
                f"the model failed on {MODEL_FAILURES} pictures in a row: {_one_line(said)}",
                hint="when it is mended, run the same again and have failed pictures retried",
            ) from error

    def _fail(self, file: Path, now: FileState, stage: str, error: str) -> None:
        """Record that ``file`` cannot be used; people of an older content are not kept."""
        self.gallery.add_failure(now, stage, _one_line(error))
        self.failures.append(_failure(file, stage, error))

    def _leave(self, file: Path, now: FileState, old: Entry | None, error: str) -> None:
        """Report that nobody knows what ``file`` holds now; what it held stays."""
        if old is None or old.state != "done":
            self.gallery.add_failure(now, "read", _one_line(error))
        self.failures.append(_failure(file, "read", error, retryable=True))


def _file_state(place: Place, file: Path) -> FileState:
    """Size and time of change of a regular file; OSError for anything else."""
    state = file.stat()
    if not stat.S_ISREG(state.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return FileState(place=place, size=state.st_size, mtime_ns=state.st_mtime_ns)


def _is_same(file: Path, state: FileState) -> bool:
    """Whether the file is as it was before its content was hashed."""
    try:
        return replace(_file_state(state.place, file), sha256=state.sha256) == state
    except OSError:
        return False


def _is_gone(file: Path) -> bool:
    """Whether the system says that there is no such file; not whether it cannot tell."""
    try:
        file.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300]


def _failure(file: Path, stage: str, error: str, *, retryable: bool = False) -> Failure:
    """What is reported; names that are not UTF-8 are escaped, so that they can be printed."""
    path = str(file).encode("utf-8", "backslashreplace").decode()
    return Failure(path=path, stage=stage, error=_one_line(error), retryable=retryable)
