"""Weights beside a run: another run starts from them, and what they were on the way can be asked."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from personsearch import images
from personsearch.errors import InputError, UsageError
from personsearch.training import snapshots as snapshots_module
from personsearch.training.snapshots import INITIAL, load_snapshot, prune_snapshots, snapshots
from personsearch.training.train import train


def from_run(settings, run, *, identity: str = "rss", steps: int = 2, **changes):
    network = settings.model.network
    losses = dataclasses.replace(network.losses, identity=identity)
    return dataclasses.replace(
        settings,
        model=dataclasses.replace(settings.model, network=dataclasses.replace(network, losses=losses)),
        initial=dataclasses.replace(settings.initial, steps=0),
        joint=dataclasses.replace(settings.joint, steps=steps),
        initial_from=str(run),
        **changes,
    )


@pytest.mark.parametrize("identity", ["rss", "softmax", "oim"])
def test_losses_share_one_initial_point(run, scenes, settings, tmp_path, identity: str) -> None:
    """Before its first step each run is where the other's stage 1 ended, but for what that did not teach."""
    wanted = from_run(settings, run.folder, identity=identity, snapshots=(0, 2))
    out = train(scenes, tmp_path / "run", wanted, device="cpu")
    point, start = load_file(run.folder / INITIAL), load_file(snapshots(out)[0])
    taught = [name for name in start if name.startswith(("trunk.", "head."))]
    assert len(taught) > 20
    assert all(torch.equal(start[name], point[name]) for name in taught)
    assert ("head.classifier.weight" in start) == (identity != "oim")
    assert not any(
        torch.equal(load_file(out / "model.safetensors")[n], point[n]) for n in ("head.fc8.weight",)
    )
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert {line["stage"] for line in lines} == {2}


def test_a_run_that_goes_on_from_another_is_that_run(run, scenes, settings, tmp_path) -> None:
    """The same loss and seed from the point: the same model as the run that made it."""
    wanted = from_run(settings, run.folder, steps=settings.joint.steps)
    out = train(scenes, tmp_path / "run", wanted, device="cpu")
    ours, theirs = load_file(out / "model.safetensors"), load_file(run.folder / "model.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_point_that_does_not_fit_is_refused(run, scenes, settings, tmp_path) -> None:
    def refused(error: type[Exception], what: str, data=scenes, **changes) -> None:
        with pytest.raises(error, match=what):
            train(data, tmp_path / "run", from_run(settings, run.folder, **changes), device="cpu")
        for path in sorted((tmp_path / "run").glob("*")):
            path.unlink()

    refused(UsageError, "other people", data=scenes[::-1])
    refused(UsageError, "other people", seed=1)
    model = settings.model
    head = dataclasses.replace(model.network.head, hidden=16)
    small = dataclasses.replace(model, network=dataclasses.replace(model.network, head=head))
    wanted = dataclasses.replace(from_run(settings, run.folder), model=small)
    with pytest.raises(UsageError, match=r"head\.fc6"):
        train(scenes, tmp_path / "other", wanted, device="cpu")
    with pytest.raises(InputError, match="no initial point"):
        train(scenes, tmp_path / "none", from_run(settings, tmp_path), device="cpu")
    (tmp_path / INITIAL).write_bytes(b"junk")
    with pytest.raises(InputError, match="cannot be read"):
        train(scenes, tmp_path / "junk", from_run(settings, tmp_path), device="cpu")
    both = dataclasses.replace(settings, initial_from=str(run.folder))
    with pytest.raises(UsageError, match="stage 1"):
        train(scenes, tmp_path / "both", both, device="cpu")


def test_snapshots_are_searchers_and_can_be_deleted(run, scenes, settings, tmp_path) -> None:
    wanted = from_run(settings, run.folder, steps=4, snapshots=(1, 3, 4))
    out = train(scenes, tmp_path / "run", wanted, device="cpu")
    assert list(snapshots(out)) == [1, 3, 4]
    picture = images.load(scenes[0].path)
    rows = [load_snapshot(out, step, "cpu").embed(picture, scenes[0].boxes) for step in (1, 3)]
    assert not (rows[0] == rows[1]).all()
    assert load_snapshot(out, 1, "cpu").fingerprint != load_snapshot(out, 3, "cpu").fingerprint
    end, last = load_file(out / "model.safetensors"), load_file(snapshots(out)[4])
    assert all(torch.equal(end[name], last[name]) for name in end)
    assert prune_snapshots(out, keep=(3,)) == 2
    assert list(snapshots(out)) == [3]
    with pytest.raises(InputError, match="step 1") as caught:
        load_snapshot(out, 1)
    assert "3" in caught.value.hint
    assert train(scenes, out, wanted, device="cpu") == out  # finished as before


def test_a_step_that_does_not_exist_is_refused(settings) -> None:
    assert "25" in dataclasses.replace(settings, snapshots=(3, 25)).contradiction()


def test_a_kill_while_a_snapshot_is_written_leaves_none(tmp_path, monkeypatch, run, settings) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        snapshots_module.save_weights(tmp_path / "step-1.safetensors", torch.nn.Linear(1, 1))
    assert not list(tmp_path.iterdir())
