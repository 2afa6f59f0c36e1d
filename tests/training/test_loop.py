"""One stage of descent, on a model small enough to work out: accumulation, saving, refusing NaN."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from personsearch.errors import PersonSearchError
from personsearch.progress import silent
from personsearch.training.crops import CropBatch, CropBatches, cut_crops
from personsearch.training.loader import make_loader, received
from personsearch.training.log import Clock
from personsearch.training.loop import Stage, make_optimizer, run_stage
from personsearch.training.scenes import SceneBatch
from personsearch.training.settings import AugmentSettings, CropSettings, StageSettings
from personsearch.training.stages import part_of
from personsearch.training.state import load_state, save_state
from personsearch.training.team import gather_team


class Lines:
    """Step -> 8 points of a plane, as a batch of two columns."""

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        rng = torch.Generator().manual_seed(step)
        x = torch.randn(8, 3, generator=rng)
        return x, x @ torch.tensor([1.0, -2.0, 0.5]) + 1


def squares(network: nn.Module, batch, device) -> dict[str, torch.Tensor]:
    x, y = batch
    return {"square": ((network(x).squeeze(1) - y) ** 2).mean()}


def pairs(batch, index: int, parts: int):
    return tuple(column[index::parts] for column in batch)


def stage(folder: Path, losses=squares, batches=None, save_seconds: float = 1e9, **changes) -> Stage:
    folder.mkdir(exist_ok=True)
    settings = StageSettings(steps=25, batch=8, rate=0.05)
    return Stage(
        name="lines",
        number=2,
        settings=dataclasses.replace(settings, **changes),
        batches=batches or Lines(),
        losses=losses,
        part=pairs,
        labelled=lambda batch: 1,
        folder=folder,
        seed=0,
        workers=0,
        save_seconds=save_seconds,
    )


def plane() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(3, 1)


def descend(what: Stage, network: nn.Module | None = None, state=None, progress=silent) -> nn.Module:
    network = network or plane()
    run_stage(what, network, gather_team("cpu", "fp32"), state, progress)
    return network


def same(a: nn.Module, b: nn.Module, atol: float = 1e-6) -> None:
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        torch.testing.assert_close(x, y, atol=atol, rtol=0)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_descent_against_a_plain_loop(tmp_path, optimiser: str) -> None:
    """The same optimiser of torch, stepped by hand, with the rate of each step."""
    what = stage(tmp_path, optimiser=optimiser, schedule="cosine", warmup=5, clip=1.0, decay=0.01)
    ours = descend(what)
    slow = plane()
    if optimiser == "sgd":
        descent = torch.optim.SGD(slow.parameters(), lr=1.0, momentum=0.9, weight_decay=0.01)
    else:  # weights decay, the bias does not
        groups = [
            {"params": [slow.weight], "weight_decay": 0.01},
            {"params": [slow.bias], "weight_decay": 0.0},
        ]
        descent = torch.optim.AdamW(groups, lr=1.0)
    for step in range(25):
        for group in descent.param_groups:
            group["lr"] = what.settings.rate_at(step)
        descent.zero_grad()
        squares(slow, Lines()[step], None)["square"].backward()
        nn.utils.clip_grad_norm_(slow.parameters(), 1.0)
        descent.step()
    same(ours, slow)
    assert (slow.weight - plane().weight).abs().max() > 0.1


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_accumulated_parts_are_the_whole_batch(tmp_path, parts: int) -> None:
    same(descend(stage(tmp_path / "a")), descend(stage(tmp_path / "b", accumulate=parts)), atol=1e-5)


def test_a_forgotten_division_would_be_seen(tmp_path) -> None:
    def doubled(network, batch, device):
        return {name: 2 * value for name, value in squares(network, batch, device).items()}

    with pytest.raises(AssertionError):
        same(descend(stage(tmp_path / "a")), descend(stage(tmp_path / "b", doubled, accumulate=2)), atol=1e-5)


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_parts_of_a_batch_hold_every_row_once_and_together(parts: int) -> None:
    n = 12
    crops = CropBatch(np.arange(n)[:, None], np.arange(n)[:, None] * 10, np.arange(n))
    rows = [np.array([i]) for i in range(n)]
    scenes = SceneBatch(torch.arange(n), [(i, i) for i in range(n)], rows, rows, rows)
    for batch in (crops, scenes):
        shares = [part_of(batch, i, parts) for i in range(parts)]
        assert all(type(s) is type(batch) for s in shares)
        rows = [int(v) for s in shares for v in np.ravel(s[-1])]
        assert sorted(rows) == list(range(n))
        assert {len(column) for s in shares for column in s} == {n // parts}
        for share in shares:
            for i, row in enumerate(np.ravel(share[-1])):
                for column, whole in zip(share, batch, strict=True):
                    assert np.array_equal(column[i], whole[int(row)])
    # People first, background last in a batch: every part gets its share of both.
    labels = CropBatch(np.zeros((8, 1)), np.zeros((8, 4)), np.array([0, 1, 2, 3, 9, 9, 9, 9]))
    assert all((part_of(labels, i, 4).labels == 9).sum() == 1 for i in range(4))


def stopping(at: int):
    """Progress that is interrupted before the ``at``-th step of this call."""

    def progress(items, label, *, total=None, done=0):
        for i, item in enumerate(items):
            if i == at:
                raise KeyboardInterrupt
            yield item

    return progress


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
@pytest.mark.parametrize("at", [0, 1, 13, 24])
def test_interrupted_and_resumed_is_uninterrupted(tmp_path, optimiser: str, at: int) -> None:
    straight = descend(stage(tmp_path / "a", optimiser=optimiser))
    what = stage(tmp_path / "b", save_seconds=0.0, optimiser=optimiser)
    with pytest.raises(KeyboardInterrupt):
        descend(what, progress=stopping(at))
    state = load_state(tmp_path / "b" / "state.pt")
    network = plane()
    if state is None:
        assert at == 0
    else:
        assert (state["stage"], state["step"]) == (2, at)
        network.load_state_dict(state["network"])
    same(descend(what, network, state), straight, atol=0)
    assert load_state(tmp_path / "b" / "state.pt")["stage"] == 3


def test_a_resume_that_forgets_the_momentum_would_be_seen(tmp_path) -> None:
    straight = descend(stage(tmp_path / "a"))
    what = stage(tmp_path / "b", save_seconds=0.0)
    with pytest.raises(KeyboardInterrupt):
        descend(what, progress=stopping(6))
    state = load_state(tmp_path / "b" / "state.pt")
    for slot in state["optimizer"]["state"].values():
        slot["momentum_buffer"].zero_()
    network = plane()
    network.load_state_dict(state["network"])
    with pytest.raises(AssertionError):
        same(descend(what, network, state), straight, atol=0)


def logged(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_log_has_the_same_lines_after_a_kill(tmp_path) -> None:
    what = stage(tmp_path, save_seconds=0.0)
    (tmp_path / "metrics.jsonl").write_text(
        json.dumps({"stage": 1, "step": 90})
        + "\n"
        + json.dumps({"stage": 2, "step": 19})
        + '\n{"stage": 2, "st'
    )
    with pytest.raises(KeyboardInterrupt):
        descend(what, progress=stopping(7))
    state = load_state(tmp_path / "state.pt")
    network = plane()
    network.load_state_dict(state["network"])
    descend(what, network, state)
    lines = logged(tmp_path)
    assert [(line["stage"], line["step"]) for line in lines] == [(1, 90), (2, 19), (2, 24)]
    assert lines[-1]["rate"] == 0.05
    assert lines[-1]["loss"] == pytest.approx(lines[-1]["square"])


def test_logged_losses_are_means_since_the_last_line(tmp_path) -> None:
    class Step:
        def __getitem__(self, step: int) -> float:
            return float(step)

    def steps(network, batch, device):
        return {"step": network(torch.zeros(1, 3)).sum() * 0 + batch, "two": torch.tensor(2.0)}

    what = dataclasses.replace(stage(tmp_path, steps, Step()), part=lambda batch, i, n: batch)
    descend(what)
    first, last = logged(tmp_path)
    assert (first["step"], last["step"]) != (first["loss"], last["loss"])
    assert first["loss"] == pytest.approx(2 + sum(range(20)) / 20)
    assert last["loss"] == pytest.approx(2 + sum(range(20, 25)) / 5)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_one_clear_error(tmp_path, value: float) -> None:
    def broken(network, batch, device):
        losses = squares(network, batch, device)
        return {
            **losses,
            "box": losses["square"] * 0 + (value if batch[0][0, 0] == Lines()[4][0][0, 0] else 0),
        }

    with pytest.raises(PersonSearchError, match="not finite at step 4") as caught:
        descend(stage(tmp_path, broken, save_seconds=0.0))
    assert "box" in str(caught.value)
    assert "learning rate" in caught.value.hint
    state = load_state(tmp_path / "state.pt")
    assert state["step"] == 4
    assert all(torch.isfinite(v).all() for v in state["network"].values())


def test_a_gradient_that_is_not_finite_is_one_clear_error(tmp_path) -> None:
    """The loss is, and its gradient is not: the square root of nothing. No step is made."""

    def steep(network, batch, device):
        off = network(batch[0]).sum()
        return {"root": (off - off).sqrt()}

    with pytest.raises(PersonSearchError, match="gradient is not finite at step 0") as caught:
        descend(stage(tmp_path, steep, clip=1.0))
    assert "learning rate" in caught.value.hint


def test_weights_that_are_not_finite_are_never_saved(tmp_path) -> None:
    """Without clipping nobody looks at gradients; what would be saved is looked at."""

    def steep(network, batch, device):
        off = network(batch[0]).sum()
        return {"root": (off - off).sqrt() if batch[0][0, 0] == Lines()[3][0][0, 0] else off * 0}

    with pytest.raises(PersonSearchError, match="no longer finite before step 4"):
        descend(stage(tmp_path, steep, save_seconds=0.0))
    state = load_state(tmp_path / "state.pt")
    assert state["step"] == 3
    assert all(torch.isfinite(v).all() for v in state["network"].values())


def test_batches_without_anybody_named_are_counted_and_said(tmp_path, caplog) -> None:
    """Every other batch of 25: an identity loss of 0 there must not pass for a good one."""
    steps = iter(range(99))
    what = dataclasses.replace(stage(tmp_path), labelled=lambda batch: next(steps) % 2)
    with caplog.at_level("INFO", logger="personsearch"):
        descend(what)
    assert [line["nameless_steps"] for line in logged(tmp_path)] == [10, 3]
    assert "nobody in the batch of step 0 has an identity" in caplog.text
    descend(stage(tmp_path / "named"))
    assert all("nameless_steps" not in line for line in logged(tmp_path / "named"))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize("at", ["write", "fsync", "replace"])
def test_a_full_disk_keeps_the_last_good_state(tmp_path, monkeypatch, at: str) -> None:
    """The sixth save finds no space, at whichever moment of it: the fifth is there, and is gone on from."""
    straight = descend(stage(tmp_path / "a"))
    what = stage(tmp_path / "b", save_seconds=0.0)
    full, saves = OSError(errno.ENOSPC, "No space left on device"), []
    original = {"fsync": os.fsync, "replace": Path.replace, "write": Path.open}[at]

    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, content):
            raise full

    def scarce(first, *arguments, **keywords):
        ours = first if isinstance(first, Path) else Path(f"/proc/self/fd/{first}").readlink()
        if "state.pt" in ours.name:
            saves.append(ours)
            if len(saves) == 6:
                if at == "write":
                    return Full(original(first, *arguments, **keywords))
                raise full
        return original(first, *arguments, **keywords)

    monkeypatch.setattr(
        *{"fsync": (os, "fsync"), "replace": (Path, "replace"), "write": (Path, "open")}[at], scarce
    )
    with pytest.raises(PersonSearchError, match="no space left"):
        descend(what)
    monkeypatch.undo()
    state = load_state(tmp_path / "b" / "state.pt")
    assert state["step"] == 5
    assert not list((tmp_path / "b").glob(".*.tmp"))
    network = plane()
    network.load_state_dict(state["network"])
    same(descend(what, network, state), straight, atol=0)
    assert [line["loss"] for line in logged(tmp_path / "a")] == [
        line["loss"] for line in logged(tmp_path / "b")
    ]


@pytest.mark.parametrize("content", [b"", b"garbage" * 50, b"PK\x03\x04" + b"0" * 80, b"\x80\x04N."])
def test_a_broken_state_is_one_clear_error(tmp_path, content: bytes) -> None:
    path = tmp_path / "state.pt"
    path.write_bytes(content)
    with pytest.raises(PersonSearchError, match=r"state\.pt") as caught:
        load_state(path)
    assert caught.value.hint


def test_a_truncated_state_and_one_that_would_run_code(tmp_path) -> None:
    path, ran = tmp_path / "state.pt", tmp_path / "ran"
    save_state(path, 1, 5, plane(), None)
    assert load_state(path)["step"] == 5
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(PersonSearchError):
        load_state(path)

    class Trap:
        def __reduce__(self):
            return (Path.touch, (ran,))

    torch.save({"stage": 1, "network": Trap()}, path)
    with pytest.raises(PersonSearchError):
        load_state(path)
    assert not ran.exists()


def test_a_kill_while_saving_keeps_the_old_state(tmp_path, monkeypatch) -> None:
    path = tmp_path / "state.pt"
    save_state(path, 1, 5, plane(), None)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        save_state(path, 1, 6, plane(), None)
    monkeypatch.undo()
    assert load_state(path)["step"] == 5
    assert [p.name for p in tmp_path.iterdir()] == ["state.pt"]


def test_every_step_draws_its_own_chance(tmp_path) -> None:
    """Dropout and sampling of a step come from seed, stage and step, not from what ran before."""
    drawn: list[float] = []

    def drawing(network, batch, device):
        drawn.append(torch.rand(1).item())
        return squares(network, batch, device)

    descend(stage(tmp_path / "a", drawing, steps=6))
    torch.manual_seed(123)
    descend(stage(tmp_path / "b", drawing, steps=6))
    assert drawn[:6] == drawn[6:]
    assert len(set(drawn)) == 6
    descend(dataclasses.replace(stage(tmp_path / "c", drawing, steps=6), seed=1))
    descend(dataclasses.replace(stage(tmp_path / "d", drawing, steps=6), number=1))
    assert len(set(drawn)) == 18


def test_frozen_layers_are_not_optimised() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1))
    network[0].requires_grad_(False)
    for kind in ("sgd", "adamw"):
        groups = make_optimizer(network, StageSettings(steps=1, batch=1, optimiser=kind)).param_groups
        assert {id(p) for g in groups for p in g["params"]} == {id(p) for p in network[1].parameters()}


def test_worker_processes_change_nothing(tmp_path) -> None:
    alone = descend(stage(tmp_path / "a", steps=4))
    same(descend(dataclasses.replace(stage(tmp_path / "b", steps=4), workers=1)), alone)


class Slow:
    """Batches that cost processor time."""

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        begun = time.process_time()
        while time.process_time() - begun < 0.02:
            pass
        return Lines()[step]


def test_the_processor_time_of_loaders_is_counted_once(tmp_path) -> None:
    """10 batches of at least 0.02 s, in the training process or in another: both say so."""
    for workers in (0, 1):
        what = stage(tmp_path / str(workers), batches=Slow(), steps=10)
        descend(dataclasses.replace(what, workers=workers))
        spent = sum(line["processor_seconds"] for line in logged(tmp_path / str(workers)))
        assert spent >= 0.2
        clock = Clock(2, what.settings, 1e9)
        clock.losses, clock.loaders = [{"a": 1.0}], 7.0
        assert 7 <= clock.line(0)["processor_seconds"] < 8


def test_speed_is_that_of_this_process_alone(tmp_path, monkeypatch) -> None:
    """Three losses of before a kill and one of now, in 2 s: 8 samples, not 32; the mean is over all four."""
    now = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    clock = Clock(2, stage(tmp_path).settings, 1e9, [{"a": 1.0}] * 3)
    now[0] = 102.0
    clock.losses.append({"a": 5.0})
    line = clock.line(3)
    assert (line["samples_per_s"], line["a"]) == (4.0, 2.0)


def same_batches(what: Stage, batches: CropBatches) -> None:
    steps, team = 0, gather_team("cpu", "fp32")
    loader = make_loader(batches, range(what.settings.steps), team, workers=what.workers, spawn=what.spawn)
    for step, (sent, seconds) in enumerate(loader):
        assert isinstance(sent.images.tensor, torch.Tensor)  # shared memory, not a pipe
        assert seconds > 0
        for ours, theirs in zip(received(sent), batches[step], strict=True):
            assert isinstance(ours, np.ndarray)
            assert np.array_equal(ours, theirs)
        steps += 1
    assert steps == what.settings.steps


def test_arrays_come_back_as_they_were_made(tmp_path, scenes) -> None:
    settings = CropSettings(stored=(64, 32), sizes=((64, 32),), keep_aspect=True)
    store = cut_crops(scenes, tmp_path, settings, identities=40, seed=1)
    batches = CropBatches(store, settings, AugmentSettings(), batch=8, seed=1, identities=40)
    same_batches(dataclasses.replace(stage(tmp_path / "run", batches=batches, steps=3), workers=1), batches)


@pytest.mark.long
def test_loader_processes_started_afresh_change_nothing(tmp_path, scenes) -> None:
    """By spawn, with real crops from their file."""
    settings = CropSettings(stored=(64, 32), sizes=((64, 32),), keep_aspect=True)
    store = cut_crops(scenes, tmp_path, settings, identities=40, seed=1)
    batches = CropBatches(store, settings, AugmentSettings(), batch=8, seed=1, identities=40)
    what = dataclasses.replace(stage(tmp_path / "run", batches=batches, steps=3), workers=2, spawn=True)
    same_batches(what, batches)


class Parts(nn.Module):
    """A network with the parts' names and nothing inside."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk, self.proposals = nn.Linear(3, 4), nn.Linear(3, 1)
        self.head = nn.ModuleDict(
            {"norm6": nn.BatchNorm1d(4), "fc8": nn.Linear(4, 1), "box": nn.Linear(4, 1)}
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.head["norm6"](self.trunk(x))
        return self.head["fc8"](hidden) + self.head["box"](hidden) + self.proposals(x)


def test_what_stage_1_has_taught_can_move_more_slowly(tmp_path) -> None:
    """One plain step of SGD: the known parts move a tenth of what they would, the new ones all of it."""
    moved = []
    for factor in (1.0, 0.1):
        network = Parts()
        before = {name: value.clone() for name, value in network.named_parameters()}
        descend(stage(tmp_path / str(factor), steps=1, decay=0.0, reid_rate=factor), network)
        moved.append({name: value.detach() - before[name] for name, value in network.named_parameters()})
    for name, whole in moved[0].items():
        if name.startswith(("head.norm6", "head.fc8")):
            torch.testing.assert_close(moved[1][name], whole * 0.1, atol=1e-6, rtol=1e-3)
        elif name.startswith(("head.box", "proposals")):
            torch.testing.assert_close(moved[1][name], whole, atol=1e-6, rtol=1e-3)
    assert any(whole.abs().max() > 1e-3 for whole in moved[0].values())


def test_frozen_norms_keep_their_statistics_and_the_stage_after_has_its_own(tmp_path) -> None:
    for frozen in (True, False):
        network = Parts()
        descend(stage(tmp_path / str(frozen), steps=3, freeze_head_norms=frozen), network)
        norm = network.head["norm6"]
        assert torch.equal(norm.running_mean, torch.zeros(4)) == frozen
        assert (norm.num_batches_tracked.item() == 0) == frozen
        assert not torch.equal(norm.weight, torch.ones(4))  # scale and shift still learn
