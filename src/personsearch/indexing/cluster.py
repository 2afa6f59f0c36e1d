"""Index on as many machines as a Ray cluster has: they look, this process decides and writes the ledger.

Ray Data hands portions of files to processes that each hold the model. They read, find and describe
people and write them into files beside the table, which count for nothing yet; this process, the
gallery's only writer, commits those files (:mod:`personsearch.gallery.fragments`) and then the
ledger's entries, exactly as if it had found the people itself. So whatever dies, whenever:

* a worker: Ray starts another and gives it the portion again; the files that the dead one wrote are
  named by nothing;
* this process: what it committed stays, and the same command goes on with the rest.

Results are taken as they come, not in the order of the files: of copies, the one that was looked at
first counts as added, and of near duplicates the first that came stays.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.errors import PersonSearchError
from personsearch.gallery.fragments import Fragments, index_people, pylance
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.interrupt import uninterrupted
from personsearch.gallery.near import entry_of
from personsearch.indexing.book import Book, done, failure, one_line
from personsearch.indexing.cluster_hands import ClusterOptions, Hands, connected, ray
from personsearch.indexing.cluster_worker import DEATHS, short, unpacked
from personsearch.indexing.local import opened
from personsearch.indexing.options import IndexOptions
from personsearch.indexing.prepare import Prepared, judged
from personsearch.progress import Progress, silent
from personsearch.types import Array, Failure, IndexReport, Searcher

ROUND = 50_000
"""Files that are handed out at a time; what is known of more is not in memory."""

SECONDS = 1.0
"""Results are gathered for so long before they are committed."""


def index_on_cluster(
    sources: Sequence[Path | str],
    gallery_path: Path | str,
    searcher: Searcher,
    opener: Callable[[], Searcher],
    options: IndexOptions | None = None,
    cluster: ClusterOptions | None = None,
    *,
    progress: Progress = silent,
) -> IndexReport:
    """As :func:`personsearch.indexing.local.index_sources`, on a Ray cluster.

    The catch: every machine must see sources and gallery under the same paths (a shared file system),
    and a portion that a worker died in is looked at again from its beginning.

    Args:
        sources, gallery_path, options, progress: as there; ``jobs`` is not used.
        searcher: the model in this process: it says what the gallery is for.
        opener: opens the same model in another process; it is called once in each.
        cluster: on what; a cluster of this machine's processes if left out.

    Raises:
        InputError: no source names a file, or Ray is not installed.
        ModelMismatch, LockedError: as there.
        PersonSearchError: the disk is full, the model fails on everything, or the cluster is gone.
    """
    started = time.monotonic()
    options = IndexOptions() if options is None else options
    cluster = ClusterOptions() if cluster is None else cluster
    ray()
    pylance()
    with ExitStack() as closing:
        gallery, found = opened(sources, gallery_path, searcher, options, closing)
        run = _ClusterRun(gallery, options, found.failures)
        run.mark_missing(found)
        closing.enter_context(connected(cluster))
        hands = Hands(gallery, opener, options, cluster)
        for _ in progress(run.steps(found.files, hands), "indexing", total=len(found.files)):
            pass
        for _ in run.steps(run.widowed(), hands):
            pass
        gallery.flush()
        gallery.maintain()
        Fragments(gallery).clear()
        if cluster.index_from is not None and gallery.people >= cluster.index_from:
            try:
                index_people(gallery, hands.workers)
            except Exception as error:  # whatever two libraries say: the people are there all the same
                raise PersonSearchError(
                    f"everybody is stored, but not indexed: {one_line(str(error))}",
                    hint="searches need no index; the same command tries again",
                ) from error
    return run.report(time.monotonic() - started)


class _ClusterRun(Book):
    """The books of a run whose files are looked at elsewhere."""

    def __init__(self, gallery: Gallery, options: IndexOptions, failures: Iterable[Failure]) -> None:
        super().__init__(gallery, options, failures)
        self._unwanted: list[int] = []

    def steps(self, files: Iterable[Path], hands: Hands) -> Iterator[None]:
        """Do what every file needs; a step is a file."""
        several: list[Prepared] = []
        for file in files:
            found = judged(file, self._gallery, self._options)
            if self._take_unread(found):
                yield None
                continue
            several.append(found)
            if len(several) >= ROUND:
                yield from self._round(several, hands)
                several = []
        yield from self._round(several, hands)

    def _round(self, files: list[Prepared], hands: Hands) -> Iterator[None]:
        """Have these files looked at; again those whose copy was to be, and turned out to be no use."""
        if files:
            waiting: list[Prepared] = []
            yield from self._results(hands(_numbered(files), self._contents(), True), files, waiting)
            if waiting:
                none = np.zeros(0, np.uint64)
                yield from self._results(hands(_numbered(waiting), none, False), waiting, [])

    def _results(
        self, results: Iterator[dict[str, Any]], files: list[Prepared], waiting: list[Prepared]
    ) -> Iterator[None]:
        """Commit what comes, some results at a time; ``waiting`` gets copies of what did not come."""
        pile: list[dict[str, Any]] = []
        copies: list[Prepared] = []
        since = time.monotonic()
        try:
            for result in results:
                pile.append(result)
                if time.monotonic() - since >= SECONDS:
                    several, pile = pile, []
                    yield from [None] * self._commit(several, files, copies)
                    since = time.monotonic()
        finally:  # interrupted, too: what is finished is kept
            taken = self._commit(pile, files, copies)
        for found in copies:
            with uninterrupted():
                there = self._copy(found)
            taken += there
            waiting += [] if there else [found]
        yield from [None] * taken

    def _commit(self, pile: list[dict[str, Any]], files: list[Prepared], copies: list[Prepared]) -> int:
        """People first, then the entries that make them count, then away with those who do not.

        ``copies`` gets the files whose content is to come from another one; how many others there are.
        """
        if not pile:
            return 0
        written, taken = Fragments(self._gallery), 0
        with uninterrupted():
            written.commit([name for result in pile for name in result["written"]])
            for result in pile:
                for said, seen in zip(json.loads(result["said"]), result["looks"], strict=True):
                    found = _told(files[said["index"]], said, seen)
                    if self._take(found, said, written):
                        taken += 1
                    else:
                        copies.append(found)
            self._gallery.flush()
            written.drop(self._unwanted)
            self._unwanted = []
        return taken

    def _take(self, found: Prepared, said: dict[str, Any], written: Fragments) -> bool:
        """Enter what a process said of a file; False for a copy of a content that is not there yet."""
        kind = said["kind"]
        if kind == "dead":
            self._leave(found, f"the process that read it died, {DEATHS} times")
        elif kind == "unreadable":
            self._take_unread(replace(found, outcome="unreadable", error=said["error"]))
        elif self._is_old_content(found.now, found.old, found.video):
            self._counts["unchanged"] += 1
            self._unwanted += [said["picture"]] if kind == "seen" else []
        elif kind == "copy":
            return self._copy(found)
        elif kind == "changed":
            self._leave(found, "it changed while it was being read")
        elif kind == "damaged":
            self._fail(found, "decode", said["error"])
        elif kind == "failed":
            self._blame_model(found, said["error"])
        else:
            self._model_failures = 0
            self._store(found, said, written)
        return True

    def _store(self, found: Prepared, said: dict[str, Any], written: Fragments) -> None:
        """Enter the people of a content that is new."""
        if self._is_stored(found) or (not found.video and self._is_near(found)):
            self._unwanted.append(said["picture"])
            return
        damage = said.get("damage")
        known: dict[str, Any] = {"dhash": said.get("dhash")}
        if found.video:
            known = {"sampling": str(self._options.sampling)}
            known |= {} if damage is None else {"stage": said["stage"], "error": damage}
            self._counts.update(frames=said["frames"], tracklets=said["tracklets"])
            if damage is not None:
                self._failures.append(failure(found.file, said["stage"], damage))
        written.add(found.now, said["picture"], said["people"], **known)
        if self._near is not None and found.hashed is not None and found.seen is not None:
            self._near.add(said["picture"], found.hashed, found.seen)
        self._counts.update({done(found): 1, "people": said["people"]})

    def _is_stored(self, found: Prepared) -> bool:
        """Record a content that came from another file meanwhile; of a video, if it was looked at alike."""
        known = self._gallery.picture_of(found.now.sha256)
        if known is not None and found.video:
            entry = entry_of(self._gallery, known)
            if entry.sampling != str(self._options.sampling) or entry.error is not None:
                return False
        return self._copy(found)

    def _contents(self) -> Array:
        """(n,) sorted uint64 of the contents that need not be looked at again."""
        rule = str(self._options.sampling)
        numbers = {
            short(entry.sha256)
            for entry in self._gallery.entries()
            if entry.picture is not None
            and entry.state != "partial"
            and (entry.sampling is None or (entry.sampling == rule and entry.error is None))
        }
        return np.array(sorted(numbers), np.uint64)


def _told(found: Prepared, said: dict[str, Any], seen: bytes | None) -> Prepared:
    """``found`` with what a process found out."""
    if said["kind"] == "dead":
        return found
    now = replace(found.now, size=said["size"], mtime_ns=said["mtime_ns"], sha256=said["sha256"])
    look = None if seen is None else unpacked(seen)
    return replace(found, now=now, taken=said.get("taken"), hashed=said.get("dhash"), seen=look)


def _numbered(files: Sequence[Prepared]) -> list[dict[str, Any]]:
    """Files as they are handed out."""
    return [
        {
            "index": index,
            "path": str(found.file),
            "source": found.now.place.source,
            "below": found.now.place.path,
            "video": found.video,
        }
        for index, found in enumerate(files)
    ]
