"""Stages that leave their results as files: what is finished is never done again, whenever it was killed.

A stage's file says what it was made from: its settings, and the results of the stages before it. So a change
of data, settings or models runs again what depends on it, and nothing else. Trained models stay in their
folders, which refuse other settings or data than they were begun with: nothing is trained over.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from personsearch import __version__
from personsearch.files import write_json
from personsearch.progress import clock

if TYPE_CHECKING:
    from personsearch.experiments.reproduction.workshop import Workshop

SCHEMA = "personsearch.reproduction-stage/1"
log = logging.getLogger(__name__)


def _nothing(shop: Workshop) -> dict[str, Any]:
    return {}


def _intact(shop: Workshop, result: Mapping[str, Any]) -> bool:
    return True


def _untrained(shop: Workshop) -> float | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the reproduction.

    Attributes:
        name: of its file.
        title: for people.
        needs: stages whose results it reads.
        work: does it; the result is JSON.
        settings: what else shapes the result, as JSON.
        intact: whether what the result speaks of is still there (a model's folder).
        trained: seconds that its trainings took in all their runs, as their own folders tell; None where
            it trains nothing, or what it works with was given.
        given: whether what it would train was brought along, so that it takes a minute at most.
    """

    name: str
    title: str
    needs: tuple[str, ...] = ()
    work: Callable[[Workshop], dict[str, Any]]
    settings: Callable[[Workshop], dict[str, Any]] = _nothing
    intact: Callable[[Workshop, Mapping[str, Any]], bool] = _intact
    trained: Callable[[Workshop], float | None] = _untrained
    given: Callable[[Workshop], bool] = lambda shop: False


def ordered(stages: Mapping[str, Stage], wanted: Sequence[str]) -> tuple[Stage, ...]:
    """``wanted`` and all that they need, each behind what it needs, else in the order of ``stages``."""
    kept: set[str] = set()

    def want(name: str) -> None:
        if name not in kept:
            kept.add(name)
            for need in stages[name].needs:
                want(need)

    for name in wanted:
        want(name)
    return tuple(stage for name, stage in stages.items() if name in kept)


class Ledger:
    """The results of stages in a folder, a JSON file each.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, dict[str, Any]] = {}

    def path(self, name: str) -> Path:
        """The file of a stage."""
        return self.folder / f"{name}.json"

    def entry(self, name: str) -> dict[str, Any] | None:
        """What the file of a stage holds; None where it is missing, damaged or of another kind."""
        if name not in self._read:
            try:
                value = json.loads(self.path(name).read_text(encoding="utf-8"))
                if value["schema"] != SCHEMA or not isinstance(value["result"], dict):
                    raise ValueError(value["schema"])
                self._read[name] = value
            except FileNotFoundError:
                return None
            except (OSError, ValueError, KeyError, TypeError):
                log.warning("%s holds no result and is made again", self.path(name))
                return None
        return self._read[name]

    def made_from(self, stage: Stage, shop: Workshop) -> dict[str, Any] | None:
        """What the stage's result is made from now; None while a stage before it has no result."""
        needs = {}
        for name in stage.needs:
            entry = self.entry(name)
            if entry is None:
                return None
            needs[name] = digest(entry["result"])
        made: dict[str, Any] = json.loads(json.dumps({"settings": stage.settings(shop), "needs": needs}))
        return made

    def current(self, stage: Stage, shop: Workshop) -> dict[str, Any] | None:
        """The stage's result, if it is there and made from what there is now."""
        entry = self.entry(stage.name)
        if entry is None or entry.get("made_from") != self.made_from(stage, shop):
            return None
        result: dict[str, Any] = entry["result"]
        return result if stage.intact(shop, result) else None

    def save(self, stage: Stage, shop: Workshop, result: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Keep a result; it is returned as a later call would read it.

        Seconds add up over its runs; and a stage whose models were there already took no less than their
        trainings did.
        """
        before, trained = self.entry(stage.name), stage.trained(shop)
        spent = seconds + (float(before["seconds"]) if before else 0.0)
        value = {
            "schema": SCHEMA,
            "stage": stage.name,
            "made_from": self.made_from(stage, shop),
            "seconds": round(max(spent, trained or 0.0), 2),
            "trained_seconds": None if trained is None else round(trained, 2),
            "by": f"personsearch {__version__}, torch {torch.__version__}",
            "result": result,
        }
        write_json(self.path(stage.name), value, sort=False)  # the order of methods is the report's
        self._read[stage.name] = json.loads(json.dumps(value))
        kept: dict[str, Any] = self._read[stage.name]["result"]
        return kept


def digest(value: Any) -> str:
    """Of JSON, whatever the order of its keys.

    >>> digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}), digest([1]) == digest([2])
    (True, False)
    """
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One stage of a plan.

    Attributes:
        stage: which.
        done: whether its result is there, and what it is made from has not changed.
        minutes: about how long it takes; None where nobody knows.
    """

    stage: Stage
    done: bool
    minutes: float | None


def planned(stages: Sequence[Stage], ledger: Ledger, shop: Workshop) -> tuple[Planned, ...]:
    """What is to be done; a stage behind one that is to be done is so, too."""
    plan: list[Planned] = []
    open_ones: set[str] = set()
    for stage in stages:
        done = not open_ones & set(stage.needs) and ledger.current(stage, shop) is not None
        if not done:
            open_ones.add(stage.name)
        minutes = shop.size.minutes.get(stage.name)
        if minutes is not None and stage.given(shop):
            minutes = min(minutes, 1.0)
        plan.append(Planned(stage=stage, done=done, minutes=minutes))
    return tuple(plan)


def run_plan(plan: Sequence[Planned], ledger: Ledger, shop: Workshop) -> dict[str, dict[str, Any]]:
    """Do what is to be done, and return every stage's result by its name."""
    results: dict[str, dict[str, Any]] = {}
    todo = [one.stage.name for one in plan if not one.done]
    guessed = spent = 0.0
    for one in plan:
        stage = one.stage
        found = ledger.current(stage, shop)
        if found is not None:
            results[stage.name] = found
            continue
        if stage.name not in todo:
            todo.append(stage.name)
        left = _time_left(plan, results, guessed, spent)
        number = todo.index(stage.name) + 1
        shop.say(f"{number} of {len(todo)}, {stage.title}: begins{left}")
        start = time.monotonic()
        result = stage.work(shop)
        seconds = time.monotonic() - start
        results[stage.name] = ledger.save(stage, shop, result, seconds)
        shop.say(f"{stage.title}: ready after {clock(seconds)}")
        if one.minutes is not None:
            guessed, spent = guessed + 60 * one.minutes, spent + seconds
    return results


def _time_left(plan: Sequence[Planned], results: Mapping[str, Any], guessed: float, spent: float) -> str:
    """About how long it still takes, by the guesses and by how wrong they were so far."""
    rest = [one for one in plan if not one.done and one.stage.name not in results]
    if not rest or any(one.minutes is None for one in rest):
        return ""
    # A few seconds of short stages say nothing of the machine.
    pace = spent / guessed if guessed >= 120 else 1.0
    return f", about {clock(60 * pace * sum(one.minutes or 0.0 for one in rest))} left"
