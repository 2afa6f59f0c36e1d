"""A data set by its name; what cannot be opened gives one clear line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from personsearch.datasets.dataset import Dataset
from personsearch.datasets.open import NAMES, open_dataset
from personsearch.errors import DatasetError, PersonSearchError, UsageError


def test_an_unknown_name_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no data set called 'cuhk'") as caught:
        open_dataset("cuhk", tmp_path)
    assert all(name in caught.value.hint for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_root_a_file_and_an_empty_folder_are_said_in_one_line(name: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"\0")
    empty = tmp_path / "empty"
    empty.mkdir()
    for root in (tmp_path / "missing", file, empty):
        with pytest.raises(PersonSearchError) as caught:
            open_dataset(name, root).scenes("test")
        assert str(root) in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.hint
        assert caught.value.exit_code == 4


def test_each_layout_is_read_by_its_reader(tmp_path: Path) -> None:
    (tmp_path / "annotation").mkdir()
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations.json").write_text('{"images": [], "annotations": [], "categories": []}')
    for name in ("cuhk-sysu", "synthetic", "prw", "coco"):
        data = open_dataset(name, tmp_path)
        assert isinstance(data, Dataset)
        assert (data.name, data.root) == (name, tmp_path)
    assert open_dataset("coco", tmp_path / "annotations.json").root == tmp_path
    with pytest.raises(DatasetError):
        open_dataset("prw", tmp_path / "annotations.json")


def test_the_names_are_known_without_loading_anything_heavy() -> None:
    code = (
        "import sys, personsearch.datasets.open; sys.exit(any(m in sys.modules for m in ('numpy', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_the_command_line_offers_the_same_names() -> None:
    from personsearch.cli.options import DatasetName

    assert tuple(name.value for name in DatasetName) == NAMES
