"""A network small enough to run in milliseconds, and a picture for it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from personsearch.model.checkpoint import untrained_searcher
from personsearch.model.presets import ModelSettings, compact_tiny
from personsearch.model.searcher import NetworkSearcher
from personsearch.types import Picture


@pytest.fixture(scope="session")
def tiny_settings() -> ModelSettings:
    return dataclasses.replace(compact_tiny(), identities=5)


@pytest.fixture(scope="session")
def tiny_searcher(tiny_settings) -> NetworkSearcher:
    """Random weights; nobody may change them."""
    return untrained_searcher(tiny_settings, seed=0, device="cpu")


@pytest.fixture(scope="session")
def picture() -> Picture:
    """321 x 241: no side is a multiple of anything, so that padding and rounding take part."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (13, 17, 3), dtype=np.uint8)
    pixels = coarse.repeat(20, axis=0).repeat(20, axis=1)[:241, :321]
    noise = rng.integers(-20, 20, pixels.shape)
    return Picture(np.clip(pixels + noise, 0, 255).astype(np.uint8), name="patches")
