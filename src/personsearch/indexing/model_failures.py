"""A model that fails on one frame must not cost the others; one that fails on all of them must be noticed."""

from __future__ import annotations

from personsearch.errors import PersonSearchError
from personsearch.gallery.people import check
from personsearch.indexing.book import MODEL_FAILURES, one_line
from personsearch.types import Detections, Picture, Searcher


class CarefulSearcher:
    """Asks a model for people and stops when it fails on everything.

    Args:
        searcher: finds and describes people.
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher = searcher
        self._in_a_row = 0

    def __call__(self, picture: Picture) -> Detections | str:
        """Everybody in the picture, or what the model failed with, in one line.

        Raises:
            PersonSearchError: the model failed on this picture and on all of the last ones.
        """
        try:
            seen = self._searcher.detect(picture)
            check(seen, self._searcher.dim)
        except Exception as error:  # whatever a model does to one picture must not cost the others
            return self._blame(error)
        self._in_a_row = 0
        return seen

    def _blame(self, error: Exception) -> str:
        said = one_line(f"{type(error).__name__}: {error}")
        self._in_a_row += 1
        if self._in_a_row >= MODEL_FAILURES:
            raise PersonSearchError(
                f"the model failed on {MODEL_FAILURES} frames in a row: {said}"
            ) from error
        return said
