"""What a generated benchmark is made of: every size and share is a setting."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from personsearch.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class SyntheticSettings:
    """Sizes and shares of one generated benchmark.

    The test split depends on ``seed``, the picture and the test settings only: two
    benchmarks that differ in their training settings share their test split to the byte.

    Attributes:
        seed: everything random follows from it.
        train_identities, train_scenes: labelled people and pictures to learn from.
        test_identities, test_scenes: people to look for, and the pool of pictures.
        size: (width, height) of the pictures in pixels.
        bystanders: mean number of unlabelled people a picture.
        gallery_sizes: protocols to write, where the pool is large enough for them.
        twin_share: share of identities that some bystander is dressed much like.
        occluded_share: share of queries of whom more than 40% is hidden.
        smallest: people lower than this many pixels are not annotated, and hardly ever drawn.
    """

    seed: int = 0
    train_identities: int = 600
    train_scenes: int = 1150
    test_identities: int = 300
    test_scenes: int = 440
    size: tuple[int, int] = (640, 480)
    bystanders: float = 5.0
    gallery_sizes: tuple[int, ...] = (50, 100, 500, 1000, 2000, 4000)
    twin_share: float = 0.25
    occluded_share: float = 0.065
    smallest: int = 50

    def __post_init__(self) -> None:
        for split in ("train", "test"):
            people, scenes = getattr(self, f"{split}_identities"), getattr(self, f"{split}_scenes")
            if people < 0 or scenes < 0 or (people > 0 and scenes < 2):
                raise UsageError(
                    f"{people} {split} identities need at least 2 scenes, got {scenes}",
                    hint=f"raise {split}_scenes",
                )
            if people * 6 > scenes * MOST_LABELLED:
                raise UsageError(
                    f"{people} {split} identities do not fit into {scenes} scenes",
                    hint=f"take at least {people} {split} scenes",
                )
        if self.test_identities < 1:
            raise UsageError("a benchmark needs somebody to look for", hint="raise test_identities")
        if min(self.size) < 120:
            raise UsageError(f"pictures of {self.size} are too small for people", hint="120 pixels or more")

    def of_split(self, split: str) -> tuple[int, int]:
        """(identities, scenes) of ``split``."""
        return getattr(self, f"{split}_identities"), getattr(self, f"{split}_scenes")

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON knows them."""
        return {**asdict(self), "size": list(self.size), "gallery_sizes": list(self.gallery_sizes)}


MOST_LABELLED = 8
"""No picture holds more labelled people than this."""
