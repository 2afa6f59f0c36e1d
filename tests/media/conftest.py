"""Films for tests of the sources."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_films = runpy.run_path(str(Path(__file__).with_name("films.py")))


@pytest.fixture
def film() -> Callable[..., Path]:
    """Encodes a film; see films.py."""
    maker: Callable[..., Path] = _films["film"]
    return maker


@pytest.fixture
def still() -> Callable[..., Any]:
    """A frame that says its number."""
    maker: Callable[..., Any] = _films["still"]
    return maker


@pytest.fixture
def number_of() -> Callable[..., int]:
    """Which still a decoded frame is."""
    maker: Callable[..., int] = _films["number_of"]
    return maker
