"""The report from its own raw numbers: the same as it was, and one line for what is no report."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personsearch.errors import InputError, UsageError
from personsearch.experiments.reproduction.again import read_numbers, report_from
from personsearch.experiments.reproduction.anatomy import walk
from personsearch.experiments.reproduction.page import write_blocks
from personsearch.experiments.reproduction.pipeline import ITEMS, Reproduction, stages_of
from personsearch.experiments.reproduction.sizes import size_called
from personsearch.experiments.reproduction.workshop import Asked
from personsearch.model.presets import compact_tiny


def load(name: str) -> np.ndarray:
    picture = np.full((120, 160, 3), 180, np.uint8)
    picture[10:60, 10:30] = (30, 60, 200)
    return picture


@pytest.fixture(scope="module")
def report(fresh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report as a run leaves it."""
    network = {
        "preset": "tiny",
        "picture": [160, 120],
        **walk(dataclasses.replace(compact_tiny(), identities=9), (160, 120)),
    }
    everything = {**fresh(), "network": network}
    stages = [stage.name for stage in stages_of(tuple(ITEMS))]
    results = {name: everything.get(name, {"fingerprint": name}) for name in stages}
    made = Reproduction(
        asked=Asked(dataset="synthetic", root=Path("somewhere"), size=size_called("medium"), seeds=(0, 1)),
        items=tuple(ITEMS),
        results=results,
        seconds={name: 60.0 + i for i, name in enumerate(stages)},
        by=dict.fromkeys(stages, "personsearch 0.0.9"),
    )
    return write_blocks(made, tmp_path_factory.mktemp("report") / "report", load)


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_report_comes_out(report: Path, tmp_path: Path) -> None:
    made, folder = report_from(report / "numbers.json", tmp_path / "again")
    assert folder == tmp_path / "again"
    assert "--root somewhere" in made.command
    assert files(folder) == files(report)


def test_only_some_of_it_and_pictures_that_are_not_there(report: Path, tmp_path: Path) -> None:
    file = tmp_path / "alone.json"
    file.write_bytes((report / "numbers.json").read_bytes())
    made, folder = report_from(file, tmp_path / "out", ("fig5", "fig1"))
    assert made.items == ("fig1", "fig5")
    assert sorted(path.name for path in (folder / "figures").iterdir()) == ["fig5.png"]
    text = (folder / "reproduction.md").read_text()
    assert "This figure shows pictures of the data set and is made only where they are to hand." in text
    assert "## Table 2" not in text
    few = folder / "numbers.json"
    with pytest.raises(UsageError, match="these numbers hold no table2"):
        read_numbers(few, ("table2",))
    assert read_numbers(few).items == ("fig1", "fig5")


def drop(values: dict[str, Any], *path: str) -> dict[str, Any]:
    """``values`` without the entry at the end of ``path``."""
    if len(path) == 1:
        return {key: value for key, value in values.items() if key != path[0]}
    return {**values, path[0]: drop(values[path[0]], *path[1:])}


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (lambda values: None, "cannot be read as JSON"),
        (lambda values: [1], "holds no numbers of a report"),
        (lambda values: {**values, "schema": "personsearch.evaluation/1"}, "holds no numbers of a report"),
        (lambda values: drop(values, "seeds"), "damaged results .*seeds"),
        (lambda values: drop(values, "results", "gallery"), "damaged results .*gallery"),
        (lambda values: {**values, "results": {**values["results"], "speed": 4}}, "damaged results"),
        (lambda values: drop(values, "results", "speed", "ratio"), "damaged results .*ratio"),
        (lambda values: drop(values, "results", "table2", "cells", "acf+bow"), "damaged results .*acf"),
        (lambda values: {**values, "items": 7}, "damaged results"),
    ],
)
def test_what_is_no_report_is_refused_and_nothing_written(report: Path, tmp_path: Path, damage, line) -> None:
    values = damage(json.loads((report / "numbers.json").read_text()))
    file = tmp_path / "numbers.json"
    file.write_text("{" if values is None else json.dumps(values))
    with pytest.raises(InputError, match=line) as caught:
        report_from(file, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_missing_and_a_place_that_is_taken(report: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        report_from(tmp_path / "none.json", tmp_path / "out")
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        report_from(report / "numbers.json", tmp_path / "out")
