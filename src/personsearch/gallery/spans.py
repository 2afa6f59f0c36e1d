"""One person is one hit: rows of a tracklet belong together, and span a piece of their video."""

from __future__ import annotations

import numpy as np

from personsearch.types import Array, Span


def shots(picture: Array, frame: Array, tracklet: Array) -> Array:
    """(n,) int64, equal for rows of which a search per picture gives the best only.

    Those are the rows of one tracklet of a video, where there are tracklets; else the people of one
    frame, for one person cannot be two of them; else those of one picture.

    Args:
        picture: (n,) int64.
        frame: (n,) int64, -1 for none.
        tracklet: (n,) int64, -1 for none; counted within a picture.

    >>> shots(np.array([1, 1, 2, 2, 2]), np.array([-1, -1, 7, 7, 9]), np.array([-1, -1, 0, 1, 0])).tolist()
    [0, 0, 1, 2, 1]
    """
    if not len(picture):
        return np.zeros(0, np.int64)
    in_tracklet = tracklet >= 0
    keys = np.stack([picture, in_tracklet.astype(np.int64), np.where(in_tracklet, tracklet, frame)])
    order = np.arange(len(picture)) if _rising(keys) else np.lexsort(keys[::-1])
    begins = np.concatenate([[False], (np.diff(keys[:, order], axis=1) != 0).any(axis=0)])
    group = np.empty(len(picture), np.int64)
    group[order] = np.cumsum(begins)
    return group


def _rising(keys: Array) -> bool:
    """Whether the columns of ``keys`` are in order already, as those of pictures mostly are.

    >>> _rising(np.array([[1, 1, 2], [0, 0, 0], [5, 5, -1]])), _rising(np.array([[1, 1], [0, 0], [5, 4]]))
    (True, False)
    """
    first, second, third = np.diff(keys, axis=1)
    later = (first > 0) | ((first == 0) & ((second > 0) | ((second == 0) & (third >= 0))))
    return bool(later.all())


def span(position: Array) -> Span:
    """The piece of a video in which one person is seen.

    Args:
        position: (n,) float64 seconds since the first frame of the video, of the rows of one shot.

    >>> span(np.array([2.0, 5.5]))
    Span(first=2.0, last=5.5, frames=2)
    """
    return Span(float(position.min()), float(position.max()), len(position))
