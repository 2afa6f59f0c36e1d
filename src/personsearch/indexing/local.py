"""Index pictures and videos on this machine: only what is new or changed, and nothing silently."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from personsearch.errors import InputError
from personsearch.gallery.folder import is_gallery
from personsearch.gallery.gallery import Gallery
from personsearch.indexing.options import IndexOptions
from personsearch.indexing.run import Run
from personsearch.media.container import pyav
from personsearch.media.folders import is_video
from personsearch.media.sources import Found, find_sources
from personsearch.progress import Progress, silent
from personsearch.types import IndexReport, Searcher


def index_folder(
    folder: Path | str,
    gallery_path: Path | str,
    searcher: Searcher,
    *,
    recursive: bool = True,
    retry_failed: bool = False,
    progress: Progress = silent,
) -> IndexReport:
    """Put everybody in the pictures and videos of ``folder`` into the gallery, and say what was done.

    The short form of :func:`index_sources`, which says the rest.

    Args:
        folder: of pictures and videos.
        gallery_path: the gallery's folder.
        searcher: finds and describes the people.
        recursive: also the folders inside ``folder``.
        retry_failed: try files again that failed before.
        progress: told of every picture.

    Raises:
        InputError: ``folder`` is none, or has no pictures.
        ModelMismatch: the gallery is another model's; nothing was done.
        LockedError: another process is writing to the gallery.
        PersonSearchError: the disk is full, or the model fails on everything.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {what}", hint="give the folder that the pictures are in")
    options = IndexOptions(recursive=recursive, retry_failed=retry_failed)
    return index_sources([folder], gallery_path, searcher, options, progress=progress)


def index_sources(
    sources: Sequence[Path | str],
    gallery_path: Path | str,
    searcher: Searcher,
    options: IndexOptions | None = None,
    *,
    progress: Progress = silent,
) -> IndexReport:
    """Put everybody in these sources into the gallery, and say what was done.

    The gallery is made if there is none. A file is known by its content: unchanged files
    (equal size and time of change, else equal SHA-256) cost nothing, a changed one replaces
    what was known, copies are recorded but stored once, so are pictures that were merely saved
    anew (:mod:`personsearch.indexing.nearness` has the rule), and a file that moved is recognised.
    A file that is gone from a folder is marked missing, and its people are not searched any more.
    A file that cannot be used is recorded with the reason and never stops the others; of a video
    that is damaged, what can be read is stored and the rest reported.

    Interrupted (Ctrl-C) it commits what is finished; killed, it loses at most the last batch
    (two seconds); either way the same call goes on, in a video at the frame where it was.

    Args:
        sources: folders, patterns, lists, pictures, videos; see :mod:`personsearch.media.sources`.
        gallery_path: the gallery's folder.
        searcher: finds and describes the people; if it has a ``calibration``, a new gallery
            keeps it.
        options: everything else; the defaults if left out.
        progress: told of every picture, and of every frame of a video.

    Returns:
        Counts of files: ``added`` (new in the gallery, or back), ``updated`` (other content
        than before, or a video looked at otherwise), ``unchanged``, ``duplicates`` (new files with
        a content that is in the gallery already), ``moved`` (gone from one place and here at
        another), ``removed`` (gone), ``failures`` (all that are not in the gallery now, or not with
        all of their content, and why); ``people`` is how many were found in what was added and updated.

    Raises:
        InputError: no source names a file.
        ModelMismatch: the gallery is another model's; nothing was done.
        LockedError: another process is writing to the gallery.
        PersonSearchError: the disk is full, or the model fails on everything.
    """
    started = time.monotonic()
    options = IndexOptions() if options is None else options
    with ExitStack() as closing:
        gallery, found = opened(sources, gallery_path, searcher, options, closing)
        run = closing.enter_context(Run(gallery, searcher, options, found.failures))
        run.mark_missing(found)
        _take_all(run, found, progress)
    return run.report(time.monotonic() - started)


def opened(
    sources: Sequence[Path | str],
    gallery_path: Path | str,
    searcher: Searcher,
    options: IndexOptions,
    closing: ExitStack,
) -> tuple[Gallery, Found]:
    """The gallery, open for writing until ``closing`` ends, and the files; none is made for no files."""
    gallery = None
    if is_gallery(Path(gallery_path)):
        gallery = closing.enter_context(Gallery.open(gallery_path, writable=True))
        gallery.check_model(searcher.fingerprint)
    found = find_sources(
        sources, recursive=options.recursive, follow_links=options.follow_links, within=options.within
    )
    if found.files and all(is_video(file.name) for file in found.files):
        pyav()  # nothing could be done without it
    if gallery is None:
        gallery = closing.enter_context(new_gallery(Path(gallery_path), searcher))
    for root in found.roots:
        gallery.add_source(root)
    return gallery, found


def _take_all(run: Run, found: Found, progress: Progress) -> None:
    total = len(found.files) if run.steps_are_files(found) else None
    try:
        for _ in progress(run.steps(found.files), "indexing", total=total):
            pass
        for _ in run.steps(run.widowed()):
            pass
    except BaseException as error:
        if not isinstance(error, Exception):  # Ctrl-C, or the system asked us to end
            run.take_finished()
        raise


def new_gallery(path: Path, searcher: Searcher) -> Gallery:
    """An empty gallery for what ``searcher`` sees."""
    calibration = getattr(searcher, "calibration", None)
    return Gallery.create(path, searcher.fingerprint, searcher.dim, searcher.similarity, calibration)
