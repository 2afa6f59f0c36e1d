"""All six parts into one folder: what is finished is skipped, and nothing is mixed."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from personsearch.baselines.open import TRAINED
from personsearch.baselines.parts import save_part
from personsearch.errors import DatasetError, LockedError, UsageError
from personsearch.experiments import baseline_training
from personsearch.experiments.baseline_training import (
    PRESETS,
    baseline_preset,
    capacities,
    train_baselines,
)
from personsearch.files import WriterLock
from personsearch.types import Scene

SCENES = tuple(
    Scene(f"{i}.jpg", boxes=[[0, 0, 10, 30], [20, 0, 30, 30]], people=[i % 5, (i + 1) % 5]) for i in range(10)
)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In the place of the trainings: who was trained, in order; ``stop`` ends the one of that name."""
    calls: list[str] = []

    def trainings(scenes: Any, out: Path, settings: Any, device: str, progress: Any) -> dict[str, Any]:
        def of(kind: str) -> Any:
            def work(folder: Path) -> None:
                calls.append(kind)
                (out / "unfinished").mkdir(exist_ok=True)
                if kind in stop:
                    stop.remove(kind)
                    raise KeyboardInterrupt
                save_part(folder, kind, {}, {"a": np.zeros(1)})

            return work

        return {kind: of(kind) for kind in TRAINED}

    monkeypatch.setattr(baseline_training, "_trainings", trainings)
    return calls


stop: list[str] = []


def test_all_six_in_order_then_nothing(trained: list[str], tmp_path: Path) -> None:
    said: list[str] = []
    first = train_baselines(SCENES, tmp_path / "b", "tiny", say=said.append, source={"dataset": "x"})
    assert trained == list(TRAINED) == [part.kind for part in first.parts]
    assert said[0] == "acf: begins"
    assert not any(part.skipped for part in first.parts)
    assert not (tmp_path / "b" / "unfinished").exists()
    second = train_baselines(SCENES, tmp_path / "b", "tiny", say=said.append)
    assert trained == list(TRAINED)
    assert all(part.skipped for part in second.parts)
    assert [part.fingerprint for part in first.parts] == [part.fingerprint for part in second.parts]
    assert [part.seconds for part in first.parts] == [part.seconds for part in second.parts]
    book = json.loads((tmp_path / "b" / "baselines.json").read_text())
    assert book["data"]["checksum"]
    assert (book["preset"], book["source"]) == ("tiny", {"dataset": "x"})


def test_killed_it_goes_on_with_the_part_it_was_in(trained: list[str], tmp_path: Path) -> None:
    stop.append("kissme")
    with pytest.raises(KeyboardInterrupt):
        train_baselines(SCENES, tmp_path / "b", "tiny")
    assert trained == ["acf", "deep", "euclidean", "kissme"]
    assert (tmp_path / "b" / "unfinished").exists()  # shared steps stay for the next call
    train_baselines(SCENES, tmp_path / "b", "tiny")
    assert trained == ["acf", "deep", "euclidean", "kissme", "kissme", "bow", "idnet"]


def test_only_some_and_the_rest_later(trained: list[str], tmp_path: Path) -> None:
    some = train_baselines(SCENES, tmp_path / "b", "tiny", only=("idnet", "acf"))
    assert [part.kind for part in some.parts] == ["acf", "idnet"]
    train_baselines(SCENES, tmp_path / "b", "tiny", only=("bow", "acf"))
    assert trained == ["acf", "idnet", "bow"]


def test_detectors_need_no_identities_and_idnet_says_so_before_anything_is_trained(
    trained: list[str], tmp_path: Path
) -> None:
    nameless = tuple(dataclasses.replace(scene, people=np.full(2, -1)) for scene in SCENES)
    some = train_baselines(nameless, tmp_path / "b", "tiny", only=("acf",))
    assert (trained, some.capacity) == (["acf"], {})
    both = train_baselines(nameless, tmp_path / "b", "tiny", only=("acf", "deep"))
    assert trained == ["acf", "deep"]
    assert both.capacity == {"deep": capacities(SCENES, baseline_preset("tiny"))["deep"]}
    with pytest.raises(DatasetError, match="at least 2 identities, found 0"):
        train_baselines(nameless, tmp_path / "other", "tiny", only=("acf", "idnet"))
    assert trained == ["acf", "deep"]
    assert not (tmp_path / "other").exists()


def test_a_part_is_of_the_settings_it_was_begun_with(trained: list[str], tmp_path: Path) -> None:
    folder, settings = tmp_path / "b", baseline_preset("tiny")
    train_baselines(SCENES, folder, "tiny", only=("acf",), settings=settings)
    other = dataclasses.replace(settings, acf=dataclasses.replace(settings.acf, views=2))
    with pytest.raises(UsageError, match="acf was trained with other settings"):
        train_baselines(SCENES, folder, "tiny", only=("acf",), settings=other)
    train_baselines(SCENES, folder, "tiny", only=("bow",), settings=other)  # which is the same in both
    assert trained == ["acf", "bow"]
    book = json.loads((folder / "baselines.json").read_text())
    assert book["settings"]["acf"]["views"] == settings.acf.views
    del book["settings"]  # a folder from before they were noted: taken as it is
    (folder / "baselines.json").write_text(json.dumps(book))
    train_baselines(SCENES, folder, "tiny", only=("acf",), settings=other)
    assert trained == ["acf", "bow"]


def test_a_folder_belongs_to_one_preset_seed_and_data(trained: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "b"
    train_baselines(SCENES, folder, "tiny", only=("acf",))
    for scenes, preset, seed, what in (
        (SCENES, "demo", None, "preset"),
        (SCENES, "tiny", 3, "seed"),
        (SCENES[:-1], "tiny", None, "data"),
    ):
        with pytest.raises(UsageError, match=f"holds baselines of another {what}"):
            train_baselines(scenes, folder, preset, seed=seed, only=("acf",))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "photo.jpg").write_text("mine")
    with pytest.raises(UsageError, match=r"is not empty and holds no baselines \(photo.jpg\)"):
        train_baselines(SCENES, tmp_path / "other", "tiny")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["photo.jpg"]
    with pytest.raises(UsageError, match="is a file, not a folder"):
        train_baselines(SCENES, tmp_path / "other" / "photo.jpg", "tiny")
    (folder / "baselines.json").write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        train_baselines(SCENES, folder, "tiny")
    (folder / "baselines.json").write_text("{}")
    with pytest.raises(UsageError, match="holds no record"):
        train_baselines(SCENES, folder, "tiny")
    assert trained == ["acf"]


def test_two_at_once_are_refused(trained: list[str], tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    lock = WriterLock(tmp_path / "b" / "lock")
    try:
        with pytest.raises(LockedError):
            train_baselines(SCENES, tmp_path / "b", "tiny")
    finally:
        lock.release()
    assert trained == []


def test_names_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no baseline called 'gt'"):
        train_baselines(SCENES, tmp_path / "b", "tiny", only=("gt",))
    with pytest.raises(UsageError, match="no baseline is asked for"):
        train_baselines(SCENES, tmp_path / "b", "tiny", only=())
    with pytest.raises(UsageError, match="no preset 'vgg16'"):
        train_baselines(SCENES, tmp_path / "b", "vgg16")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_one_family(name: str) -> None:
    chosen = baseline_preset(name)
    assert chosen.kissme.dense == chosen.dense  # the shared steps are shared
    assert chosen.deep.model.network.parts == "detector"
    assert chosen.idnet.model.network.parts == "embedder"
    seeded = chosen.with_seed(9)
    seeds = [getattr(seeded, field.name).seed for field in dataclasses.fields(seeded)]
    assert seeds == [9] * 7
    assert seeded.kissme.dense == seeded.dense


def test_the_networks_sizes_stand_side_by_side() -> None:
    found = capacities(SCENES, baseline_preset("demo"))
    assert capacities(SCENES, baseline_preset("demo"), ("idnet", "bow")) == {
        "idnet": found["idnet"],
        "joint": found["joint"],
    }
    assert found["deep"] < found["idnet"] < found["joint"]
    assert found["idnet"] > 0.95 * found["joint"]  # "approximately the same as our framework" (paper 5.1)
