"""The numbers of the field's public evaluators, by the command that people will type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

BESIDE = Path(__file__).resolve().parents[2] / ".." / "shared" / "golden"
OURS = Path(__file__).resolve().parents[1] / "evaluation" / "golden"
FOLDERS = [folder for folder in (OURS, BESIDE) if folder.is_dir()]


def cases() -> list[Any]:
    """Every expectation of our own copies; of those beside the repository what ours do not have."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted(folder.glob("*.expected.json")):
            found.setdefault(path.name.removesuffix(".expected.json"), path)
    return [pytest.param(path, id=name) for name, path in found.items()]


def words(key: str) -> list[str]:
    """What the command is told for a key of expected.json."""
    kind, *parts = key.split("|")
    said = dict(part.split("=") for part in parts)
    line = ["--det-threshold", said["thr"]]
    if kind == "det":
        line += ["--detection", "--iou", said["iou"]]
        return [*line, "--labelled-only"] if said["labelled"] == "1" else line
    for name, word in (("gallery", "--gallery-size"), ("cams", "--cameras"), ("nq", "--limit-queries")):
        if name in said:
            line += [word, said[name]]
    if said["cbgm"] == "1":
        line += ["--context-matching", f"{said.get('k1', 10)},{said.get('k2', 3)}"]
    repeated = said.get("dup", "first" if said["cbgm"] == "1" else "twice")
    return [*line, "--repeated", repeated]


@pytest.mark.parametrize("path", cases())
def test_every_expectation_is_met(command, path: Path) -> None:
    features = path.with_name(path.name.replace(".expected.json", ".npz"))
    configs = json.loads(path.read_text())["configs"]
    assert configs
    for key, expected in configs.items():
        ended = command("evaluate", "--features", features, *words(key), "--json")
        assert (ended.code, ended.err) == (0, ""), key
        found = json.loads(ended.out)
        assert found["schema"] == "personsearch.evaluate/2"
        if key.startswith("det"):
            assert found["recall"] == pytest.approx(expected["recall"], abs=1e-6), key
            assert found["ap"] == pytest.approx(expected["ap"], abs=1e-6), key
            continue
        assert found["mAP"] == pytest.approx(expected["mAP"], abs=1e-6), key
        assert found["ap_per_query"] == pytest.approx(expected["ap_per_query"], abs=1e-6), key
        assert len(found["first_hit_per_query"]) == found["queries"] == len(expected["ap_per_query"])
        for k in ("top1", "top5", "top10"):
            assert expected[f"{k}_lo"] - 1e-6 <= found[k] <= expected[f"{k}_hi"] + 1e-6, (key, k)


def test_all_sizes_are_the_sizes_one_by_one(command) -> None:
    files = [folder / name for folder in FOLDERS for name in ("cuhk_a.npz", "cuhk_quirks.npz")]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        pytest.skip("no reference results here")
    together = json.loads(command("evaluate", "--features", file, "--all-sizes", "--json").out)
    assert [one["gallery_size"] for one in together["results"]] == [50, 100]
    for one in together["results"]:
        size = one["gallery_size"]
        alone = json.loads(command("evaluate", "--features", file, "--gallery-size", size, "--json").out)
        assert {key: alone[key] for key in one} == one
