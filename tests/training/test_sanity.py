"""Looks before the long run: nothing written, and a few scenes learned by heart."""

from __future__ import annotations

import dataclasses

import pytest

from personsearch.errors import DatasetError, PersonSearchError
from personsearch.training.presets import preset
from personsearch.training.sanity import check_overfit, dry_run, overfit
from personsearch.training.settings import AugmentSettings, ValidationSettings
from personsearch.training.state import METRICS, logged_losses
from personsearch.training.train import train


def test_a_dry_run_says_what_would_be_and_writes_nothing(scenes, settings, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    wanted = dataclasses.replace(settings, validation=ValidationSettings(every=10, identities=2, pictures=8))
    tried = dry_run(scenes, wanted, device="cpu")
    assert list(tmp_path.iterdir()) == []
    assert (tried.device, tried.precision) == ("cpu", "fp32")
    assert [(s.steps, s.batch, s.passes) for s in tried.stages] == [(6, 8, 1), (24, 2, 1)]
    assert tried.scenes + tried.held_out == len(scenes)
    assert tried.held_out >= 2
    assert set(tried.stages[1].losses) == {"proposal_class", "proposal_box", "identity", "box", "person"}
    for stage in tried.stages:
        assert stage.step_seconds > 0
        assert stage.hours >= 0
        assert 0.05 < stage.memory_gib < 64
    assert tried.parameters == tried.learning > 10_000
    assert tried.settings.model.identities == tried.identities


def test_a_dry_run_fails_where_the_run_would(scenes, settings, tmp_path) -> None:
    gone = [dataclasses.replace(s, path=tmp_path / "gone.png") for s in scenes]
    with pytest.raises(PersonSearchError, match="gone"):
        dry_run(gone, settings, device="cpu")


def test_the_fullest_scenes_are_learned_and_nothing_varies(scenes) -> None:
    few = dataclasses.replace(scenes[2], people=[-1, -1, -1, -1])
    data = [scenes[0], few, *scenes[3:6]]
    chosen, wanted = overfit(data, preset("demo"), 3)
    assert [s.name for s in chosen] == [scenes[0].name, scenes[3].name, scenes[4].name]
    assert wanted.augment == AugmentSettings(flip=0.0, jitter=0.0)
    assert len(wanted.crops.sizes) == 1
    assert wanted.joint.batch == 3
    assert wanted.validation_identities == 0
    one, _ = overfit([few, scenes[0]], preset("demo"), 9)
    assert [s.name for s in one] == [scenes[0].name]
    with pytest.raises(DatasetError, match="names anybody"):
        overfit([few], preset("demo"), 1)
    _, paper = overfit(data, preset("vgg16"), 3)
    assert paper.crops.stored == paper.crops.sizes[0] == (224, 224)  # no window to move about in
    assert (paper.joint.batch, paper.initial.batch) == (2, 256)


def test_a_few_scenes_are_learned_by_heart(scenes, settings, tmp_path) -> None:
    """And a run that does not learn is told apart from one that does."""
    eager = dataclasses.replace(
        settings,
        initial=dataclasses.replace(settings.initial, steps=40, rate=5e-3),
        joint=dataclasses.replace(settings.joint, steps=60, rate=5e-3),
        save_seconds=1e9,
    )
    chosen, wanted = overfit(scenes, eager, 2)
    out = train(chosen, tmp_path / "run", wanted, device="cpu")
    found = check_overfit(out)
    assert found["stage 1"]["last"] < 0.6 * found["stage 1"]["first"]
    assert found["stage 2"]["last"] < 0.6 * found["stage 2"]["first"]
    assert logged_losses(out, 2)[-1] == found["stage 2"]["last"]
    lines = (out / METRICS).read_text().splitlines()
    (out / METRICS).write_text("\n".join([*lines[:3], lines[0].replace('"stage": 1', '"stage": 2')] * 2))
    with pytest.raises(PersonSearchError, match="by heart"):
        check_overfit(out)


def test_the_same_batch_every_time_without_variation(scenes, settings, tmp_path) -> None:
    from personsearch.training.stages import crop_files, initial_stage

    chosen, wanted = overfit(scenes, settings, 1)
    model = dataclasses.replace(wanted.model, identities=40)
    store = crop_files(chosen, tmp_path, dataclasses.replace(wanted, model=model))
    batches = initial_stage(store, tmp_path, dataclasses.replace(wanted, model=model)).batches
    seen = {}
    for step in range(6):
        batch = batches[step]
        for image, label, box in zip(batch.images, batch.labels, batch.boxes, strict=True):
            if label < 40:
                seen.setdefault(int(label), []).append((image.tobytes(), box.tobytes()))
    assert all(len(set(views)) == 1 for views in seen.values())
    assert any(len(views) > 1 for views in seen.values())
