"""Reference results of the field's evaluators, as trials, features and scenes; small worlds to score."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personsearch.features import Features
from personsearch.types import Scene, Trials

GOLDEN = (Path(__file__).parent / "golden", Path(__file__).resolve().parents[2] / ".." / "shared" / "golden")
"""Our copies of the smallest sets, which cover everything, and all of them where they are at hand."""


def make_trials(
    scenes: Sequence[str], queries: Sequence[tuple[int, Any, int]], galleries: Sequence[Sequence[tuple]]
) -> Trials:
    """Queries (scene, box, person); per query the entries (scene, true boxes[, ignored boxes])."""
    entries = [(*entry, []) if len(entry) == 2 else entry for gallery in galleries for entry in gallery]
    truths = [np.asarray(entry[1], np.float32).reshape(-1, 4) for entry in entries]
    ignored = [np.asarray(entry[2], np.float32).reshape(-1, 4) for entry in entries]
    nobody = np.zeros((0, 4), np.float32)
    return Trials(
        name="test",
        scenes=tuple(scenes),
        query_scene=np.array([scene for scene, _, _ in queries], np.int32),
        query_box=np.array([box for _, box, _ in queries], np.float32).reshape(-1, 4),
        query_person=np.array([person for _, _, person in queries], np.int64),
        entry_ptr=np.cumsum([0, *map(len, galleries)]),
        entry_scene=np.array([entry[0] for entry in entries], np.int32),
        truth_ptr=np.cumsum([0, *map(len, truths)]),
        truth_box=np.concatenate([nobody, *truths]),
        ignore_ptr=np.cumsum([0, *map(len, ignored)]),
        ignore_box=np.concatenate([nobody, *ignored]),
    )


def make_features(
    scenes: Sequence[str],
    seen: Sequence[Sequence[tuple]],
    trials: Trials,
    queries: Any,
    similarity: str = "cosine",
) -> Features:
    """Per scene the people (box, score, embedding), per query of ``trials`` its embedding."""
    queries = np.atleast_2d(np.asarray(queries, np.float32))
    people = [person for scene in seen for person in scene]
    dim = queries.shape[1]
    return Features(
        scenes=tuple(scenes),
        det_ptr=np.cumsum([0, *map(len, seen)]),
        det_box=np.array([box for box, _, _ in people], np.float32).reshape(-1, 4),
        det_score=np.array([score for _, score, _ in people], np.float32),
        det_feat=np.array([feat for _, _, feat in people], np.float32).reshape(-1, dim),
        q_img=np.array([scenes.index(trials.scenes[row]) for row in trials.query_scene], np.int32),
        q_box=trials.query_box,
        q_pid=trials.query_person,
        q_feat=queries,
        qdet_ptr=np.arange(len(trials) + 1),
        qdet_box=trials.query_box,
        qdet_score=np.ones(len(trials)),
        qdet_feat=queries,
        meta={"version": 1, "fingerprint": "test", "similarity": similarity, "dim": dim},
    )


@dataclass(eq=False)
class Golden:
    """One fixture of the reference results."""

    arrays: dict[str, Any]
    expected: dict[str, Any]
    features: Features = field(init=False)
    names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.names = self.arrays["img_name"].tolist()
        columns = {k: v for k, v in self.arrays.items() if k.startswith(("det_", "q_", "qdet_"))}
        dim = self.arrays["det_feat"].shape[1]
        meta = {"version": 1, "fingerprint": "golden", "similarity": "cosine", "dim": dim}
        self.features = Features(scenes=tuple(self.names), meta=meta, **columns)

    def truth(self, image: int, person: int) -> np.ndarray:
        rows = slice(*self.arrays["gt_ptr"][image:][:2])
        return self.arrays["gt_box"][rows][self.arrays["gt_pid"][rows] == person]

    def scenes(self) -> list[Scene]:
        a = self.arrays
        rows = [slice(*a["gt_ptr"][i:][:2]) for i in range(len(self.names))]
        return [
            Scene(n, boxes=a["gt_box"][r], people=a["gt_pid"][r])
            for n, r in zip(self.names, rows, strict=True)
        ]

    def gallery(self, size: int) -> list[list[tuple]]:
        images, positives = self.arrays[f"gal{size}_img"], self.arrays[f"gal{size}_ngt"]
        start = np.cumsum(positives) - positives
        boxes = self.arrays[f"gal{size}_gtbox"]
        return [
            [(int(image), [boxes[start[q] + k]] if k < positives[q] else []) for k, image in enumerate(row)]
            for q, row in enumerate(images)
        ]

    def trials(self, options: dict[str, str]) -> Trials:
        a = self.arrays
        queries = list(zip(a["q_img"].tolist(), a["q_box"], a["q_pid"].tolist(), strict=True))
        everything = range(len(self.names))
        if options.get("gallery") == "full":
            galleries = self.gallery(50)
            for (own, _, _), gallery in zip(queries, galleries, strict=True):
                listed = {own, *(entry[0] for entry in gallery)}
                gallery += [(image, []) for image in everything if image not in listed]
        elif "gallery" in options:
            galleries = self.gallery(int(options["gallery"]))
        else:
            other, camera = options["cams"] == "other", a["img_cam"]
            galleries = [
                [
                    (image, self.truth(image, person))
                    for image in everything
                    if image != own and not (other and camera[image] == camera[own])
                ]
                for own, _, person in queries
            ]
        count = int(options.get("nq", len(queries)))
        return make_trials(self.names, queries[:count], galleries[:count])


@pytest.fixture(scope="session")
def golden() -> Callable[[str], Golden]:
    """A fixture of the reference results by name."""

    @cache
    def load(name: str) -> Golden:
        folder = next(folder for folder in GOLDEN if (folder / f"{name}.npz").is_file())
        with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
            arrays = dict(file)
        for column in ("det_feat", "q_feat", "qdet_feat"):  # the large sets keep half precision
            arrays[column] = arrays[column].astype(np.float32)
        return Golden(arrays, json.loads((folder / f"{name}.expected.json").read_text()))

    return load


@pytest.fixture(scope="session")
def trials_of() -> Callable[..., Trials]:
    return make_trials


@pytest.fixture(scope="session")
def features_of() -> Callable[..., Features]:
    return make_features
