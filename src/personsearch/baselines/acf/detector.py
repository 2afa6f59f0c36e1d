"""Finding people with aggregated channel features, and the folder of such a detector."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from personsearch import boxes as geometry
from personsearch.baselines.acf.cascade import run_cascade
from personsearch.baselines.acf.channels import CHANNELS
from personsearch.baselines.acf.pyramid import Pyramid, build_pyramid
from personsearch.baselines.acf.settings import AcfSettings
from personsearch.baselines.acf.suppression import suppress
from personsearch.baselines.acf.trees import Trees
from personsearch.baselines.acf.windows import person_size
from personsearch.baselines.parts import CONFIG, WEIGHTS, read_part, save_part
from personsearch.errors import InputError, UsageError
from personsearch.ranking.calibration import Calibration
from personsearch.types import Array, Detections, Picture

KIND = "acf"
MOST = 4000
"""Windows that suppression looks at, best first: what an unlucky picture costs stays bounded."""


@dataclass(frozen=True, eq=False, kw_only=True)
class AcfModel:
    """Everything that finds windows with people in them.

    Attributes:
        settings: windows, scales and thresholds.
        trees: the last round's.
        power: how gradients change with scale.
        aspect: width over height of the boxes that are told; all of them have it.
    """

    settings: AcfSettings
    trees: Trees
    power: float
    aspect: float

    def pyramid(self, pixels: Array) -> Pyramid:
        """All scales of a picture, (h, w, 3) uint8 RGB."""
        return build_pyramid(pixels, self.settings, self.power)

    def find(self, pyramid: Pyramid, size: tuple[int, int]) -> tuple[Array, Array, Array]:
        """(k,) places, (k, 4) boxes within ``size`` and (k,) sums of the people found, best first."""
        places, sums = run_cascade(pyramid, self.trees, self.settings.cascade_threshold)
        best = np.argsort(-sums, kind="stable")[:MOST]
        places, sums = places[best], sums[best]
        found = geometry.clip(pyramid.boxes(places, person_size(self.aspect, self.settings)), size)
        inside = geometry.area(found) > 0
        places, found, sums = places[inside], found[inside], sums[inside]
        rows = suppress(found, sums, self.settings.nms_overlap)
        return places[rows], found[rows], sums[rows]


class AcfDetector:
    """Finds people by boosted trees on aggregated channel features ("ACF" of the paper's 5.1).

    Satisfies what the house calls a detector; it describes nobody.

    Args:
        model: what finds windows.
        calibration: from a window's sum to the probability that somebody is in it.
        fingerprint: hex digest naming the detector.
        name: what people call it.
    """

    dim = 0

    def __init__(
        self, model: AcfModel, calibration: Calibration, *, fingerprint: str, name: str = KIND
    ) -> None:
        self.model = model
        self.calibration = calibration
        self.fingerprint = fingerprint
        self.name = name

    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, best score first; embeddings of length 0.

        People from ``person_height / 2**octaves_up`` pixels up to the picture's height are found. A
        score is the probability that was fitted on pictures held out from training: it rises
        with the sum of the trees, and so keeps its order, but it holds for pictures like those.
        Boxes have one shape, whatever the person does with arms and legs.

        Returns:
            boxes within the picture, upright pixels; nobody where the picture is smaller than a
            window.
        """
        _, boxes, sums = self.model.find(self.model.pyramid(picture.pixels), picture.size)
        scores = self.calibration.probability(sums).astype(np.float32)
        return Detections(boxes, scores, np.zeros((len(boxes), 0), np.float32))


def save_acf(folder: Path, model: AcfModel, calibration: Calibration, trained_on: dict[str, Any]) -> str:
    """Write the detector's folder, configuration last, and return its fingerprint."""
    settings = {
        "settings": model.settings.to_json(),
        "power": model.power,
        "aspect": model.aspect,
        "calibration": calibration.to_json(),
        "trained_on": trained_on,
    }
    return save_part(folder, KIND, settings, vars(model.trees))


def load_acf(folder: Path) -> AcfDetector:
    """The detector in ``folder``, named after it.

    Raises:
        InputError: there is none, or it is damaged.
    """
    folder = Path(folder)
    part = read_part(folder)
    if part.kind != KIND:
        raise InputError(f"{folder} holds a part of kind {part.kind!r}, not {KIND!r}", hint="check the path")
    try:
        settings = AcfSettings.from_json(part.settings["settings"])
        power, aspect = float(part.settings["power"]), float(part.settings["aspect"])
        calibration = Calibration.from_json(part.settings["calibration"])
        if not (np.isfinite(power) and 0 < aspect < 10):
            raise ValueError(f"power {power} and aspect {aspect}")
    except (KeyError, TypeError, AttributeError, ValueError, UsageError, InputError) as error:
        raise InputError(
            f"{folder / CONFIG} describes no detector: {error}", hint="the configuration was changed by hand?"
        ) from error
    model = AcfModel(
        settings=settings, trees=_trees(part.arrays, settings, folder), power=power, aspect=aspect
    )
    return AcfDetector(model, calibration, fingerprint=part.fingerprint, name=folder.name)


def _trees(arrays: dict[str, Array], settings: AcfSettings, folder: Path) -> Trees:
    """The trees, none of which asks about a feature that windows of ``settings`` do not have."""
    kinds = {"features": np.int32, "thresholds": np.uint8, "leaves": np.float32}
    known = CHANNELS * settings.cells[0] * settings.cells[1]
    try:
        if {name: array.dtype for name, array in arrays.items()} != kinds:
            raise ValueError("its arrays are not those of trees")
        trees = Trees(**arrays)
        if len(trees) and not (trees.features.min() >= 0 and trees.features.max() < known):
            raise ValueError(f"a tree asks about a feature beyond the {known} of a window")
        if not np.isfinite(trees.leaves).all():
            raise ValueError("a leaf is not a finite number")
    except ValueError as error:
        raise InputError(
            f"{folder / WEIGHTS} does not fit its configuration: {error}", hint="train the detector again"
        ) from error
    return trees
