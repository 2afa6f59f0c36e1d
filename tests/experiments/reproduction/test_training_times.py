"""How long trainings took, from the logs and books that they leave."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from personsearch.experiments.reproduction import training_times


def log(folder: Path, *seconds: float) -> Path:
    folder.mkdir(parents=True)
    lines = [{"stage": 1, "step": i, "loss": 1.0, "seconds": one} for i, one in enumerate(seconds)]
    # A validation has no seconds, and a kill cut the last line short.
    text = "\n".join(json.dumps(line) for line in [*lines, {"stage": 1, "step": 9, "validation": {}}])
    (folder / "metrics.jsonl").write_text(text + '\n{"stage": 2, "sec')
    return folder


def shop(out: Path, *, given: bool = False, foreign: bool = False) -> Any:
    return SimpleNamespace(
        out=out, seed=0, parts=out / "baselines", ablation=out / "ablation",
        our_folder=out / "model" if foreign else out / "ablation" / "rss-0",
        foreign_ablation=out / "brought" if foreign else None,
        asked=SimpleNamespace(model=out if given else None), classical=("euclidean", "bow"),
    )  # fmt: skip


def test_by_hand(tmp_path: Path) -> None:
    of = shop(tmp_path)
    assert training_times.ours(of) is None
    log(tmp_path / "ablation" / "start-0", 1, 2)
    log(tmp_path / "ablation" / "rss-0", 4)
    log(tmp_path / "ablation" / "softmax-0", 8)
    log(tmp_path / "ablation" / "rss-1", 16)
    log(tmp_path / "sweep" / "k10-0", 32)
    log(tmp_path / "sweep" / "softmax-0", 64)
    log(tmp_path / "best", 128)
    log(tmp_path / "model", 256)
    assert training_times.ours(of) == 7
    assert training_times.ablation(of) == 24  # nothing twice
    assert training_times.sweep(of) == 96
    assert training_times.best(of) == 128
    brought = shop(tmp_path, foreign=True)
    assert (training_times.ours(brought), training_times.ablation(brought)) == (256, None)
    assert training_times.ours(shop(tmp_path, given=True)) is None


def test_parts_that_are_trained_together_are_told_with_the_first(tmp_path: Path) -> None:
    of = shop(tmp_path)
    assert training_times.part("acf", of) is None
    of.parts.mkdir()
    book = {"seconds": {"acf": 1.0, "euclidean": 2.0, "bow": 4.0}}
    (of.parts / "baselines.json").write_text(json.dumps(book))
    told = {kind: training_times.part(kind, of) for kind in ("acf", "euclidean", "bow", "idnet")}
    assert told == {"acf": 1.0, "euclidean": 6.0, "bow": None, "idnet": None}
