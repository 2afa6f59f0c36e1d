"""One pass over some files: what each of them needs, decided and written in their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from personsearch.errors import InputError, UsageError
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.interrupt import uninterrupted
from personsearch.gallery.near import entry_of
from personsearch.indexing.book import Book, done, failure
from personsearch.indexing.model_failures import ModelFailure
from personsearch.indexing.options import IndexOptions
from personsearch.indexing.pipeline import Ahead, Model
from personsearch.indexing.prepare import Prepared, decoded, is_same, prepare
from personsearch.indexing.videos import VideoTally, index_video
from personsearch.media.container import pyav
from personsearch.media.folders import is_video
from personsearch.media.sources import Found
from personsearch.types import Detections, Failure, Searcher

Guess = Future[Detections | None]


class Run(Book):
    """One pass over some files.

    Args:
        gallery: open for writing.
        searcher: finds and describes the people.
        options: how.
        failures: of the sources themselves.
    """

    def __init__(
        self, gallery: Gallery, searcher: Searcher, options: IndexOptions, failures: Iterable[Failure] = ()
    ) -> None:
        super().__init__(gallery, options, failures)
        self._on_the_way: set[str] = set()
        with ExitStack() as closing:
            self._model = Model(searcher.detect)
            closing.callback(self._model.close)
            self._ahead: Ahead[Prepared] = Ahead(
                lambda file: prepare(Path(str(file)), gallery, options),
                self._guess,
                self._model,
                options.jobs,
                lambda found: found.bytes,
            )
            closing.callback(self._ahead.close)
            self._closing = closing.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def steps_are_files(self, found: Found) -> bool:
        """Whether :meth:`steps` takes one for each file; videos take one a frame besides."""
        return not any(is_video(file.name) for file in found.files)

    def steps(self, files: Iterable[Path]) -> Iterator[None]:
        """Do what every file needs, in order; a step is a picture, or a frame of a video."""
        for found, guess in self._ahead(files):
            yield from self._take(found, guess)
            self._on_the_way.discard(found.now.sha256)
            self._gallery.keep_up()
            yield None

    def take_finished(self) -> None:
        """After an interruption: record what the model has answered, or is answering, in order."""
        for found, guess in self._ahead.finished():
            if found.video or (
                found.picture is not None and guess.exception() is None and guess.result() is None
            ):
                return  # the model would have to be asked
            for _ in self._take(found, guess):
                pass

    def _guess(self, found: Prepared) -> Detections | None:
        """Ahead of its turn, in the model's thread: the people, if they will probably be asked for."""
        if found.picture is None or found.now.sha256 in self._on_the_way:
            return None
        if self._gallery.picture_of(found.now.sha256) is not None:
            return None
        try:
            if self._find_near(found) is not None:
                return None
        except KeyError:  # a picture that is just being replaced
            pass
        self._on_the_way.add(found.now.sha256)
        return self._model.look(found.picture)

    def _take(self, found: Prepared, guess: Guess) -> Iterator[None]:
        old, now = found.old, found.now
        if self._take_unread(found):
            pass
        elif found.outcome == "settled":
            again = prepare(found.file, self._gallery, self._options)
            yield from self._take(again, guess)
        elif self._is_old_content(now, old, found.video):
            self._counts["unchanged"] += 1
        elif found.video:
            yield from self._take_video(found)
        else:
            with uninterrupted():
                copied = self._copy(found)
            if not copied:
                self._take_picture(found, guess)

    def _take_picture(self, found: Prepared, guess: Guess) -> None:
        """Store the people of a content that is new."""
        if found.picture is None and found.damage is None:
            found = decoded(found, self._options)  # its content was known when it was looked at
        if not is_same(found.file, found.now):
            self._leave(found, "it changed while it was being read")
            return
        if found.picture is None:
            self._fail(found, "decode", found.damage or "")
            return
        if self._is_near(found):
            return
        try:
            answer = guess.result()
            seen = self._model(found.picture) if answer is None else answer
            self._gallery.check(seen)
        except Exception as error:  # whatever a model does to one picture must not cost the others
            self._blame_model(found, f"{type(error).__name__}: {error}")
            return
        self._model_failures = 0
        self._store(found, seen)

    def _store(self, found: Prepared, seen: Detections) -> None:
        picture = found.picture
        assert picture is not None
        taken = self._options.time_from.of(found.file, found.taken, mtime_ns=found.now.mtime_ns)
        with uninterrupted():
            number = self._gallery.add_picture(
                found.now,
                seen,
                camera=self._options.camera or picture.camera,
                time=taken,
                dhash=found.hashed,
            )
            if self._near is not None and found.hashed is not None and found.seen is not None:
                self._near.add(number, found.hashed, found.seen)
            stored = entry_of(self._gallery, number).people  # without whoever was forgotten
            self._counts.update({done(found): 1, "people": stored})

    def _take_video(self, found: Prepared) -> Iterator[None]:
        """Store the people of a video, frame by frame."""
        known = self._gallery.picture_of(found.now.sha256)
        if known is not None:
            entry = entry_of(self._gallery, known)
            if entry.sampling == str(self._options.sampling) and entry.error is None:
                self._copy(found)
                return
        try:
            pyav()
        except UsageError as error:  # this installation's lack, which the ledger must not blame on the file
            self._failures.append(failure(found.file, "decode", f"{error}: {error.hint}", retryable=True))
            return
        tally = VideoTally()
        try:
            for _ in index_video(found, self._gallery, self._model, self._options, tally):
                self._counts["frames"] += 1
                yield None
        except ModelFailure as error:
            cause = error.__cause__ or error
            self._blame_model(found, f"{type(cause).__name__}: {cause}")
            return
        except InputError as error:
            if is_same(found.file, found.now):
                self._fail(found, "decode", str(error))
                return
            tally.changed = True
        if tally.changed:
            self._leave(found, "it changed while it was being read", begun=True)
            return
        self._model_failures = 0
        self._counts.update({done(found): 1, "people": tally.people, "tracklets": tally.tracklets})
        if tally.damage is not None:
            self._failures.append(failure(found.file, tally.stage, tally.damage))
