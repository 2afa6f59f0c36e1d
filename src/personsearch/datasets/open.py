"""A data set by the name that people type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from personsearch.errors import DatasetError, UsageError

if TYPE_CHECKING:
    from personsearch.datasets.dataset import Dataset

NAMES = ("cuhk-sysu", "synthetic", "movienet-ps", "prw", "coco", "mot")
"""Every layout that can be read; the command line offers these words."""


def open_dataset(name: str, root: Path) -> Dataset:
    """The data set ``name`` lying in the folder ``root``; nothing is read yet but folder names.

    ``synthetic`` is what ``personsearch dataset make`` writes, in the layout of CUHK-SYSU.

    Raises:
        UsageError: there is no data set of that name.
        DatasetError: ``root`` is not a folder of that layout.
    """
    if name not in NAMES:
        raise UsageError(f"there is no data set called {name!r}", hint=f"one of: {', '.join(NAMES)}")
    root = Path(root)
    if not root.is_dir() and not (name == "coco" and root.is_file()):  # COCO is one file, sometimes
        raise DatasetError(f"{root} is not a folder", hint="give the data set's own folder with --root")
    # Inside the branches: each layout's libraries are imported by those who use it.
    if name == "movienet-ps":
        from personsearch.datasets.movienet import MovieNet

        return MovieNet(root)
    if name == "prw":
        from personsearch.datasets.prw import Prw

        return Prw(root)
    if name == "coco":
        from personsearch.datasets.coco import CocoPersons

        return CocoPersons(root)
    if name == "mot":
        from personsearch.datasets.mot import MotSequences

        return MotSequences(root)
    from personsearch.datasets.cuhk_sysu import CuhkSysu

    return CuhkSysu(root, name=name)
