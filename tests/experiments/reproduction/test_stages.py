"""What is finished is not done again, what depends on a change is, and a kill costs one stage at most."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from personsearch.experiments.reproduction.stages import Ledger, Stage, digest, ordered, planned, run_plan


def shop(**more: Any) -> Any:
    size = SimpleNamespace(minutes={"a": 1.0, "b": 2.0, "c": 4.0})
    return SimpleNamespace(size=size, say=lambda line: None, **more)


def chain(done: list[str], *, value: int = 1, intact: bool = True) -> dict[str, Stage]:
    """c needs b, which needs a: each adds one to the one before, and notes that it worked."""

    def working(name: str, before: str | None) -> Any:
        def work(of: Any) -> dict[str, Any]:
            done.append(name)
            last = value if before is None else Ledger(of.folder).entry(before)["result"]["n"]  # type: ignore[index]
            return {"n": last + 1}

        return work

    a = Stage(
        name="a", title="a", work=working("a", None), settings=lambda of: {"value": value},
        intact=lambda of, result: intact,
    )  # fmt: skip
    b = Stage(name="b", title="b", needs=("a",), work=working("b", "a"))
    c = Stage(name="c", title="c", needs=("b",), work=working("c", "b"))
    return {"a": a, "b": b, "c": c}


def run(
    folder: Path, stages: dict[str, Stage], wanted: tuple[str, ...] = ("c",), say: Any = None
) -> dict[str, Any]:
    ledger, of = Ledger(folder), shop(folder=folder)
    if say is not None:
        of.say = say
    return run_plan(planned(ordered(stages, wanted), ledger, of), ledger, of)


def test_only_what_is_wanted_and_what_it_needs_in_order() -> None:
    stages = chain([])
    assert [stage.name for stage in ordered(stages, ("c",))] == ["a", "b", "c"]
    assert [stage.name for stage in ordered(stages, ("b", "a"))] == ["a", "b"]
    assert ordered(stages, ()) == ()


def test_nothing_is_done_twice(tmp_path: Path) -> None:
    done: list[str] = []
    assert run(tmp_path, chain(done)) == {"a": {"n": 2}, "b": {"n": 3}, "c": {"n": 4}}
    assert run(tmp_path, chain(done)) == {"a": {"n": 2}, "b": {"n": 3}, "c": {"n": 4}}
    assert done == ["a", "b", "c"]


def test_a_change_runs_again_what_stands_on_it_and_nothing_else(tmp_path: Path) -> None:
    done: list[str] = []
    run(tmp_path, chain(done))
    assert run(tmp_path, chain(done, value=10))["c"] == {"n": 13}
    assert done == ["a", "b", "c"] * 2
    # The same result from other settings changes nothing further on.
    other = chain(done, value=10)
    other["a"] = Stage(name="a", title="a", work=lambda of: {"n": 11}, settings=lambda of: {"else": 1})
    assert run(tmp_path, other)["c"] == {"n": 13}
    assert done == ["a", "b", "c"] * 2


def test_a_result_whose_model_is_gone_is_made_again(tmp_path: Path) -> None:
    done: list[str] = []
    run(tmp_path, chain(done))
    run(tmp_path, chain(done, intact=False))
    assert done == ["a", "b", "c", "a"]  # it came out the same, so the others stay


def test_a_stage_that_found_its_models_trained_takes_what_training_took(tmp_path: Path) -> None:
    """Also where its file is new: the folder of the training tells."""
    done: list[str] = []
    stage = Stage(name="a", title="a", work=lambda of: {"n": 1}, trained=lambda of: 700.0)
    run(tmp_path, {"a": stage}, ("a",))
    entry = json.loads((tmp_path / "a.json").read_text())
    assert (entry["seconds"], entry["trained_seconds"]) == (700.0, 700.0)
    run(tmp_path / "else", chain(done), ("a",))
    entry = json.loads((tmp_path / "else" / "a.json").read_text())
    assert entry["trained_seconds"] is None
    assert entry["seconds"] < 60


def test_seconds_of_what_is_done_again_add_up(tmp_path: Path) -> None:
    run(tmp_path, chain([]))
    file = tmp_path / "a.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"seconds": 60.0}))
    run(tmp_path, chain([], value=2))
    assert json.loads(file.read_text())["result"] == {"n": 3}
    assert 60.0 <= json.loads(file.read_text())["seconds"] < 70.0


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema": "other", "result": {}}'])
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: str) -> None:
    done: list[str] = []
    run(tmp_path, chain(done))
    (tmp_path / "b.json").write_text(damage)
    assert run(tmp_path, chain(done))["c"] == {"n": 4}
    assert done == ["a", "b", "c", "b"]


def test_the_plan_says_what_is_to_do_and_the_time_left_shrinks(tmp_path: Path) -> None:
    run(tmp_path, chain([]), ("a",))
    ledger, of = Ledger(tmp_path), shop(folder=tmp_path)
    plan = planned(ordered(chain([]), ("c",)), ledger, of)
    assert [(one.stage.name, one.done, one.minutes) for one in plan] == [
        ("a", True, 1.0), ("b", False, 2.0), ("c", False, 4.0)
    ]  # fmt: skip
    said: list[str] = []
    run(tmp_path, chain([]), say=said.append)
    begun = [line for line in said if "begins" in line]
    # b took no time at all in the place of 2 minutes, so that nothing is expected of c's 4 either.
    assert begun == ["1 of 2, b: begins, about 6:00 left", "2 of 2, c: begins, about 0:00 left"]


def test_digests_know_values_and_not_the_order_of_keys() -> None:
    assert digest({"a": [1, 2], "b": 3}) == digest({"b": 3, "a": [1, 2]})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})


def _slow(folder: str) -> None:
    """In another process: every stage takes a moment, in which it can be killed."""
    stages = chain([])

    def slowly(work: Any) -> Any:
        def later(of: Any) -> dict[str, Any]:
            result: dict[str, Any] = work(of)
            time.sleep(0.15)
            return result

        return later

    slow = {
        name: Stage(name=name, title=name, needs=one.needs, work=slowly(one.work), settings=one.settings)
        for name, one in stages.items()
    }
    run(Path(folder), slow)


def test_killed_at_any_moment_it_ends_with_the_same_numbers(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(whole, chain([]))
    fork = multiprocessing.get_context("fork")
    for wait in (0.01, 0.1, 0.2, 0.2, 0.25):
        process = fork.Process(target=_slow, args=(str(killed),))
        process.start()
        time.sleep(wait)
        os.kill(process.pid, 9)  # type: ignore[arg-type]
        process.join()
        for file in killed.glob("*.json"):
            json.loads(file.read_text())  # whole or not there
    run(killed, chain([]))

    def numbers(folder: Path) -> dict[str, Any]:
        return {file.name: json.loads(file.read_text())["result"] for file in folder.glob("*.json")}

    assert numbers(killed) == numbers(whole)
