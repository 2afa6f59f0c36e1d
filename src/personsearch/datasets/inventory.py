"""What a data set has beyond what every one has: names of its people, subsets, sources of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, get_args, runtime_checkable

from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.datasets.cuhk_sysu_layout import PERSON_FIELDS
from personsearch.datasets.cuhk_sysu_tables import read_searches
from personsearch.datasets.dataset import Dataset, Part, Split, Subset
from personsearch.datasets.matlab import columns, read_variable, text
from personsearch.datasets.searches import NobodyToFind
from personsearch.errors import UsageError
from personsearch.types import Array, Scene, Trials


@runtime_checkable
class NamesPeople(Protocol):
    """A reader that knows what its annotation calls each person's number."""

    def raw_ids(self, split: Split) -> Array:
        """(n,) the annotation's own name or number of person 0, 1, 2 ... of that half."""
        ...


@runtime_checkable
class LeavesOut(Protocol):
    """A reader that leaves out boxes without an area, and says in which pictures."""

    def left_out(self, split: Split) -> Mapping[str, int]:
        """By name of a picture, how many."""
        ...


def boxes_left_out(dataset: Dataset, split: Part) -> Mapping[str, int]:
    """By name of a picture how many boxes without an area its reader leaves out.

    Raises:
        DatasetError: the annotation cannot be read.
    """
    return dataset.left_out(split) if isinstance(dataset, LeavesOut) else {}  # type: ignore[arg-type]


def boxes_named_otherwise(dataset: Dataset, split: Part) -> Mapping[str, int]:
    """By name of a picture how many boxes another field names than that of the data set: COCO alone.

    Raises:
        DatasetError: the annotation cannot be read.
    """
    from personsearch.datasets.coco import CocoPersons

    return dataset.named_otherwise(split) if isinstance(dataset, CocoPersons) else {}


def not_annotated(dataset: Dataset) -> tuple[str, ...]:
    """Sequences that are there without an annotation, and are not read: MOT alone."""
    from personsearch.datasets.mot import MotSequences

    return dataset.unannotated if isinstance(dataset, MotSequences) else ()


def person_names(dataset: Dataset, split: Part) -> list[str] | None:
    """What the annotation calls person 0, 1, 2 ... of a half; None where the reader does not say.

    The numbers of our readers start anew in each half, so only these names show who is in both.

    Raises:
        DatasetError: the annotation cannot be read.
    """
    if isinstance(dataset, NamesPeople):
        return [str(name) for name in dataset.raw_ids(split)]  # type: ignore[arg-type]
    if isinstance(dataset, CuhkSysu) and split != "val":
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
    except (UsageError, NobodyToFind):
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
