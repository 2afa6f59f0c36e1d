"""Queries as a searcher sees them by itself: the detection that overlaps the annotated box best."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from personsearch.boxes import iou
from personsearch.features.table import Features
from personsearch.types import Array

QueryBox = Literal["annotated", "detected"]


def detected_queries(features: Features, threshold: float) -> tuple[Features, Array]:
    """``features`` whose queries are described by what was detected in their pictures.

    Some papers do this instead of describing the annotated box, which the protocol asks for:
    the query is the detection with a score of ``threshold`` or more that overlaps the annotated
    box most (the earlier of equals). Boxes and identities of the queries stay the annotated
    ones, so that the searches are the same.

    The catch: where no detection overlaps the box at all, there is nobody to look for. Such a
    query gets a zero embedding, and whoever scores has to count its average precision as 0. The
    papers' own scripts take any detection of the picture then, or leave the query out of the
    mean, which makes a detector look better the less it finds.

    Returns:
        the features, and a (Q,) bool mask of their queries that nothing was detected of.
    """
    rows = np.full(len(features.q_img), -1, np.int64)
    for i, picture in enumerate(features.q_img.tolist()):
        start, stop = features.det_ptr[picture : picture + 2]
        seen = start + np.flatnonzero(features.det_score[start:stop] >= np.float32(threshold))
        overlap = iou(features.det_box[seen], features.q_box[i : i + 1])[:, 0]
        if len(overlap) and overlap.max() > 0:
            rows[i] = seen[np.argmax(overlap)]
    found = rows >= 0
    q_feat = np.zeros_like(features.q_feat)
    q_feat[found] = features.det_feat[rows[found]]
    described = np.flatnonzero(np.diff(features.qdet_ptr) > 0)  # queries with people around them
    first = features.qdet_ptr[described]  # the query itself
    around = features.qdet_feat.copy()
    around[first] = q_feat[described]
    return replace(features, q_feat=q_feat, qdet_feat=around), ~found
