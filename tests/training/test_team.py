"""Two processes that train together against one that does it alone."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset
from personsearch.errors import UsageError
from personsearch.training import team as team_module
from personsearch.training.memory import SynchronisedNorm, synchronise_norms
from personsearch.training.settings import StageSettings
from personsearch.training.team import choose_precision, gather_team
from personsearch.training.train import train

PROGRAM = Path(__file__).with_name("train_program.py")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs fork")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def together(scenes, out: Path, settings, count: int = 2, program: str = "together") -> list[int | None]:
    """Exit codes of ``count`` processes that train one run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["personsearch.training.train"])
    port = free_port()
    processes = [
        context.Process(
            target=runpy.run_path,
            args=(str(PROGRAM),),
            kwargs={
                "init_globals": {"job": (scenes, out, settings, rank, count, port)},
                "run_name": program,
            },
        )
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        process.kill()
    return [process.exitcode for process in processes]


def of_loss(settings, identity: str, **stages):
    network = settings.model.network
    # Four classes of eleven are drawn: with all of them in, chance would have nothing to say.
    losses = dataclasses.replace(network.losses, identity=identity, k=4)
    model = dataclasses.replace(settings.model, network=dataclasses.replace(network, losses=losses))
    # SGD: what AdamW makes of a gradient that is 0 but for rounding (of a bias before a norm) is noise.
    plain = {"optimiser": "sgd", "rate": 0.05, "schedule": "step", "warmup": 0, "clip": 0.0}
    changed = {
        name: dataclasses.replace(getattr(settings, name), **{**plain, **what})
        for name, what in stages.items()
    }
    return dataclasses.replace(settings, model=model, **changed)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def close(a: Path, b: Path, *, but: tuple[str, ...] = ()) -> None:
    ours, theirs = weights(a), weights(b)
    assert ours.keys() == theirs.keys()
    for name in ours:
        if not name.endswith(but or ("nothing",)):
            torch.testing.assert_close(ours[name], theirs[name], atol=2e-4, rtol=1e-3, msg=name)


def far(scenes, tmp_path: Path, settings) -> float:
    """How far a weight moved: or that two runs end alike would mean little."""
    still = dataclasses.replace(settings, initial=dataclasses.replace(settings.initial, rate=0.0))
    train(scenes, tmp_path / "still", still, device="cpu")
    name = "head.fc8.weight"
    return float((weights(tmp_path / "still")[name] - weights(tmp_path / "one")[name]).abs().max())


def test_two_processes_are_one_on_crops(scenes, settings, tmp_path) -> None:
    """Stage 1 with norms over the whole batch: every number is that of one process."""
    one = of_loss(settings, "softmax", initial={"steps": 4}, joint={"steps": 0})
    one = dataclasses.replace(one, norms="synchronised")
    assert together(scenes, tmp_path / "two", one) == [0, 0]
    train(scenes, tmp_path / "one", one, device="cpu")
    close(tmp_path / "one", tmp_path / "two")
    assert far(scenes, tmp_path, one) > 0.01
    said = json.loads((tmp_path / "two" / "environment.json").read_text())
    assert said["processes"] == 2
    a, b = ((tmp_path / n / "metrics.jsonl").read_text().splitlines() for n in ("one", "two"))
    for x, y in zip(map(json.loads, a), map(json.loads, b), strict=True):
        assert x["loss"] == pytest.approx(y["loss"], abs=2e-4)


@pytest.mark.parametrize("steps", [0, 1])
def test_whoever_comes_late_to_what_the_leader_wrote_does_the_same(scenes, settings, tmp_path, steps) -> None:
    """Else one waits for a word that the other has not got to say, and both for ever."""
    wanted = of_loss(settings, "rss", initial={"steps": steps}, joint={"steps": 1})
    assert together(scenes, tmp_path / "two", wanted, program="late") == [0, 0]


@pytest.mark.parametrize("identity", ["rss", "softmax"])
def test_two_processes_are_one_that_accumulates_twice(scenes, settings, tmp_path, identity: str) -> None:
    """Both stages, chance and all: each process's part of a batch draws what that part draws alone.

    With norms of its own each process has seen its own share; running statistics are the mean of
    both, which one process that takes the parts one after the other does not have.
    """
    stages = {"initial": {"steps": 2}, "joint": {"steps": 3, "freeze_head_norms": False}}
    wanted = of_loss(settings, identity, **stages)
    assert together(scenes, tmp_path / "two", wanted) == [0, 0]
    twice = {name: {**what, "accumulate": 2} for name, what in stages.items()}
    train(scenes, tmp_path / "one", of_loss(settings, identity, **twice), device="cpu")
    close(tmp_path / "one", tmp_path / "two", but=("running_mean", "running_var", "num_batches_tracked"))


def test_a_table_of_people_is_shared(scenes, settings, tmp_path) -> None:
    """OIM on two processes: the table has rows of people whom only the second has seen.

    That two tables stay equal to one is the loss's own test; here it is given its processes.
    """
    wanted = of_loss(settings, "oim", initial={"steps": 0}, joint={"steps": 1, "rate": 1e-3})
    wanted = dataclasses.replace(wanted, validation_identities=0)
    assert together(scenes, tmp_path / "two", wanted) == [0, 0]
    assert together(scenes, tmp_path / "one", wanted, count=1) == [0]
    table, alone = (weights(tmp_path / name)["matching.table"] for name in ("two", "one"))
    assert table.any(dim=1).sum() == alone.any(dim=1).sum() == 6  # two scenes of three named people


@pytest.mark.long
def test_torchrun_trains_from_the_command_line(tmp_path) -> None:
    """As anybody would: two processes, one answer on standard output, and a resume by one process alone."""
    data = make_dataset(
        tmp_path / "data",
        dataclasses.replace(preset("tiny"), train_identities=16, train_scenes=20),
        workers=1,
    )
    begun = [
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "personsearch",
        "train",
    ]
    flags = ["--dataset", "synthetic", "--root", str(data), "--preset", "compact-tiny", "--device", "cpu"]
    line = [
        sys.executable,
        *begun,
        *flags,
        "--out",
        str(tmp_path / "run"),
        "--sync-norms",
        "--progress",
        "none",
    ]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (answer,) = done.stdout.splitlines()
    assert json.loads(answer)["schema"] == "personsearch.train/1"
    assert json.loads((tmp_path / "run" / "environment.json").read_text())["processes"] == 2


def test_after_a_run_the_processes_part_before_python_ends(scenes, settings, tmp_path, monkeypatch) -> None:
    """No thread of the exchange is left that could want Python's lock, and abort without it."""
    teams, at_exit = [], []
    monkeypatch.setattr(team_module.Team, "part_at_exit", lambda team: teams.append(team))
    few = {name: dataclasses.replace(getattr(settings, name), steps=1) for name in ("initial", "joint")}
    train(scenes, tmp_path / "run", dataclasses.replace(settings, **few), device="cpu")
    (alone,) = teams
    monkeypatch.undo()
    monkeypatch.setattr(team_module.atexit, "register", at_exit.append)
    alone.part_at_exit()
    assert at_exit == []  # nobody to part from
    two = dataclasses.replace(alone, accelerator=SimpleNamespace(num_processes=2))
    two.part_at_exit()
    (act,) = at_exit

    threads = psutil.Process().num_threads
    before = threads()
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    assert threads() > before
    act()
    assert threads() <= before
    assert not torch.distributed.is_initialized()
    act()  # somebody has parted already


def test_an_error_of_one_is_the_error_of_all(scenes, settings, tmp_path) -> None:
    (tmp_path / "settings.json").write_text("{}")
    assert together(scenes, tmp_path, settings) == [1, 1]


@pytest.mark.parametrize(
    ("batch", "accumulate", "count", "parts"), [(8, 1, 2, 2), (12, 4, 3, 6), (12, 3, 1, 3)]
)
def test_parts_by_hand(batch: int, accumulate: int, count: int, parts: int) -> None:
    assert StageSettings(steps=1, batch=batch, accumulate=accumulate).parts(count) == parts


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(UsageError, match="batch of 3"):
        StageSettings(steps=1, batch=3).parts(2)


def test_a_synchronised_norm_of_one_process_is_torchs() -> None:
    for kind, shape in ((nn.BatchNorm1d, (7, 5)), (nn.BatchNorm2d, (3, 5, 4, 2))):
        torch.manual_seed(0)
        network = nn.Sequential(kind(5))
        nn.init.uniform_(network[0].weight)
        x = torch.randn(shape) * 3 + 1
        slow = kind(5)
        slow.load_state_dict(network[0].state_dict())
        synchronise_norms(network)
        assert isinstance(network[0], SynchronisedNorm)
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        for _ in range(2):
            ours, theirs = network(a), slow(b)
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        weight = torch.rand_like(ours)
        (ours * weight).sum().backward()
        (theirs * weight).sum().backward()
        torch.testing.assert_close(a.grad, b.grad, atol=1e-5, rtol=1e-4)
        for name, value in slow.state_dict().items():
            torch.testing.assert_close(network.state_dict()[f"0.{name}"], value, atol=1e-5, rtol=1e-5)
        network.eval(), slow.eval()
        assert torch.equal(network(x), network[0](x))
        torch.testing.assert_close(network(x), slow(x), atol=1e-5, rtol=1e-5)


def test_precision_is_what_was_asked_for() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("fp32", cpu) == "no"
    assert choose_precision("bf16", cpu) == "bf16"
    assert choose_precision("auto", cpu) in ("no", "bf16")
    assert choose_precision("fp16", torch.device("cuda", 1)) == "fp16"
    with pytest.raises(UsageError, match="fp16"):
        choose_precision("fp16", cpu)


def test_the_number_of_a_device_is_respected(monkeypatch) -> None:
    """ "cuda:1" is cuda:1 for every tensor that says "cuda" too, not cuda:0."""
    chosen: list[torch.device] = []

    class Alone:
        num_processes, process_index, scaler = 1, 0, None

        def __init__(self, **_: object) -> None:
            pass

    monkeypatch.setattr(team_module, "choose_device", torch.device)
    monkeypatch.setattr(team_module, "Accelerator", Alone)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    assert gather_team("cuda:1", "fp32").device == torch.device("cuda", 1)
    assert gather_team("cuda", "fp32").device == torch.device("cuda", 3)
    assert chosen == [torch.device("cuda", 1), torch.device("cuda", 3)]
    monkeypatch.setattr(Alone, "num_processes", 2)
    with pytest.raises(UsageError, match="cuda:1"):
        gather_team("cuda:1", "fp32")
