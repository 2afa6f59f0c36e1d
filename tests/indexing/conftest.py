"""A folder of small pictures and a searcher that sees coloured people in them."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_colour_searcher = runpy.run_path(str(Path(__file__).with_name("colour_searcher.py")))
_films = runpy.run_path(str(Path(__file__).parents[1] / "media" / "films.py"))


@pytest.fixture
def new_searcher() -> Callable[..., Any]:
    """Makes a searcher; ``looked_at`` says which pictures it was given."""
    maker: Callable[..., Any] = _colour_searcher["ColourSearcher"]
    return maker


@pytest.fixture
def draw() -> Callable[..., Path]:
    """Writes a JPEG with one block for each colour."""
    draw: Callable[..., Path] = _colour_searcher["draw"]
    return draw


@pytest.fixture
def film() -> Callable[..., Path]:
    """Encodes a film; see tests/media/films.py."""
    maker: Callable[..., Path] = _films["film"]
    return maker


@pytest.fixture
def album(tmp_path: Path, draw: Callable[..., Path]) -> Path:
    """Three pictures: red and green people, a blue person, nobody."""
    folder = tmp_path / "album"
    draw(folder / "a.jpg", (250, 0, 0), (0, 250, 0))
    draw(folder / "sub" / "b.jpg", (0, 0, 250))
    draw(folder / "nobody.jpg")
    return folder
