"""A model that fails on one frame must not cost the others; one that fails on all of them must be noticed."""

from __future__ import annotations

from collections.abc import Callable

from personsearch.errors import PersonSearchError
from personsearch.gallery.people import check
from personsearch.indexing.book import MODEL_FAILURES, one_line
from personsearch.types import Detections, Picture, Searcher


class ModelFailure(Exception):
    """The model failed on everything; the cause says how."""


class FrameFailures:
    """Counts what a model fails on, and stops when that is everything of late.

    Args:
        dim: of the embeddings.

    Attributes:
        good: how many frames the model looked at.
        bad: how many it failed on.
        last: what it failed with the last time.
    """

    def __init__(self, dim: int) -> None:
        self._dim, self._in_a_row = dim, 0
        self.good = self.bad = 0
        self.last: Exception | None = None

    def answer(self, ask: Callable[[], Detections]) -> Detections | None:
        """Everybody whom ``ask`` gives; None if it fails, or describes nobody sensibly.

        Raises:
            ModelFailure: so it did with all of the last frames.
        """
        try:
            seen = ask()
            check(seen, self._dim)
        except Exception as error:  # whatever a model does to one frame must not cost the others
            self.bad, self._in_a_row, self.last = self.bad + 1, self._in_a_row + 1, error
            if self._in_a_row >= MODEL_FAILURES:
                raise ModelFailure(f"on {MODEL_FAILURES} frames in a row") from error
            return None
        self.good, self._in_a_row = self.good + 1, 0
        return seen

    @property
    def said(self) -> str:
        """What it failed with the last time, in one line; empty if it did not."""
        return "" if self.last is None else one_line(f"{type(self.last).__name__}: {self.last}")


class CarefulSearcher:
    """Asks a model for people and stops when it fails on everything.

    Args:
        searcher: finds and describes people.

    Attributes:
        failures: how often, and what it failed with.
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self.failures = FrameFailures(searcher.dim)

    def __call__(self, picture: Picture) -> Detections | str:
        """Everybody in the picture, or what the model failed with, in one line.

        Raises:
            PersonSearchError: the model failed on this picture and on all of the last ones.
        """
        try:
            seen = self.failures.answer(lambda: self._searcher.detect(picture))
        except ModelFailure as error:
            raise PersonSearchError(f"the model failed {error}: {self.failures.said}") from error.__cause__
        return self.failures.said if seen is None else seen
