"""Train a network by the paper's two stages: an initial point from crops, then whole scenes (4.2).

A run folder is a model folder plus ``settings.json``, ``state.pt`` (resume), ``metrics.jsonl``,
``environment.json``, ``initial.safetensors`` (the stage-1 point), ``lock`` and, where they were
asked for, ``best/``, ``snapshots/``, ``metrics.csv`` and ``tensorboard/``. Calling :func:`train`
again resumes an unfinished run and returns at once from a finished one.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from personsearch.errors import DatasetError, UsageError
from personsearch.files import WriterLock, write_json
from personsearch.model.checkpoint import load_network, save_model
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.presets import build_network
from personsearch.model.searcher import KINDS
from personsearch.model.weights import load_imagenet
from personsearch.progress import Progress, silent
from personsearch.training.card import model_card
from personsearch.training.folder import BEST, claim, label_checksum
from personsearch.training.log import check_logs, environment
from personsearch.training.loop import run_stage
from personsearch.training.memory import recompute_blocks, synchronise_norms
from personsearch.training.scenes import without_names
from personsearch.training.settings import TrainingSettings
from personsearch.training.snapshots import INITIAL, load_initial, save_weights
from personsearch.training.stages import crop_files, initial_stage, joint_stage
from personsearch.training.state import METRICS, STATE, load_state, read_lines, save_state
from personsearch.training.team import Team, gather_team
from personsearch.training.validation import HeldOut, calibrate, choose_validation, hold_out
from personsearch.types import Array, Embedder, Scene

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Plan:
    """A run before it begins: what is trained on whom.

    Attributes:
        settings: with the number of identities that the data have.
        scenes: all of them.
        known: those that are trained on, identities renumbered from 0.
        nameless: identities that lost their names, for calibration.
        held_out: whom validation looks for, if anybody.
    """

    settings: TrainingSettings
    scenes: Sequence[Scene]
    known: tuple[Scene, ...]
    nameless: Array
    held_out: HeldOut | None


def train(
    scenes: Sequence[Scene],
    out: Path | str,
    settings: TrainingSettings,
    *,
    device: str = "auto",
    progress: Progress = silent,
    source: Mapping[str, str] | None = None,
) -> Path:
    """Train on annotated scenes and return the finished run folder ``out``.

    Under ``torchrun`` every process calls this with the same arguments; the first one writes.

    Args:
        scenes: training scenes with their picture files; identities need not be contiguous.
        out: the run folder; resumed if it holds an unfinished run of the same settings.
        settings: see :mod:`personsearch.training.presets`.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...
        progress: told of every long step.
        source: where the scenes came from, in the caller's words, for the run folder.

    Raises:
        DatasetError: too few people in the scenes have an identity (of which a detector needs none), or
            a picture is missing.
        UsageError: ``out`` holds a run of other settings or data, or the settings contradict each other.
        LockedError: another process trains in ``out``.
    """
    out, plan = Path(out), make_plan(scenes, settings)
    settings = plan.settings
    check_logs(settings.logs)
    team = gather_team(device, settings.precision)
    locks: list[WriterLock | None] = []
    team.led(lambda: locks.append(claim(out, settings, scenes, source)))
    try:
        if team.any(bool(locks) and locks[0] is None):
            log.info("%s is finished; nothing to do", out)
        else:
            network = descend(plan, out, team, progress)
            team.led(lambda: _finish(plan, out, network, team, progress))
    finally:
        if locks and locks[0] is not None:
            locks[0].release()
    team.part_at_exit()
    return out


def make_plan(scenes: Sequence[Scene], settings: TrainingSettings) -> Plan:
    """Who is trained on, and who is held out.

    Raises:
        DatasetError: too few people have an identity, and the network is to learn some.
        UsageError: the settings contradict each other.
    """
    if settings.contradiction():
        raise UsageError(settings.contradiction(), hint="see personsearch train --help")
    nameless = choose_validation(scenes, settings.validation_identities, settings.seed)
    held_out, left = None, tuple(scenes)
    if settings.validation.every:
        held_out = hold_out(scenes, nameless, settings.validation, settings.seed)
        left = held_out.training(scenes)
    known = without_names(left, nameless)
    identities = 1 + max((int(s.people.max()) for s in known if len(s)), default=-1)
    # A detector knows nobody: whom it finds needs no name.
    if identities < 2 and settings.model.network.parts != "detector":
        raise DatasetError(
            f"training needs at least 2 identities, found {identities + len(nameless)}",
            hint="check the annotation files",
        )
    model = dataclasses.replace(settings.model, identities=identities)
    return Plan(dataclasses.replace(settings, model=model), scenes, known, nameless, held_out)


def descend(plan: Plan, out: Path, team: Team, progress: Progress) -> PersonSearchNetwork:
    """Both stages from wherever the run stands; the network as it is at their end."""
    settings = plan.settings
    team.led(lambda: write_json(out / "environment.json", environment(team)))
    state = load_state(out / STATE)
    team.any(False)  # everybody has read it before anybody goes on and writes the next one
    network = starting_network(plan, out, state)
    losses = settings.model.network.losses
    log.info(
        "%d identities; identity loss %s%s; precision %s",
        network.identities,
        losses.identity,
        f", K = min({losses.k}, C+1) = {network.k}" if losses.identity == "rss" else "",
        team.accelerator.mixed_precision,
    )
    number = 1 if state is None else int(state["stage"])
    if number == 1:
        if settings.initial.steps:
            team.led(lambda: crop_files(plan.known, out, settings, progress))
            stage = initial_stage(crop_files(plan.known, out, settings), out, settings)
            run_stage(stage, network, team, state, progress)
        else:
            team.led(lambda: save_state(out / STATE, 2, 0, network, None))
        number, state = 2, None
    # What a later run may start from. Without it (deleted, say) this run goes on all the same.
    at_point = number == 2 and (state is None or not state["step"])
    if settings.initial.steps and at_point:
        team.led(lambda: _keep_point(out / INITIAL, network, plan))
    if number == 2 and settings.joint.steps:
        stage = joint_stage(plan.known, plan.scenes, plan.held_out, out, settings, str(team.device))
        run_stage(stage, network, team, state, progress)
    return network.eval()


def _keep_point(path: Path, network: PersonSearchNetwork, plan: Plan) -> None:
    """Write the initial point, unless it is there: a question for the leader; others see the answer late."""
    if not path.exists():
        save_weights(path, network, labels=label_checksum(plan.known))


def starting_network(plan: Plan, out: Path, state: dict[str, Any] | None) -> PersonSearchNetwork:
    """The network with the weights that the run goes on from, computed as the settings wish."""
    settings = plan.settings
    torch.manual_seed(settings.seed)
    network = build_network(settings.model).to(memory_format=torch.channels_last)
    if settings.pretrained == "none":
        # The authors freeze conv1 and conv2 at ImageNet's weights; frozen noise serves nobody.
        network.trunk.learn_everything()
    if settings.norms == "synchronised":
        synchronise_norms(network)
    if state is not None:
        network.load_state_dict(state["network"])
    elif settings.initial_from is not None:
        load_initial(Path(settings.initial_from), network, label_checksum(plan.known))
    elif settings.pretrained == "imagenet":
        load_imagenet(network, settings.model.input)
    else:
        log.info("starting from random weights (no ImageNet weights were asked for)")
    if settings.checkpointing:
        recompute_blocks(network.trunk)
    if settings.compiled:
        network.trunk.compile(dynamic=True)
    return network


def _finish(plan: Plan, out: Path, network: PersonSearchNetwork, team: Team, progress: Progress) -> None:
    """Calibrate, write the model and its card, and clear away what only descent needed."""
    settings = plan.settings
    last = {name: value.detach().clone() for name, value in network.state_dict().items()}
    if (out / BEST).exists():
        best, _ = load_network(out / BEST)
        network.load_state_dict(best.state_dict())
        _write(plan, out, out / BEST, network, str(team.device), progress)
        if settings.validation.keep == "last":
            network.load_state_dict(last)
    _write(plan, out, out, network, str(team.device), progress)
    for leftover in ("crops.u8", "crops.json"):
        (out / leftover).unlink(missing_ok=True)


def _write(
    plan: Plan, run: Path, folder: Path, network: PersonSearchNetwork, device: str, progress: Progress
) -> None:
    """A model folder of the network as it stands, calibrated where it describes people."""
    model = plan.settings.model
    searcher = KINDS[model.network.parts](network, model, fingerprint="", device=device)
    calibration = None
    if isinstance(searcher, Embedder):
        calibration = calibrate(searcher, plan.scenes, plan.nameless, progress=progress)
    seconds = sum(float(entry["seconds"]) for entry in read_lines(run / METRICS))
    done = dataclasses.replace(plan.settings, validation_identities=len(plan.nameless))
    card = model_card(done, plan.scenes, calibration, seconds=seconds)
    save_model(folder, network, model, calibration=calibration, card=card)
