"""What became of each file: counted, reported, and written into the gallery's ledger.

The decisions that need no model, and are the same however and wherever the people are found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from personsearch import images
from personsearch.errors import InputError, PersonSearchError
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.interrupt import uninterrupted
from personsearch.gallery.ledger import Entry, FileState
from personsearch.gallery.near import add_near, entry_of
from personsearch.indexing.nearness import Look, NearIndex, look
from personsearch.indexing.options import IndexOptions
from personsearch.indexing.prepare import Prepared, is_gone, is_same
from personsearch.media.sources import Found, shown
from personsearch.types import Failure, IndexReport

MODEL_FAILURES = 20
"""After the model failed on this many pictures in a row, the model is at fault and the run stops."""


class Book:
    """The books of one pass over some files.

    Args:
        gallery: open for writing.
        options: how files are indexed.
        failures: of the sources themselves.
    """

    def __init__(self, gallery: Gallery, options: IndexOptions, failures: Iterable[Failure] = ()) -> None:
        self._gallery, self._options = gallery, options
        self._counts: Counter[str] = Counter()
        self._failures = list(failures)
        self._gone: Counter[int] = Counter()
        self._model_failures = 0
        self._near: NearIndex | None = None if options.near_duplicates else self._near_index()

    def report(self, seconds: float) -> IndexReport:
        """What was done."""
        return IndexReport(
            gallery=str(self._gallery.path),
            model=self._gallery.fingerprint,
            failures=tuple(self._failures),
            seconds=seconds,
            **self._counts,
        )

    def mark_missing(self, found: Found) -> None:
        """Mark the files below the folders that are known, but not there any more.

        A file that was merely not found (because this run does not look into folders, or
        may not look into one) is left alone: gone is what the system says does not exist.
        """
        if not found.folders:
            return
        present = {str(file) for file in found.files}
        for entry in list(self._gallery.entries()):
            file = self._gallery.file(entry.place)
            if entry.state == "missing" or str(file) in present:
                continue
            if any(file.is_relative_to(folder) for folder in found.folders) and is_gone(file):
                self._mark_missing(entry)

    def _mark_missing(self, entry: Entry) -> None:
        self._gallery.mark_missing(entry.place)
        self._counts["removed"] += 1
        if entry.picture is not None and entry.state == "done":
            self._gone[entry.picture] += 1

    def widowed(self) -> list[Path]:
        """Near duplicates whose picture is not there any more: they have to be looked at after all."""
        return [
            self._gallery.file(entry.place)
            for entry in self._gallery.entries()
            if entry.state == "near" and not (entry.like is not None and self._gallery.is_live(entry.like))
        ]

    def _take_unread(self, found: Prepared) -> bool:
        """Record a file that cannot be read, or need not be as nothing happened to it; whether it is one."""
        if found.outcome == "name":
            self._failures.append(failure(found.file, "name", found.error))
        elif found.outcome == "unreadable":
            if found.old is not None and found.old.state not in ("failed", "missing") and is_gone(found.file):
                self._mark_missing(found.old)  # a list names it still
            else:
                self._leave(found, found.error)
        elif found.outcome == "settled" and found.old is not None and self._is_settled_still(found.old):
            self._settle(found, found.old)
        else:
            return False
        return True

    def _is_settled_still(self, old: Entry) -> bool:
        """Whether the picture that a near duplicate is of did not go since it was asked."""
        return old.state != "near" or (old.like is not None and self._gallery.is_live(old.like))

    def _settle(self, found: Prepared, old: Entry) -> None:
        """Nothing happened to the file: it is as it was, well or not."""
        self._counts["unchanged"] += old.state != "failed"
        if old.error is not None:
            self._failures.append(failure(found.file, old.stage or "", old.error))

    def _is_old_content(self, now: FileState, old: Entry | None, video: bool) -> bool:
        """Whether the file was only touched; its new time of change is then recorded."""
        if old is None or old.sha256 != now.sha256:
            return False
        if old.state == "near" and old.like is not None and self._near is not None:
            if self._gallery.is_live(old.like):
                add_near(self._gallery, now, old.like)
            return self._gallery.is_live(old.like)
        if old.state != "done" or old.picture is None:
            return False
        if video and (old.sampling != str(self._options.sampling) or old.error is not None):
            return False
        self._gallery.add_place(now, old.picture)
        return True

    def _copy(self, found: Prepared) -> bool:
        """Record the place of a content that is stored already; whether it is."""
        now = found.now
        known = self._gallery.picture_of(now.sha256)
        if known is None:
            return False
        while self._gallery.is_live(known):  # where it is said to be, it may be gone meanwhile
            entry = entry_of(self._gallery, known)
            if not is_gone(self._gallery.file(entry.place)):
                break
            self._mark_missing(entry)
        if self._gallery.is_live(known):
            self._counts["duplicates"] += 1
        elif self._gone[known]:
            self._gone[known] -= 1
            self._counts["removed"] -= 1
            self._counts["moved"] += 1
        else:
            self._counts[done(found)] += 1
        self._gallery.add_place(now, known)
        return True

    def _is_near(self, found: Prepared) -> bool:
        """Record a picture that is a stored one saved anew; whether it is."""
        like = self._find_near(found)
        if like is None:
            return False
        with uninterrupted():
            add_near(self._gallery, found.now, like, self._scale(found, like))
            self._counts.update(duplicates=1, near=1)
        return True

    def _scale(self, found: Prepared, like: int) -> tuple[float, float]:
        """Width and height of a near duplicate in those of the picture that it is."""
        stored = None if self._near is None else self._near.look_of(like)
        if stored is None or found.seen is None:
            return 1.0, 1.0
        (w, h), (width, height) = found.seen.size, stored.size
        return w / width, h / height

    def _blame_model(self, found: Prepared, said: str) -> None:
        """Record that the model failed on a file; stop when it fails on everything."""
        self._fail(found, "detect", said)
        self._model_failures += 1
        if self._model_failures >= MODEL_FAILURES:
            raise PersonSearchError(
                f"the model failed on {MODEL_FAILURES} pictures in a row: {one_line(said)}",
                hint="when it is mended, run the same again and have failed pictures retried",
            )

    def _fail(self, found: Prepared, stage: str, error: str) -> None:
        """Record that a file cannot be used; people of an older content are not kept."""
        self._gallery.add_failure(found.now, stage, one_line(error))
        self._failures.append(failure(found.file, stage, error))

    def _leave(self, found: Prepared, error: str, *, begun: bool = False) -> None:
        """Report that nobody knows what a file holds now; what it held stays, unless a look was ``begun``."""
        if found.old is None or found.old.state not in ("done", "missing") or begun:
            self._gallery.add_failure(found.now, "read", one_line(error))
        self._failures.append(failure(found.file, "read", error, retryable=True))

    def _near_index(self) -> NearIndex:
        known = {e.picture: e.dhash for e in self._gallery.entries() if e.picture is not None}
        hashes = [(picture, hashed) for picture, hashed in known.items() if hashed is not None]
        return NearIndex(hashes, self._look_of, self._gallery.is_live)

    def _look_of(self, picture: int) -> Look | None:
        """What a stored picture looks like, from its file as it was indexed."""
        entry = entry_of(self._gallery, picture)
        file = self._gallery.file(entry.place)
        try:
            pixels = images.load(file).pixels
        except InputError:
            return None
        state = FileState(place=entry.place, size=entry.size, mtime_ns=entry.mtime_ns, sha256=entry.sha256)
        return look(pixels) if is_same(file, state) else None

    def _find_near(self, found: Prepared) -> int | None:
        """The stored picture that this one is saved anew from."""
        if self._near is None or found.hashed is None or found.seen is None:
            return None
        rule = self._options.time_from
        taken = rule.of(found.file, found.taken, mtime_ns=found.now.mtime_ns)

        def may_be(picture: int) -> bool:
            entry = entry_of(self._gallery, picture)
            file = self._gallery.file(entry.place)
            if entry.place == found.now.place:  # what it replaces itself
                return False
            try:
                own = images.load(file).taken if rule.kind == "exif" and taken is not None else None
            except InputError:
                return False
            other = rule.of(file, own, mtime_ns=entry.mtime_ns)
            return taken is None or other is None or taken == other

        return self._near.find(found.hashed, found.seen, may_be)


def done(found: Prepared) -> str:
    """What a file that is stored now counts as."""
    old = found.old
    return "updated" if old is not None and old.state == "done" else "added"


def one_line(text: str) -> str:
    """An error as the ledger keeps it."""
    return " ".join(text.split())[:300]


def failure(file: Path, stage: str, error: str, *, retryable: bool = False) -> Failure:
    """What is reported; names that are not UTF-8 are escaped, so that they can be printed."""
    return Failure(path=shown(file), stage=stage, error=one_line(error), retryable=retryable)
