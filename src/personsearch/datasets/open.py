"""A data set by the name that people type."""

from __future__ import annotations

from pathlib import Path

from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.datasets.dataset import Dataset
from personsearch.errors import DatasetError, UsageError

NAMES = ("cuhk-sysu", "synthetic")


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
    if not root.is_dir():
        raise DatasetError(f"{root} is not a folder", hint="give the data set's own folder with --root")
    return CuhkSysu(root, name=name)
