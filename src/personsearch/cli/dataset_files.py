"""Pictures that the commands write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.types import Array


def check_png(path: Path) -> None:
    """Raise UsageError unless a PNG can be called ``path``: asked before long work, not after."""
    if path.suffix.lower() != ".png":
        raise UsageError(f"{path} does not end in .png", hint="pictures are written as PNG")
    if path.is_dir():
        raise UsageError(f"{path} is a folder", hint="give the name of a file")


def write_png(path: Path, pixels: Array) -> None:
    """Write (h, w, 3) uint8 ``pixels`` to ``path``, whole or not at all."""
    from personsearch.files import write_bytes
    from personsearch.images import encode_png

    write_bytes(path, encode_png(pixels))
