"""What a page shows of one picture: its crop, the whole scene, the boxes on it, where and when it was."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from personsearch.errors import PersonSearchError
from personsearch.images import encode_jpeg
from personsearch.progress import timecode
from personsearch.report.crops import crop, fit
from personsearch.types import Array, Hit, Picture, Similarity

CROP_SIZE = (240, 480)
"""Largest crop in the page, width and height: people are tall."""


NOBODY = np.zeros((0, 4), np.float32)


@dataclass(frozen=True, kw_only=True)
class Quality:
    """How much of a picture goes into the page.

    Attributes:
        side: longer side of a scene, pixels.
        jpeg: quality, 1 to 100.
        crop: largest crop, width and height.
    """

    side: int
    jpeg: int
    crop: tuple[int, int] = CROP_SIZE


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box on a view, in the view's pixels; ``kind`` is a class of the style sheet."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, kw_only=True)
class View:
    """One picture in the page.

    Attributes:
        uri: the picture itself, as ``data:``.
        width, height: its pixels.
        alt: what is in it.
        boxes: drawn on it.
    """

    uri: str
    width: int
    height: int
    alt: str
    boxes: tuple[Box, ...] = ()

    @property
    def ratio(self) -> int:
        """Width in hundredths of the height."""
        return max(1, round(100 * self.width / self.height))

    @property
    def shape(self) -> str:
        """The class that gives the view its share of a row."""
        return f"r{self.ratio}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where and when: file name, folder, moment and camera, fit to be shown."""

    name: str
    folder: str = ""
    when: str = ""
    camera: str = ""


@dataclass(frozen=True, kw_only=True)
class Card:
    """A hit, or a picture in which the person was missed; ``moment`` says where in a video it is."""

    place: Place
    views: tuple[View, ...]
    error: str
    rank: int = 0
    verdict: str = ""
    badge: str = ""
    value: str = ""
    value_note: str = ""
    note: str = ""
    moment: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class _Shown:
    """Whose box a picture is shown for, and where else the person is in it."""

    box: Array
    kind: str
    who: str
    truth: Array


def printable(text: object) -> str:
    """``text`` as a page can hold it: no control characters, no letters that UTF-8 cannot write.

    File names may be any bytes; what is no text shows as a replacement character. Letters
    that turn the direction of writing go too: they make one file name look like another.

    >>> printable("a\\x00b\\udce9.jpg")
    'a\ufffdb\ufffd.jpg'
    """
    turning = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f"
    return "".join(
        letter if letter.isprintable() and letter not in turning else "\ufffd" for letter in str(text)
    )


def place(path: str, time: float | None = None, camera: str | None = None) -> Place:
    """A picture's path in two parts, and when and by what it was taken.

    >>> place("day 1/cam2/a.jpg", 0.0)
    Place(name='a.jpg', folder='day 1/cam2', when='1970-01-01 00:00:00 UTC', camera='')
    """
    shown = printable(path)
    cut = max(shown.rfind("/"), shown.rfind("\\"))
    return Place(
        name=shown[cut + 1 :],
        folder=shown[: max(cut, 0)],
        when=_moment(time),
        camera=printable(camera or ""),
    )


def _moment(time: float | None) -> str:
    """Seconds since 1970 as a moment, or nothing where no calendar has it."""
    if time is None or not 0 <= abs(time) < 2**37:
        return ""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def moment(hit: Hit) -> str:
    """Where in its video a hit is, and how long the person is seen there; nothing for a picture.

    >>> from personsearch.types import Span
    >>> known = {"rank": 1, "similarity": 0.9, "box": np.zeros(4), "score": 1.0, "detection": 0}
    >>> moment(Hit(**known, picture="a.mp4", position=7.25, span=Span(3.0, 9.0, 7)))
    'at 00:00:07.250, seen from 00:00:03.000 to 00:00:09.000 in 7 frames'
    """
    if hit.position is None:
        return ""
    at = f"at {timecode(hit.position)}"
    if hit.span is None or hit.span.frames < 2:
        return at
    return (
        f"{at}, seen from {timecode(hit.span.first)} to {timecode(hit.span.last)} in {hit.span.frames} frames"
    )


def query_views(picture: Picture, box: Array, quality: Quality) -> tuple[View, ...]:
    """Whom the search looked for: the crop, and the whole picture with the box."""
    return _views(picture, _Shown(box=box, kind="query", who="The person looked for", truth=NOBODY), quality)


def _views(picture: Picture, shown: _Shown, quality: Quality) -> tuple[View, ...]:
    """The crop of a box and the whole picture with its boxes."""
    person = fit(crop(picture.pixels, shown.box, margin=0.08, aspect=0.5), quality.crop)
    scene = fit(picture.pixels, (quality.side, quality.side))
    factor = scene.shape[1] / picture.pixels.shape[1], scene.shape[0] / picture.pixels.shape[0]
    boxes = [*(_box("truth", box, factor) for box in shown.truth), _box(shown.kind, shown.box, factor)]
    return (
        _view(person, f"{shown.who}, cut out", (), quality),
        _view(scene, f"{shown.who} in the whole picture", tuple(boxes), quality),
    )


def _view(pixels: Array, alt: str, boxes: tuple[Box, ...], quality: Quality) -> View:
    content = base64.b64encode(encode_jpeg(pixels, quality.jpeg)).decode()
    height, width = pixels.shape[:2]
    return View(uri=f"data:image/jpeg;base64,{content}", width=width, height=height, alt=alt, boxes=boxes)


def _box(kind: str, box: Array, factor: tuple[float, float]) -> Box:
    x1, y1, x2, y2 = (float(side) for side in np.asarray(box, np.float64) * [*factor, *factor])
    return Box(
        kind=kind,
        x=round(x1, 1),
        y=round(y1, 1),
        width=round(max(x2 - x1, 0), 1),
        height=round(max(y2 - y1, 0), 1),
    )


def likeness(hit: Hit, kind: Similarity) -> tuple[str, str]:
    """How alike, as large and small print: the probability where there is one, else the similarity.

    >>> hit = Hit(rank=1, similarity=0.8612, picture="a", box=np.zeros(4), score=1.0, detection=0)
    >>> likeness(hit, "cosine")
    ('0.861', 'similarity')
    """
    if kind == "cosine":
        value, name = f"{hit.similarity:.3f}", "similarity"
    else:
        value, name = f"{abs(hit.similarity):.2f}", "distance"
    if hit.probability is None:
        return value, name
    return f"{percent(hit.probability)} likely", f"{name} {value}"


def percent(share: float) -> str:
    """A probability in whole per cent that never claims certainty.

    >>> percent(0.943), percent(0.999), percent(0.001)
    ('94%', '>99%', '<1%')
    """
    if share > 0.99:
        return ">99%"
    if share < 0.01:
        return "<1%"
    return f"{100 * share:.0f}%"


def hit_card(
    hit: Hit,
    kind: Similarity,
    load: Callable[[str], Picture],
    quality: Quality,
    *,
    right: bool | None = None,
    truth: Array | None = None,
    name: str | None = None,
) -> Card:
    """One hit with its crop, its scene and its verdict.

    Args:
        right: whether it is the person; None where nobody knows.
        truth: (n, 4) boxes of the person in the hit's picture.
        name: what ``load`` calls the picture; by default as the hit does.
    """
    verdict = {None: "", True: "right", False: "wrong"}[right]
    elsewhere = truth if right is False and truth is not None and len(truth) else NOBODY
    value, value_note = likeness(hit, kind)
    views, error = _views_or_reason(
        load,
        hit.picture if name is None else name,
        _Shown(box=hit.box, kind=verdict or "hit", who=f"Hit {hit.rank}", truth=elsewhere),
        quality,
    )
    return Card(
        rank=hit.rank,
        verdict=verdict,
        badge={"right": "✓ Right person", "wrong": "✕ Someone else", "": ""}[verdict],
        value=value,
        value_note=value_note,
        place=place(hit.picture, hit.time, hit.camera),
        views=views,
        note="The person is in this picture, in the dotted box." if len(elsewhere) else "",
        error=error,
        moment=moment(hit),
    )


def missed_card(name: str, boxes: Array, load: Callable[[str], Picture], quality: Quality) -> Card:
    """A picture in which the person stood, in each of ``boxes`` (n, 4), and no hit found them."""
    views, error = _views_or_reason(
        load, name, _Shown(box=boxes[0], kind="truth", who="The person", truth=boxes[1:]), quality
    )
    return Card(place=place(name), views=views, error=error)


def _views_or_reason(
    load: Callable[[str], Picture], name: str, shown: _Shown, quality: Quality
) -> tuple[tuple[View, ...], str]:
    """The picture's views, or why there are none: the other hits are still worth looking at."""
    try:
        return _views(load(name), shown, quality), ""
    except PersonSearchError as error:
        return (), printable(f"The picture cannot be shown: {error}")
