"""Galleries of a few people described by few numbers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import FileState
from personsearch.types import Detections

MODEL = "a" * 64


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """The folder that pictures are said to be in."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    return folder


@pytest.fixture
def new_gallery(tmp_path: Path, pictures: Path) -> Callable[..., Gallery]:
    """Makes a gallery open for writing, with ``pictures`` as its source."""

    def make(dim: int = 3, similarity: str = "euclidean", name: str = "gallery", **more: object) -> Gallery:
        gallery = Gallery.create(tmp_path / name, MODEL, dim, similarity, **more)
        gallery.add_source(pictures)
        return gallery

    return make


@pytest.fixture
def state(pictures: Path) -> Callable[..., FileState]:
    """Says which file of ``pictures`` is meant; its content is called after it."""

    def make(gallery: Gallery, name: str, content: str | None = None, mtime_ns: int = 1) -> FileState:
        place = gallery.place(pictures / name)
        assert place is not None
        return FileState(place=place, size=10, mtime_ns=mtime_ns, sha256=content or f"sha of {name}")

    return make


@pytest.fixture
def seen() -> Callable[..., Detections]:
    """People with these embeddings; person i has the box (i, i, i + 10, i + 20)."""

    def make(*embeddings: list[float]) -> Detections:
        boxes = [[i, i, i + 10, i + 20] for i in range(len(embeddings))]
        return Detections(boxes, np.linspace(0.9, 0.5, len(embeddings)), np.array(embeddings, np.float32))

    return make
