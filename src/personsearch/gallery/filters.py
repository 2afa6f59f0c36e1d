"""Who is searched at all: conditions that are met before anybody is ranked, so they cost no hit."""

from __future__ import annotations

import fnmatch
import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from personsearch.errors import UsageError
from personsearch.gallery.ledger import Place


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Conditions on the people of a gallery; all that are given must hold.

    What is not known meets no condition: a picture without a time is not found by ``since``.

    Attributes:
        cameras: the camera is one of these.
        since, until: seconds since 1970; ``since <= time < until``.
        paths: one of these globs names the picture. ``*`` also matches ``/``. A glob without ``/``
            is held against the file's name, one that begins with ``/`` against the whole path, any
            other against the path below the indexed folder.
        min_height, max_height: of the box, in pixels; both belong to it.

    >>> Filter(cameras=("north",)).is_empty, Filter().is_empty
    (False, True)
    """

    cameras: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    paths: tuple[str, ...] = ()
    min_height: float | None = None
    max_height: float | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until", "min_height", "max_height"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise UsageError(f"{name.replace('_', ' ')} must be a finite number, got {value}")
        for low, high in (("since", "until"), ("min_height", "max_height")):
            a, b = getattr(self, low), getattr(self, high)
            if a is not None and b is not None and a > b:
                raise UsageError(f"{low} is after {high}: nobody can meet both".replace("_", " "))

    @property
    def is_empty(self) -> bool:
        """Whether everybody meets it."""
        return self == _NONE

    def names(self) -> Callable[[Place, str], bool] | None:
        """Whether a glob names the picture at a place with this whole path; None when all do.

        >>> wanted = Filter(paths=("cam1/*", "*.png")).names()
        >>> [wanted(Place(0, path), "/photos/" + path) for path in ("cam1/a/b.jpg", "x/c.png", "x/c.jpg")]
        [True, True, False]
        """
        if not self.paths:
            return None
        whole, below, alone = (
            _any([glob for glob in self.paths if _reach(glob) == reach])
            for reach in ("whole", "below", "name")
        )

        def named(place: Place, path: str) -> bool:
            return bool(
                (alone and alone(place.path.rsplit("/", 1)[-1]))
                or (below and below(place.path))
                or (whole and whole(path))
            )

        return named

    def to_json(self) -> dict[str, object]:
        """The conditions that were given."""
        given = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in given.items()
            if value not in (None, ())
        }


_NONE = Filter()


def _reach(glob: str) -> str:
    if glob.startswith("/") or re.match(r"[A-Za-z]:[/\\]", glob):
        return "whole"
    return "below" if "/" in glob else "name"


def _any(globs: list[str]) -> Callable[[str], object] | None:
    if not globs:
        return None
    return re.compile("|".join(f"(?:{fnmatch.translate(glob)})" for glob in globs)).match
