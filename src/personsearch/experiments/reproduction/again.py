"""The report made again from its own raw numbers, where data, models and stages are long gone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from personsearch.errors import InputError, PersonSearchError, UsageError
from personsearch.experiments.reproduction.figures import PICTURED
from personsearch.experiments.reproduction.page import FIGURES, SCHEMA, write_blocks
from personsearch.experiments.reproduction.pipeline import ITEMS, Reproduction, stages_of
from personsearch.experiments.reproduction.sizes import size_called
from personsearch.experiments.reproduction.workshop import Asked

HINT = "give the numbers.json that personsearch reproduce wrote, or run it again"


def report_from(file: Path, out: Path, items: Sequence[str] = ("all",)) -> tuple[Reproduction, Path]:
    """Write the report of the raw numbers in ``file`` into ``out``; what it is of, and the folder.

    Claims are decided, tables and figures drawn anew from the stages' raw results. The catch: figures 1b
    and 3 show pictures of the data set; they are taken from the report that ``file`` lies in, and where they
    are not there, the new one says so.

    Args:
        file: the ``numbers.json`` of a report.
        out: a folder; it may be the one that ``file`` lies in.
        items: tables and figures among those that ``file`` holds; ``all`` is every one of them.

    Raises:
        InputError: ``file`` is missing, damaged, or holds something else; nothing is written.
        UsageError: ``file`` holds no such item, or ``out`` is a file.
    """
    made = read_numbers(file, items)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder", hint="give another folder with --out")
    known = {name: file.parent / FIGURES / name for name in PICTURED}
    pictures = {name: path.read_bytes() for name, path in known.items() if path.is_file()}
    try:
        return made, write_blocks(made, out, pictures)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ZeroDivisionError) as error:
        # Everything is made before anything is written: what was read is not what a stage leaves.
        raise InputError(f"{file} holds damaged results ({_why(error)})", hint=HINT) from error


def read_numbers(file: Path, items: Sequence[str] = ("all",)) -> Reproduction:
    """What ``file`` holds of ``items``, with the results of every stage behind them.

    Raises:
        InputError, UsageError: as :func:`report_from`.
    """
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as JSON", hint=HINT) from error
    if not isinstance(values, dict) or values.get("schema") != SCHEMA:
        found = values.get("schema") if isinstance(values, dict) else None
        raise InputError(f"{file} holds no numbers of a report ({found!r}, not {SCHEMA!r})", hint=HINT)
    try:
        return _reproduction(values, items)
    except PersonSearchError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{file} holds damaged results ({_why(error)})", hint=HINT) from error


def _reproduction(values: Mapping[str, Any], items: Sequence[str]) -> Reproduction:
    held = [item for item in ITEMS if item in values["items"]]
    lacking = [item for item in items if item not in (*held, "all")]
    if lacking or not items:
        raise UsageError(
            f"these numbers hold no {lacking[0]}" if lacking else "nothing is asked for",
            hint=f"choose among {', '.join(held)}, or all",
        )
    chosen = tuple(item for item in held if item in items or "all" in items)
    stages = [stage.name for stage in stages_of(chosen)]
    results = {name: values["results"][name] for name in stages}
    if not all(isinstance(result, dict) for result in results.values()):
        raise TypeError("a stage's result is no record")
    asked = Asked(
        dataset=str(values["dataset"]),
        root=None,
        size=size_called(values["preset"]),
        seeds=tuple(int(seed) for seed in values["seeds"]),
        pretrained=values["pretrained"],
        best=Path("given") if values["best given"] else None,
    )
    return Reproduction(
        asked=asked,
        items=chosen,
        results=results,
        seconds={name: float(values["seconds"][name]) for name in stages},
        by={name: str(by) for name, by in values["by"].items() if name in stages},
        command=str(values["command"]),
        python=str(values["python"]),
    )


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:80]
