"""How hard a benchmark is for somebody who only looks at colours."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from personsearch.datasets.dataset import Dataset
from personsearch.datasets.open import open_dataset
from personsearch.errors import DatasetError
from personsearch.evaluation.search import score_search
from personsearch.features import extract
from personsearch.progress import Progress, silent
from personsearch.types import UNLABELLED, Array, Picture, Similarity, Trials

RECORD = Path("annotation/generated.json")
LOW = 80.0
HIDDEN = 0.4


class ColourHistogram:
    """Describes people by the colours in their whole box: the least that search has to beat.

    A joint histogram of CIE LAB, square roots taken, so that the cosine of two is the
    Bhattacharyya coefficient of their colour distributions. Background in the box counts too.

    Args:
        bins: of lightness, and of a and b.
    """

    similarity: Similarity = "cosine"

    def __init__(self, bins: tuple[int, int, int] = (8, 20, 20)) -> None:
        self.bins = bins
        self.dim = int(np.prod(bins))
        self.fingerprint = hashlib.sha256(f"LAB histogram {bins}".encode()).hexdigest()

    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, d) float32, unit length; zeros for a box outside the picture."""
        lab = cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2LAB)
        width, height = picture.size
        result = np.zeros((len(boxes), self.dim), np.float32)
        for i, (x1, y1, x2, y2) in enumerate(np.asarray(boxes).tolist()):
            crop = lab[max(round(y1), 0) : min(round(y2), height), max(round(x1), 0) : min(round(x2), width)]
            if crop.size:
                counts = cv2.calcHist([crop], [0, 1, 2], None, list(self.bins), [0, 256, 20, 232, 20, 232])
                result[i] = np.sqrt(counts.ravel() / max(counts.sum(), 1))
        return result


def measure_hardness(root: Path, gallery_size: int = 50, *, progress: Progress = silent) -> dict[str, Any]:
    """What a colour histogram reaches on the true boxes, and how many queries are hard by kind.

    The catch: true boxes leave out the detector's mistakes, so a searcher that has to find the
    people itself competes with less help than the histogram gets.

    Args:
        root: a generated benchmark (:func:`personsearch.datasets.synthetic.make.make_dataset`).
        gallery_size: of the protocol.
        progress: told of every picture.

    Returns:
        Plain numbers, ready for JSON: ``histogram`` (mAP, top-1), ``queries`` (shares with a
        near-twin in the gallery, over 40% hidden, under 80 pixels), ``counts``, ``settings``.

    Raises:
        DatasetError: ``root`` is not a generated benchmark.
    """
    dataset = open_dataset("synthetic", root)
    record = _record(root)
    scenes = dataset.scenes("test")
    trials = dataset.trials(gallery_size)
    with tempfile.TemporaryDirectory() as folder:
        features = extract(
            ColourHistogram(), scenes, trials, Path(folder) / "f.npz", boxes="annotated", progress=progress
        )
        scores = score_search(trials, features)
    heights = trials.query_box[:, 3] - trials.query_box[:, 1]
    visible = np.array([query["visible"] for query in record["queries"]])
    twins = [_in_gallery(trials, i, query["twins"]) for i, query in enumerate(record["queries"])]
    return {
        "gallery_size": gallery_size,
        "histogram": {"mAP": round(scores.mean_ap, 4), "top-1": round(scores.top(1), 4)},
        "queries": {
            "near-twin": round(float(np.mean(twins)), 4),
            "over 40% occluded": round(float(np.mean(visible < 1 - HIDDEN)), 4),
            "under 80 px": round(float(np.mean(heights < LOW)), 4),
            "median height": float(np.median(heights)),
        },
        "counts": {**_counts(dataset, "test"), **_counts(dataset, "train"), "queries": len(trials)},
        "settings": record["settings"],
    }


def _record(root: Path) -> dict[str, Any]:
    path = root / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{root} is not a generated benchmark: no readable {RECORD}",
            hint="make one with: personsearch dataset make",
        ) from error
    return record


def _in_gallery(trials: Trials, query: int, names: list[str]) -> bool:
    """Whether any of the pictures ``names`` is searched for ``query``."""
    entries = trials.entry_scene[trials.entry_ptr[query] : trials.entry_ptr[query + 1]]
    return any(trials.scenes[scene] in names for scene in entries.tolist())


def _counts(dataset: Dataset, split: str) -> dict[str, Any]:
    """Sizes of one split, and the mean number of people a picture."""
    scenes = dataset.scenes("train" if split == "train" else "test")
    people = np.concatenate([scene.people for scene in scenes]) if scenes else np.zeros(0, np.int64)
    return {
        f"{split} pictures": len(scenes),
        f"{split} people": len(people),
        f"{split} identities": len(np.unique(people[people != UNLABELLED])),
        f"{split} labelled a picture": round(float((people != UNLABELLED).sum()) / max(len(scenes), 1), 3),
        f"{split} unlabelled a picture": round(float((people == UNLABELLED).sum()) / max(len(scenes), 1), 3),
    }
