"""Where the files of CUHK-SYSU and of data sets in its layout lie, and what their variables are called."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from personsearch.datasets.dataset import Subset
from personsearch.datasets.matlab import Value, text
from personsearch.errors import DatasetError

IMAGE_FIELDS = ("imname", "nAppear", "box")
PERSON_FIELDS = ("idname", "nAppear", "scene")
ENTRY_FIELDS = ("imname", "idlocate", "ishard")
"""Fields of a picture, a person and an appearance, in the order in which cell arrays have them."""

_LONGEST = 255  # of one part of a path, in most file systems
_UNWRITABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, and what would break a line
_DRIVE = re.compile(r"[A-Za-z]:")


def _subsets() -> dict[Subset, tuple[Path, str]]:
    return {
        "occlusion": (Path("annotation/test/subset/Occlusion.mat"), "Occlusion1"),
        "low-resolution": (Path("annotation/test/subset/Resolution.mat"), "Test_Size"),
    }


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Names of folders, files and variables below the data set's own folder.

    Attributes:
        pictures: folder that the names of pictures start from.
        annotation, protocols: folders of the annotation, and of ``Train`` and ``TestG`` files.
        pool: file that names the test pictures; with ``{size}`` there is one per gallery size,
            and the test half is what all of them name together.
        train: file of the training people (variable ``Train``).
        train_listed: the training pictures are those that ``train`` names, not all that the
            pool leaves.
        cells: the people are cell arrays, one row a person, not struct arrays.
        gallery_size: the size that the field compares by.
        subsets: searches for people who are hard to see, per subset file and variable.
        visible: our own file of visible shares.
    """

    pictures: Path = Path("Image/SSM")
    annotation: Path = Path("annotation")
    protocols: Path = Path("annotation/test/train_test")
    pool: str = "annotation/pool.mat"
    train: str = "Train.mat"
    train_listed: bool = False
    cells: bool = False
    gallery_size: int = 100
    subsets: dict[Subset, tuple[Path, str]] = field(default_factory=_subsets)
    visible: Path = Path("annotation/visible.npz")

    @property
    def images(self) -> Path:
        """The file of all pictures and boxes (variable ``Img``)."""
        return self.annotation / "Images.mat"

    def gallery(self, size: int) -> Path:
        """The file of the searches in galleries of ``size`` (its variable is its stem)."""
        return self.protocols / f"TestG{size}.mat"

    def pool_of(self, size: int) -> Path:
        """The file of the pictures that galleries of ``size`` are drawn from (variable ``pool``)."""
        return Path(self.pool.format(size=size))

    @property
    def pools_differ(self) -> bool:
        """Whether every gallery size has a pool of its own."""
        return "{size}" in self.pool


CUHK_SYSU = Layout()


def picture_name(value: Value, where: str) -> str:
    """The name of a picture below the folder of pictures: parts joined by ``/``.

    Raises:
        DatasetError: it is no text, or would lead out of that folder on some system.

    >>> picture_name("tt0047396/shot_0.jpg", "Images.mat imname")
    'tt0047396/shot_0.jpg'
    >>> picture_name("../x.jpg", "Images.mat imname")
    Traceback (most recent call last):
    personsearch.errors.DatasetError: Images.mat imname: '../x.jpg' leads out of the folder of pictures
    """
    name = text(value, where)
    odd = "\\" in name or _DRIVE.match(name) or any(part in ("", ".", "..") for part in name.split("/"))
    if odd:
        raise DatasetError(
            f"{where}: {_shown(name)} leads out of the folder of pictures",
            hint="names are relative, with / between folders; mend the annotation",
        )
    unwritable = any(unicodedata.category(letter) in _UNWRITABLE for letter in name)
    if unwritable or any(len(part) > _LONGEST for part in name.split("/")):
        raise DatasetError(
            f"{where}: {_shown(name)} cannot be the name of a file", hint="mend the annotation"
        )
    return name


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 60 else name[:60] + "...")
