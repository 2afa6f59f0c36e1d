"""Pictures, and single frames of videos, to be looked at again."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from personsearch import images
from personsearch.errors import InputError
from personsearch.media.container import printable
from personsearch.media.video import SAME, Frame, Video
from personsearch.types import Picture


class Stills:
    """Decodes pictures, and frames of videos that are named as a gallery names them.

    The catch: it keeps the last video open, and frames that are asked for in another order than the
    video's cost a decoding from its beginning each. Use it as a context manager.
    """

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._video: Video | None = None
        self._last: tuple[float, int] | None = None
        self._found: Frame | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __call__(self, file: Path, frame: int | None = None, position: float | None = None) -> Picture:
        """The picture in ``file``; or, of a video, a frame, named by one number or both.

        Args:
            file: a picture or a video.
            frame: time stamp (PTS) as the file has it. Alone, it names the first frame that has it;
                in joined recordings several have.
            position: seconds since the first frame, to a millionth.

        Raises:
            InputError: it cannot be decoded, or has no such frame.
        """
        if frame is None and position is None:
            return images.load(file)
        found = self._again(file, frame, position) or self._next(file, frame, position)
        if found is None:
            self._close()
            where = f"at {position} s" if frame is None else f"with the time stamp {frame}"
            raise InputError(
                f"{printable(str(file))} has no frame any more {where}",
                hint="index the video again",
            )
        return Picture(found.pixels, f"{file.name}@{found.position:.3f} s", file)

    def _again(self, file: Path, frame: int | None, position: float | None) -> Frame | None:
        """The frame that was found last, if that one is meant again, perhaps with its position rounded."""
        last = self._found
        if self._video is None or self._video.path != file or last is None or position is None:
            return None
        return last if abs(position - last.position) < SAME and frame in (None, last.pts) else None

    def _next(self, file: Path, frame: int | None, position: float | None) -> Frame | None:
        asked = (position or 0.0, frame or 0)
        if self._video is None or self._video.path != file or self._last is None or asked <= self._last:
            self._close()
            self._video = self._closing.enter_context(Video(file))
        self._last = asked
        self._found = self._video.find(frame, position)
        return self._found

    def _close(self) -> None:
        self._closing.close()
        self._closing, self._video, self._last, self._found = ExitStack(), None, None, None
