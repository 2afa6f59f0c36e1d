"""What a data set has to answer: its scenes, and the searches of its protocols."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from personsearch.protocols import Cameras
from personsearch.types import Scene, Trials

GallerySize = int | Literal["full"]
Split = Literal["train", "test"]
Part = Literal["train", "val", "test"]
"""A half, or the validation part that COCO and MOT may have beside them."""
Subset = Literal["occlusion", "low-resolution"]


@runtime_checkable
class Dataset(Protocol):
    """Annotated pictures in a train and a test half, and the searches made in the test half.

    Identities are renumbered by the reader and by nobody else: training people are
    ``0..C-1``, test people the index ``0..Q-1`` of their query, everybody without a name
    ``UNLABELLED``. The numbers of one half mean nothing in the other, even where (in PRW)
    training people walk through test pictures. Files are read when they are needed, not before.
    """

    @property
    def name(self) -> str:
        """What the data set is called."""
        ...

    @property
    def root(self) -> Path:
        """The folder it lies in."""
        ...

    @property
    def gallery_sizes(self) -> tuple[int, ...]:
        """Sizes of the gallery protocols that are on disk, smallest first; none where all are whole."""
        ...

    def scenes(self, split: Split) -> tuple[Scene, ...]:
        """Every annotated picture of one half, in the order of the annotation."""
        ...

    def trials(self, gallery_size: GallerySize | None = None, *, cameras: Cameras = "all") -> Trials:
        """The searches of one protocol.

        Args:
            gallery_size: pictures in each gallery, or ``"full"`` for all test pictures; None is
                what the field uses on this data set (CUHK-SYSU 100, others full).
            cameras: of which cameras the gallery's pictures are.

        Raises:
            UsageError: the data set has no such protocol (and what it has).
        """
        ...

    def subset_trials(self, subset: Subset) -> Trials:
        """The searches for people who are hard to see: occluded, or small."""
        ...
