"""What a data set has beyond what every one has: names of its people, subsets, sources of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, get_args, runtime_checkable

from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.datasets.cuhk_sysu_layout import PERSON_FIELDS
from personsearch.datasets.cuhk_sysu_tables import read_searches
from personsearch.datasets.dataset import Dataset, Split, Subset
from personsearch.datasets.matlab import columns, read_variable, text
from personsearch.errors import UsageError
from personsearch.types import Array, Scene, Trials


@runtime_checkable
class NamesPeople(Protocol):
    """A reader that knows what its annotation calls each person's number."""

    def raw_ids(self, split: Split) -> Array:
        """(n,) the annotation's own name or number of person 0, 1, 2 ... of that half."""
        ...


def person_names(dataset: Dataset, split: Split) -> list[str] | None:
    """What the annotation calls person 0, 1, 2 ... of a half; None where the reader does not say.

    The numbers of our readers start anew in each half, so only these names show who is in both.

    Raises:
        DatasetError: the annotation cannot be read.
    """
    if isinstance(dataset, NamesPeople):
        return [str(name) for name in dataset.raw_ids(split)]
    if isinstance(dataset, CuhkSysu):
        names = _names_in_matlab(dataset, split)
        return names if all(names) else None
    return None


def _names_in_matlab(dataset: CuhkSysu, split: Split) -> list[str]:
    """``idname`` of the rows of ``Train.mat``, or of the queries; empty where there is none."""
    layout = dataset.layout
    if split == "test":
        size = min(dataset.gallery_sizes, default=layout.gallery_size)
        return list(read_searches(dataset.root / layout.gallery(size), f"TestG{size}").query_id)
    where = layout.train
    people = read_variable(dataset.root / layout.protocols / where, "Train")
    (names,) = columns(people, ("idname",), where, PERSON_FIELDS)
    return [text(name, f"{where} idname") for name in names]


def subsets(dataset: Dataset) -> tuple[Subset, ...]:
    """The subsets of hard queries that may be there; of CUHK-SYSU's layout, those with a file."""
    known: tuple[Subset, ...] = get_args(Subset)
    if isinstance(dataset, CuhkSysu):
        return tuple(s for s in known if (dataset.root / dataset.layout.subsets[s][0]).is_file())
    return known


def subset_if_there(dataset: Dataset, subset: Subset) -> Trials | None:
    """The searches of a subset, or None where the data set has no such one.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        return dataset.subset_trials(subset) if subset in subsets(dataset) else None
    except UsageError:
        return None


def trials_if_there(dataset: Dataset) -> Trials | None:
    """The searches that name the queries: of the smallest gallery, or of the whole; None without any.

    Raises:
        DatasetError: they cannot be read.
    """
    try:
        return dataset.trials(min(dataset.gallery_sizes, default=None))
    except UsageError:
        return None


def other_scenes(dataset: Dataset) -> tuple[Scene, ...]:
    """Pictures of a validation part, which is neither half: COCO and MOT may have one.

    Raises:
        DatasetError: they cannot be read.
    """
    from personsearch.datasets.coco import CocoPersons
    from personsearch.datasets.mot import MotSequences

    if not isinstance(dataset, CocoPersons | MotSequences):
        return ()
    known = {scene.name for scene in dataset.scenes("test")}
    return tuple(scene for scene in dataset.scenes("val") if scene.name not in known)


def sources(dataset: Dataset) -> dict[str, str] | None:
    """By name of a picture what it comes from, where the annotation itself says so; else None.

    The published CUHK-SYSU does not say which pictures are of the street and which of films.
    """
    known = getattr(dataset, "sources", None)
    return dict(known) if isinstance(known, Mapping) else None
