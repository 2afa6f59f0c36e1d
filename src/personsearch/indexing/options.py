"""How sources are indexed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from personsearch.media.sampling import Sampling, every
from personsearch.media.times import TimeFrom


@dataclass(frozen=True, kw_only=True)
class IndexOptions:
    """How sources are indexed.

    Attributes:
        recursive: also the folders inside a folder.
        follow_links: also folders inside that are links.
        retry_failed: try files again that failed before and have not changed since; without it they
            are reported again, with the old reason.
        sampling: which frames of a video are looked at.
        camera: the name of the camera, instead of what files say.
        time_from: where the time comes from.
        near_duplicates: store near duplicates (see :mod:`personsearch.indexing.nearness`), too.
        within: refuse files that, links resolved, lie outside of this folder.
        jobs: threads that read and decode ahead of the model; 0 does one thing after the other.
    """

    recursive: bool = True
    follow_links: bool = False
    retry_failed: bool = False
    sampling: Sampling = field(default_factory=lambda: every("1s"))
    camera: str | None = None
    time_from: TimeFrom = field(default_factory=TimeFrom)
    near_duplicates: bool = False
    within: Path | None = None
    jobs: int = min(4, os.cpu_count() or 1)

    def __post_init__(self) -> None:
        if self.jobs < 0:
            raise ValueError(f"jobs cannot be {self.jobs}")
