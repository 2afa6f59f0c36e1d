"""The folder of one part (a detector, a descriptor, a metric): ``config.json`` and ``model.safetensors``.

As in a model folder, the fingerprint is the SHA-256 over weights and configuration, nothing is a
pickle, and a folder without a configuration is an unfinished part.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from personsearch.errors import InputError
from personsearch.files import sha256_of, write_bytes, write_json
from personsearch.types import Array

FORMAT = 1
WEIGHTS, CONFIG = "model.safetensors", "config.json"


@dataclass(frozen=True, eq=False, kw_only=True)
class Part:
    """What a part folder holds.

    Attributes:
        kind: what made it, e.g. ``"acf"``.
        settings: everything else of ``config.json``; the part's own module checks them.
        arrays: the arrays of ``model.safetensors`` by name.
        fingerprint: SHA-256 over both files.
    """

    kind: str
    settings: dict[str, Any]
    arrays: dict[str, Array]
    fingerprint: str


def save_part(folder: Path, kind: str, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> str:
    """Write a part folder, each file whole or not at all, and return its fingerprint.

    A part that was there before stops being one first (its configuration goes), and the new
    configuration comes last: at no moment do arrays lie beside the settings of others.

    Args:
        folder: made where it is missing.
        kind: what reads it again.
        settings: values that JSON knows; ``format`` and ``kind`` are taken.
        arrays: by name; any order of axes in memory.
    """
    if taken := {"format", "kind"} & set(settings):
        raise ValueError(f"settings of a part cannot be called {', '.join(sorted(taken))}")
    (folder / CONFIG).unlink(missing_ok=True)
    write_bytes(folder / WEIGHTS, save({name: np.asarray(one, order="C") for name, one in arrays.items()}))
    write_json(folder / CONFIG, {"format": FORMAT, "kind": kind, **settings})
    return sha256_of(folder / WEIGHTS, folder / CONFIG)


def read_part(folder: Path) -> Part:
    """The part that lies in ``folder``.

    Raises:
        InputError: there is none, it is unfinished, damaged, or of another format.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder at {folder}", hint="train the part, or check the path")
    settings = _settings(folder / CONFIG)
    if settings.pop("format", None) != FORMAT:
        raise InputError(
            f"{folder / CONFIG} is not of part format {FORMAT}", hint="use a matching version of personsearch"
        )
    kind = settings.pop("kind", None)
    if not isinstance(kind, str):
        raise InputError(f"{folder / CONFIG} does not say its kind", hint="the file was changed by hand?")
    try:
        arrays = load((folder / WEIGHTS).read_bytes())
        fingerprint = sha256_of(folder / WEIGHTS, folder / CONFIG)
    except FileNotFoundError as error:
        raise InputError(f"{folder} has no {WEIGHTS}", hint="give the folder of a finished part") from error
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{folder / WEIGHTS} is damaged: {reason}", hint="train the part again") from error
    return Part(kind=kind, settings=settings, arrays=arrays, fingerprint=fingerprint)


def _settings(path: Path) -> dict[str, Any]:
    """The object in the JSON file ``path``."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{path.parent} holds no finished part: it has no {CONFIG}", hint="train it to its end"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: neither UTF-8 nor JSON
        raise InputError(
            f"{path} cannot be read as a part's configuration", hint="train the part again"
        ) from error
    if not isinstance(values, dict):
        raise InputError(f"{path} is not a part's configuration", hint="train the part again")
    return values
