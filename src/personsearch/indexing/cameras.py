"""Index a camera: its newest frame, time after time; who is seen goes into the gallery with the picture.

A gallery refers to files, so that a hit can be looked at; a camera has none. The frames in which
somebody was seen are therefore kept as JPEG files in a folder, written before the gallery names
them: whatever happens in between, indexing that folder later finds them.
"""

from __future__ import annotations

import hashlib
import re
import time
import unicodedata
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from personsearch.errors import InputError
from personsearch.files import disk_errors, write_bytes
from personsearch.gallery.folder import is_gallery
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.interrupt import uninterrupted
from personsearch.gallery.ledger import FileState
from personsearch.images import encode_jpeg
from personsearch.indexing.book import one_line
from personsearch.indexing.local import new_gallery
from personsearch.indexing.model_failures import CarefulSearcher
from personsearch.media.camera import Camera, CameraFrame
from personsearch.progress import Progress, silent
from personsearch.types import Detections, Failure, IndexReport, Picture, Searcher

JOINERS = "\u200c\u200d"
"""They shape Persian and Indic words, and make one emoji of several."""

LONGEST = 200
"""Bytes of the name of a camera's folder."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How a camera is indexed.

    Attributes:
        folder: where frames with people are kept, as ``CAMERA/2026-06-01T14-13-07.250Z.jpg`` (UTC).
        every: seconds between two frames.
        most, seconds: end after so many frames, or so long; None: never.
        min_score: a frame is kept if somebody in it has at least this score.
        quality: of the JPEG files.
        complain: told at once of every frame that the model failed on.
    """

    folder: Path
    every: float = 1.0
    most: int | None = None
    seconds: float | None = None
    min_score: float = 0.5
    quality: int = 92
    complain: Callable[[Failure], None] = lambda failure: None


def index_camera(
    camera: Camera,
    gallery_path: Path | str,
    searcher: Searcher,
    watch: Watch,
    *,
    progress: Progress = silent,
    idle: Callable[[], None] = lambda: None,
) -> IndexReport:
    """Put everybody whom a camera sees into the gallery, until the limits of ``watch`` or Ctrl-C.

    Frames that come faster than the model looks at them are dropped, never queued. A camera that
    breaks off is tried again. Ctrl-C commits what is finished. Who was seen is in the gallery two and a
    half seconds later, whether or not another frame comes; a frame that the model is at by then delays it
    by as long as it takes. Killed before, they are missing there, and their pictures are in the folder.
    ``idle`` is done between two frames, as :meth:`Camera.frames` says.

    Returns:
        ``frames`` that were looked at, ``added`` pictures that were kept, ``people`` in them; breaks
        of the connection are in ``failures``.

    Raises:
        ModelMismatch: the gallery is another model's.
        PersonSearchError: the camera cannot be reached, the disk is full, or the model fails on
            everything.
    """
    started = time.monotonic()
    with ExitStack() as closing:
        if is_gallery(Path(gallery_path)):
            gallery = closing.enter_context(Gallery.open(gallery_path, writable=True))
            gallery.check_model(searcher.fingerprint)
        else:
            gallery = closing.enter_context(new_gallery(Path(gallery_path), searcher))
        folder = watch.folder.resolve() / folder_name(camera.name)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        gallery.add_source(watch.folder)
        keeper = _Keeper(gallery, searcher, camera.name, folder, watch)

        def meanwhile() -> None:
            gallery.keep_up()
            idle()

        frames = camera.frames(watch.every, most=watch.most, seconds=watch.seconds, idle=meanwhile)
        for frame in progress(frames, f"watching {camera.name}", total=watch.most):
            keeper.take(frame)
    health = camera.health
    breaks = Failure(path=camera.name, stage="read", error=one_line(health.last_error), retryable=True)
    return IndexReport(
        gallery=str(gallery_path),
        model=searcher.fingerprint,
        added=keeper.added,
        people=keeper.people,
        frames=keeper.frames,
        failures=(*keeper.failures, *([breaks] if health.failures else [])),
        seconds=time.monotonic() - started,
    )


class _Keeper:
    """Looks at frames and keeps those with people."""

    def __init__(self, gallery: Gallery, searcher: Searcher, camera: str, folder: Path, watch: Watch) -> None:
        self._gallery, self._ask, self._camera = gallery, CarefulSearcher(searcher), camera
        self._folder, self._watch = folder, watch
        self.added = self.people = self.frames = 0
        self.failures: list[Failure] = []

    def take(self, frame: CameraFrame) -> None:
        """Look at one frame."""
        self.frames += 1
        seen = self._ask(Picture(frame.pixels, self._camera))
        if isinstance(seen, str):
            failure = Failure(path=self._camera, stage="detect", error=seen)
            self.failures.append(failure)
            self._watch.complain(failure)
        elif (seen.scores >= self._watch.min_score).any():
            with uninterrupted():
                self._keep(frame, seen)
        self._gallery.keep_up()  # the model may have been slow

    def _keep(self, frame: CameraFrame, seen: Detections) -> None:
        content = encode_jpeg(frame.pixels, self._watch.quality)
        file = unused_file(self._folder, frame.time)
        write_bytes(file, content)
        place = self._gallery.place(file)
        if place is None:
            raise InputError(f"{file} is outside of the folders of the gallery")
        about = file.stat()
        state = FileState(
            place=place,
            size=about.st_size,
            mtime_ns=about.st_mtime_ns,
            sha256=hashlib.sha256(content).hexdigest(),
        )
        known = self._gallery.picture_of(state.sha256)
        if known is None:
            self._gallery.add_picture(state, seen, camera=self._camera, time=frame.time)
        else:  # a camera that stands still, to the bit
            self._gallery.add_place(state, known)
        self.added += 1
        self.people += len(seen)


def folder_name(camera: str) -> str:
    """A camera's name as the name of a folder: nothing in it leads anywhere else, in 200 bytes at most.

    Letters of all scripts with their marks, digits and emoji stay; spaces, punctuation and other signs
    become ``_`` and fall away at the ends. A name that is too long, or has control characters or the like
    in it, ends in eight digits of its SHA-256.

    >>> folder_name("rtsp://10.0.0.7:554/../stream"), folder_name("..")
    ('rtsp_10.0.0.7_554_.._stream', 'camera-5ec1f7e7')
    >>> folder_name("Hof / Süd"), folder_name("入口 2"), folder_name("की 🚪")
    ('Hof_Süd', '入口_2', 'की_🚪')
    """
    name = unicodedata.normalize("NFC", camera)  # one name, however a system writes its accents
    kept = "".join(sign if _stays(sign) else "\0" for sign in name)
    short = re.sub("\0+", "_", kept).strip("._-")
    bare = short.strip("._-" + JOINERS)
    plain = all(_stays(sign) or unicodedata.category(sign)[0] in "PSZ" for sign in name)
    if bare and bare == short and plain and len(short.encode()) <= LONGEST:  # file systems count bytes
        return short
    mark = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:8]
    stem = bare.encode()[: LONGEST - 1 - len(mark)].decode(errors="ignore").strip("._-" + JOINERS)
    return f"{stem or 'camera'}-{mark}"


def _stays(sign: str) -> bool:
    """Whether a character of a camera's name may stand in the name of a folder."""
    category = unicodedata.category(sign)
    if category == "Sk":  # tones of skin, but ^ and `, too
        return not sign.isascii()
    return category[0] in "LMN" or category == "So" or sign in "._-" or sign in JOINERS


def unused_file(folder: Path, seconds: float) -> Path:
    """A name for a frame of this moment that no file has: two frames of one millisecond are both kept."""
    file, number = folder / f"{stamp(seconds)}.jpg", 1
    while file.exists():
        number += 1
        file = folder / f"{stamp(seconds)}-{number}.jpg"
    return file


def stamp(seconds: float) -> str:
    """A moment as the name of a file, in UTC, to the millisecond.

    >>> stamp(1.25)
    '1970-01-01T00-00-01.250Z'
    """
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H-%M-%S}.{moment.microsecond // 1000:03d}Z"
