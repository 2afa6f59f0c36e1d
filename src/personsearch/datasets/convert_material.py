"""A data set in memory, and what of it another layout cannot hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from personsearch.datasets.dataset import Dataset, Split, Subset
from personsearch.datasets.inventory import other_scenes, person_names, subset_if_there, trials_if_there
from personsearch.progress import Progress, silent
from personsearch.types import Scene, Trials

Target = Literal["cuhk-sysu", "prw", "coco", "mot"]
TARGETS: tuple[Target, ...] = get_args(Target)
Cure = Literal["round", "lossy"]
Step = Callable[["Material"], tuple["Material", Sequence["Loss"]]]
"""A change that makes a data set fit, and what is lost by it."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Something that a layout cannot hold.

    Attributes:
        count: how many.
        what: of what, and what becomes of them; stands after the number.
        cure: whether rounding is enough, or it has to be left out.
    """

    count: int
    what: str
    cure: Cure = "lossy"


@dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """A data set in memory: what any layout is written from.

    Attributes:
        train, test: the halves.
        galleries: searches by gallery size, where the data set has sizes.
        whole: searches of a data set without sizes, in all pictures or in those its protocol lists.
        subsets: searches for people who are hard to see.
        names: what the annotation calls person 0, 1, 2 ... of each half; None where nobody says.
        frames: number of a picture in its sequence, by name, where known.
        validation: pictures of a part that is neither half.
        renamed: by name of a picture its new one, where the layout asks for others.
    """

    train: tuple[Scene, ...]
    test: tuple[Scene, ...]
    galleries: Mapping[int, Trials] = field(default_factory=dict)
    whole: Trials | None = None
    subsets: Mapping[Subset, Trials] = field(default_factory=dict)
    names: Mapping[Split, Sequence[str] | None] = field(default_factory=dict)
    frames: Mapping[str, int] = field(default_factory=dict)
    validation: int = 0
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """Both halves."""
        return (*self.train, *self.test)

    @property
    def searches(self) -> Trials | None:
        """The searches that name the queries: of the smallest gallery, or of the whole."""
        return self.galleries[min(self.galleries)] if self.galleries else self.whole

    def with_scenes(self, change: Callable[[Scene], Scene]) -> Material:
        """The same with every scene changed."""
        return replace(self, train=tuple(map(change, self.train)), test=tuple(map(change, self.test)))

    def with_trials(self, change: Callable[[Trials], Trials]) -> Material:
        """The same with all searches changed."""
        return replace(
            self,
            galleries={size: change(trials) for size, trials in self.galleries.items()},
            whole=None if self.whole is None else change(self.whole),
            subsets={subset: change(trials) for subset, trials in self.subsets.items()},
        )


def read_material(dataset: Dataset, progress: Progress = silent) -> Material:
    """Everything that ``dataset`` holds.

    Raises:
        DatasetError: a part of it cannot be read.
    """
    left = len(other_scenes(dataset))
    galleries = {size: dataset.trials(size) for size in progress(dataset.gallery_sizes, "reading galleries")}
    subsets: dict[Subset, Trials] = {}
    for subset in get_args(Subset):
        trials = subset_if_there(dataset, subset)
        if trials is not None:
            subsets[subset] = trials
    frames = getattr(dataset, "frames", None)
    splits: tuple[Split, Split] = get_args(Split)
    return Material(
        train=dataset.scenes("train"),
        test=dataset.scenes("test"),
        galleries=galleries,
        whole=None if galleries else trials_if_there(dataset),
        subsets=subsets,
        names={split: person_names(dataset, split) for split in splits},
        validation=left,
        frames={} if frames is None else {**frames("train"), **frames("test")},
    )
