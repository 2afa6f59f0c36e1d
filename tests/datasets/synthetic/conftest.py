from __future__ import annotations

from pathlib import Path

import pytest

from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.photo import Tiles, make_tiles
from personsearch.datasets.synthetic.settings import SyntheticSettings


@pytest.fixture(scope="session")
def small() -> SyntheticSettings:
    """A benchmark of 18 pictures the size of stamps."""
    return SyntheticSettings(
        seed=3,
        train_identities=5,
        train_scenes=8,
        test_identities=6,
        test_scenes=10,
        size=(200, 150),
        bystanders=1.5,
        gallery_sizes=(6, 8, 50),
        twin_share=0.6,
        smallest=18,
    )


@pytest.fixture(scope="session")
def tiles() -> Tiles:
    return make_tiles()


@pytest.fixture(scope="session")
def made(small: SyntheticSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("generated") / "root", small, workers=1)
