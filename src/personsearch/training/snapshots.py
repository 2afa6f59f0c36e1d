"""Weights kept beside a run: the initial point that other runs may start from, and snapshots on the way.

Weights only, each file whole or not there. A run needs none of them to go on: whoever is short of
space may delete them at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from personsearch.errors import InputError, UsageError
from personsearch.files import sha256_of, write_bytes, write_json
from personsearch.model.checkpoint import CONFIG, FORMAT, read_settings
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.presets import ModelSettings, build_network
from personsearch.model.searcher import NetworkSearcher

INITIAL, SNAPSHOTS = "initial.safetensors", "snapshots"
TAUGHT = (
    "trunk.",
    "head.fc6.",
    "head.fc7.",
    "head.fc8.",
    "head.norm6.",
    "head.norm7.",
    "head.norm8.",
    "head.res5.",
)
"""What stage 1 teaches whatever the loss of stage 2 is; the rest of it is taken where it fits."""

log = logging.getLogger(__name__)


def save_weights(path: Path, network: nn.Module, **said: str) -> None:
    """Write the network's weights, whole or not at all, with a few words about them."""
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    write_bytes(path, save(state, metadata=said))


def load_initial(run: Path, network: PersonSearchNetwork, labels: str) -> None:
    """Put the stage-1 point of another run into ``network``.

    Trunk and re-id part must be there and fit. The classifier and the score layer are taken where
    they have the same name and size; what stage 1 does not teach stays as it is.

    Args:
        run: the other run's folder.
        network: of this run.
        labels: what this run's identities mean; the other's must mean the same.

    Raises:
        InputError: there is no stage-1 point, or it cannot be read.
        UsageError: it is of other people, or of another network.
    """
    path = run / INITIAL
    if not path.exists():
        raise InputError(
            f"{run} holds no initial point", hint=f"give a run whose stage 1 is done: it has {INITIAL}"
        )
    try:
        with safe_open(path, "pt") as file:
            said = file.metadata() or {}
        theirs = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} cannot be read: {error}", hint="train that run again") from error
    if said.get("labels") != labels:
        raise UsageError(
            f"{path} was taught other people or other pictures",
            hint="use the same data, seed and held-out identities in both runs",
        )
    ours = network.state_dict()
    for name, value in ours.items():
        if name.startswith(TAUGHT) and (name not in theirs or theirs[name].shape != value.shape):
            found = tuple(theirs[name].shape) if name in theirs else "nothing"
            raise UsageError(
                f"{path} is of another network: {name} is {tuple(value.shape)} here and {found} there",
                hint="both runs must have the same trunk and re-id part",
            )
    taken = {n: v for n, v in theirs.items() if n in ours and v.shape == ours[n].shape}
    network.load_state_dict({**ours, **taken})
    log.info("initial point of %s: %d of %d tensors taken", run, len(taken), len(ours))


def save_snapshot(run: Path, step: int, network: nn.Module, settings: ModelSettings) -> Path:
    """Keep the weights after ``step`` steps of stage 2."""
    folder = run / SNAPSHOTS
    if not (folder / CONFIG).exists():
        write_json(folder / CONFIG, {"format": FORMAT, **settings.to_json()})
    path = folder / f"step-{step}.safetensors"
    save_weights(path, network, step=str(step))
    return path


def snapshots(run: Path) -> dict[int, Path]:
    """Step -> file of every snapshot that is still there, first step first."""
    files = {
        int(path.stem.removeprefix("step-")): path for path in (run / SNAPSHOTS).glob("step-*.safetensors")
    }
    return dict(sorted(files.items()))


def prune_snapshots(run: Path, keep: Collection[int] = ()) -> int:
    """Delete the snapshots of all steps but ``keep``; how many those were."""
    gone = [path for step, path in snapshots(run).items() if step not in keep]
    for path in gone:
        path.unlink()
    return len(gone)


def load_snapshot(run: Path, step: int, device: str = "auto") -> NetworkSearcher:
    """The searcher that a run was after ``step`` steps of stage 2 (uncalibrated).

    Raises:
        InputError: there is no such snapshot, or it cannot be read.
    """
    path = snapshots(run).get(step)
    if path is None:
        known = ", ".join(map(str, snapshots(run))) or "none"
        raise InputError(f"{run} holds no snapshot of step {step}", hint=f"there are: {known}")
    settings = read_settings(path.parent)
    network = build_network(settings)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(f"{path} cannot be read", hint="delete it") from error
    fingerprint = sha256_of(path, path.parent / CONFIG)
    return NetworkSearcher(
        network, settings, fingerprint=fingerprint, name=f"{run.name}@{step}", device=device
    )
