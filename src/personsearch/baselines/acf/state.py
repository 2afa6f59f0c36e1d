"""Where training stands after a bootstrapping round: one file, whole or not there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from personsearch.baselines.acf.trees import Trees
from personsearch.errors import UsageError
from personsearch.files import write_bytes
from personsearch.types import Array

STATE = "state.safetensors"
_ARRAYS = ("people", "background", "features", "thresholds", "leaves")


@dataclass(frozen=True, eq=False, kw_only=True)
class Standing:
    """What the next round needs of those before it.

    Attributes:
        rounds: how many are done.
        people: (n, f) uint8 windows of people.
        background: (m, f) uint8 windows without.
        trees: the last round's.
        power, aspect: as of the detector.
    """

    rounds: int
    people: Array
    background: Array
    trees: Trees
    power: float
    aspect: float


def save_standing(folder: Path, standing: Standing, made_from: dict[str, Any]) -> None:
    """Write the state file; ``made_from`` says of which settings and scenes it is."""
    arrays = {"people": standing.people, "background": standing.background, **vars(standing.trees)}
    numbers = {"rounds": standing.rounds, "power": standing.power, "aspect": standing.aspect}
    about = {"numbers": json.dumps(numbers), "made_from": json.dumps(made_from, sort_keys=True)}
    write_bytes(folder / STATE, save(arrays, metadata=about))


def read_standing(folder: Path, made_from: dict[str, Any]) -> Standing | None:
    """The state that an interrupted training left in ``folder``; None where there is none.

    Raises:
        UsageError: it is of other settings or scenes, or damaged.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            about = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in _ARRAYS}
        numbers = json.loads(about["numbers"])
        same = json.loads(about["made_from"]) == json.loads(json.dumps(made_from))
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise UsageError(f"{path} is damaged", hint="delete it, and training begins anew") from error
    if not same:
        raise UsageError(
            f"{folder} holds a training of other settings or scenes",
            hint="choose another folder or delete that one",
        )
    people, background = arrays.pop("people"), arrays.pop("background")
    return Standing(people=people, background=background, trees=Trees(**arrays), **numbers)
