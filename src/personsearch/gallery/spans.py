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
    order = np.lexsort(keys[::-1])
    begins = np.concatenate([[False], (np.diff(keys[:, order], axis=1) != 0).any(axis=0)])
    group = np.empty(len(picture), np.int64)
    group[order] = np.cumsum(begins)
    return group


def span(shot: Array, position: Array, row: int) -> Span | None:
    """The piece of the video in which the person of ``row`` is seen; None for a picture.

    Args:
        shot: (n,) of :func:`shots`.
        position: (n,) float64 seconds since the first frame of the video, NaN in a picture.
        row: whose.

    >>> span(np.array([0, 1, 0]), np.array([2.0, 2.0, 5.5]), 0)
    Span(first=2.0, last=5.5, frames=2)
    """
    if np.isnan(position[row]):
        return None
    here = position[shot == shot[row]]
    return Span(float(here.min()), float(here.max()), len(here))
