"""Steps of a training that are done once: each leaves a file, and a repeated call goes on behind it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.errors import InputError
from personsearch.files import write_atomically
from personsearch.types import Array


def stage(
    cache: Path, name: str, made_of: Mapping[str, Any], make: Callable[[], Mapping[str, Array]]
) -> tuple[dict[str, Array], str]:
    """The arrays of one step, from the folder ``cache`` if they were made of the same before.

    Args:
        name: of the step, and of its file.
        made_of: everything that decides what comes out, as JSON knows it.
        make: does the work.

    Returns:
        The arrays, and the hex digest of ``made_of``, for whatever is made of this step.

    Raises:
        InputError: the step's file is damaged.
    """
    text = json.dumps({"step": name, **made_of}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    file = cache / f"{name}-{digest[:12]}.npz"
    if not file.exists():
        made = {key: np.asarray(value) for key, value in make().items()}
        write_atomically(file, lambda out: np.savez(out, **made))  # type: ignore[arg-type]
    return read_arrays(file), digest


def read_arrays(file: Path, *names: str) -> dict[str, Array]:
    """The arrays called ``names`` (all, if none is named) in the ``.npz`` file of a step.

    Raises:
        InputError: it is damaged.
    """
    try:
        with file.open("rb") as opened, np.load(opened) as arrays:
            return {name: arrays[name] for name in names or arrays.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{file} is damaged", hint="delete it, and the step is done again") from error
