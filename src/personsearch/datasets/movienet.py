"""MovieNet-PS: people in films, in CUHK-SYSU's layout with other names.

What differs, as its authors' loader reads it: pictures lie in ``Image/FILM/...``, every gallery
size has a pool of its own, ``Train_app{N}.mat`` lists at most N appearances of everybody and by
them the training pictures, and its people are rows of a cell array.

Source: Qin et al., MovieNet-PS: a large-scale person search dataset in the wild, ICASSP 2023.
"""

from __future__ import annotations

import re
from pathlib import Path

from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.datasets.cuhk_sysu_layout import Layout
from personsearch.errors import DatasetError, UsageError


def movienet_layout(appearances: int) -> Layout:
    """Names of the files, training by ``Train_app{appearances}.mat``."""
    return Layout(
        pictures=Path("Image"),
        pool="annotation/pool_{size}.mat",
        train=f"Train_app{appearances}.mat",
        train_listed=True,
        cells=True,
        gallery_size=2000,
        subsets={},
    )


class MovieNet(CuhkSysu):
    """The data set in ``root``.

    The test half is everything that a pool or a query of the smallest gallery names. The field
    compares by a gallery of 2,000.

    Args:
        root: the folder with ``annotation/`` and ``Image/``.
        appearances: which ``Train_app`` file to learn from; None for the one with the most.

    Raises:
        UsageError: there is no such file.
        DatasetError: there is none at all, or ``root`` is no such folder.
    """

    def __init__(self, root: Path, appearances: int | None = None) -> None:
        folder = Path(root) / movienet_layout(0).protocols
        found = (re.fullmatch(r"Train_app(\d{1,9})\.mat", path.name) for path in folder.glob("*.mat"))
        there = sorted(int(match[1]) for match in found if match)
        if not there:
            raise DatasetError(
                f"{folder} holds no Train_app file", hint="Train_app10.mat and its like belong there"
            )
        if appearances is not None and appearances not in there:
            raise UsageError(
                f"{folder} has no Train_app{appearances}.mat", hint=f"there: {', '.join(map(str, there))}"
            )
        super().__init__(
            root, "movienet-ps", movienet_layout(there[-1] if appearances is None else appearances)
        )
