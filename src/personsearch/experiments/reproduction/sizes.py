"""How large a reproduction is: which data, trainings and searches stand behind each of its presets."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from personsearch.datasets.dataset import Dataset
from personsearch.errors import UsageError
from personsearch.experiments.ablation import AblationSettings
from personsearch.training.settings import TrainingSettings

Pretrained = Literal["none", "imagenet"]
WANTED_GALLERY = 100
"""Pictures a query is looked for in, where the paper says nothing else (5.1)."""


@dataclass(frozen=True, kw_only=True)
class Size:
    """One preset of the reproduction.

    Attributes:
        name: of it.
        data: preset of the generated data, where no other data are given.
        training: preset of the networks' training.
        steps: of stages 1 and 2 in its place, where the preset's would take too long.
        classical: preset of the classical parts' training (they learn from the data as their
            sources have them, but for ``tiny``).
        pretrained: where trunks begin unless somebody says otherwise.
        points: how often the ablation's test mAP is looked at.
        sweep: K of RSS beside the preset's own and softmax; empty: no sweep.
        best: preset of "our best network"; empty: none, unless one is given.
        min_height: people lower than this count neither way in the detectors' curves (paper 3.1: 50).
        timed: pictures on which speed is measured.
        minutes: roughly what stages take on two slow cores, for the plan and the time left; they
            are estimates from the cost of a step, and corrected by what finished stages took.
    """

    name: str
    data: str
    training: str
    steps: tuple[int, int] | None = None
    classical: str = "demo"
    pretrained: Pretrained = "none"
    points: int = 4
    sweep: tuple[int, ...] = ()
    best: str = ""
    min_height: float = 50.0
    timed: int = 20
    minutes: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def base(self, seed: int, pretrained: Pretrained) -> TrainingSettings:
        """The joint network's training with both stages, which all others are cut from."""
        chosen = AblationSettings(preset=self.training, steps=self.steps, pretrained=pretrained)
        return dataclasses.replace(chosen.base(), seed=seed)


_SMALL = {
    "data": 2.5, "statistics": 0.1, "samples": 0.1, "network": 0.1, "ours": 6.5, "deep": 1.8, "idnet": 3.9,
    "acf": 4.0, "euclidean": 1.5, "kissme": 1.0, "bow": 1.5, "detection": 1.2, "table2": 7.0, "recall": 0.3,
    "gallery": 0.2, "subsets": 0.2, "failures": 0.1, "speed": 0.5, "cost": 1.0, "ablation": 7.5,
}  # fmt: skip
_MEDIUM = {
    "data": 7.0, "statistics": 0.2, "samples": 0.1, "network": 0.1, "ours": 12.5, "deep": 4.5, "idnet": 12.5,
    "acf": 6.0, "euclidean": 3.0, "kissme": 1.0, "bow": 1.0, "detection": 1.2, "table2": 9.5, "recall": 0.3,
    "gallery": 0.2, "subsets": 0.2, "failures": 0.1, "speed": 0.5, "cost": 1.0, "ablation": 17.0,
    "sweep": 30.0, "best": 36.0,
}  # fmt: skip

SIZES: Mapping[str, Size] = {
    "tiny": Size(
        name="tiny",
        data="tiny",
        training="compact-tiny",
        classical="tiny",
        points=1,
        min_height=20.0,
        timed=3,
    ),
    # The demo's network, its stages a fifth shorter: six trainings have to fit into 45 minutes.
    "small": Size(name="small", data="demo", training="demo", steps=(360, 340), points=2, minutes=_SMALL),
    "medium": Size(
        name="medium",
        data="medium",
        training="medium",
        sweep=(10, 30, 300),
        best="medium-long",
        minutes=_MEDIUM,
    ),
    "paper": Size(name="paper", data="medium", training="vgg16", pretrained="imagenet"),
}


def size_called(name: str) -> Size:
    """The preset called ``name``.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in SIZES:
        raise UsageError(
            f"there is no preset {name!r} of the reproduction", hint=f"choose one of {', '.join(SIZES)}"
        )
    return SIZES[name]


def search_size(sizes: Sequence[int], wanted: int = WANTED_GALLERY) -> int | None:
    """Which gallery size stands for the paper's 100: itself, or the nearest that the data hold.

    None where every gallery is whole, as in PRW.

    >>> search_size((50, 100, 200)), search_size((6, 10)), search_size((2000, 4000)), search_size(())
    (100, 10, 2000, None)
    """
    if not sizes:
        return None
    return max((size for size in sizes if size <= wanted), default=min(sizes))


def sizes_held(dataset: Dataset, wanted: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Gallery sizes to draw, and those of the paper that the data do not hold."""
    held = tuple(dataset.gallery_sizes)
    return held, tuple(size for size in wanted if size not in held)
