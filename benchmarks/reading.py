"""How long does it take to open CUHK-SYSU at its real size, and how much memory?

    python benchmarks/reading.py [--queries 2900] [--scipy] [--folder DIR]

Made-up annotation of the official size is written by SciPy alone, independently of our reader
and writer: 18,184 pictures, 96,143 boxes, 5,532 training people, and TestG100 and TestG4000 with
2,900 queries (11.6 million entries). Each reading is a fresh process, which then compares what
it read with what was made up. Needs 8 GB of memory and a quarter of an hour for the writing,
most of it SciPy's; ``--folder`` keeps what it wrote for another time. ``--scipy`` also reads
TestG4000 with ``scipy.io.loadmat``, which takes 13 GB at full size. Writes
``benchmarks/results/reading.json`` (full size only).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat, savemat

from personsearch.datasets.cuhk_sysu import CuhkSysu
from personsearch.types import Trials

PICTURES, POOL, BOXES, TRAIN_PEOPLE, QUERIES = 18_184, 6_978, 96_143, 5_532, 2_900
SIZES = (100, 4000)
RESULT = Path(__file__).parent / "results" / "reading.json"
PROTOCOLS = Path("annotation/test/train_test")
ENTRY = [("imname", object), ("idlocate", object), ("ishard", object)]
NOBODY, NOT_HARD = np.zeros((1, 0)), np.zeros((1, 1), np.uint8)


def boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """(count, 4) left, top, width, height, all different."""
    drawn = rng.integers([0, 0, 12, 34], [700, 400, 160, 360], (2 * count, 4))
    return np.unique(drawn, axis=0)[rng.permutation(count)]


def stored(box: np.ndarray) -> np.ndarray:
    """As MATLAB narrows it: one byte a number where that is enough."""
    return box.reshape(1, 4).astype(np.uint8 if box.max() < 256 else np.uint16)


def rows(dtype: list, columns: list) -> np.ndarray:
    """(1, n) struct array of these columns."""
    array = np.empty((1, len(columns[0])), dtype)
    for (name, _), column in zip(dtype, columns, strict=True):
        for k, value in enumerate(column):
            array[name][0, k] = value
    return array


def scenes_of(people: list, names: list, box: list, owner: np.ndarray) -> np.ndarray:
    cells = np.empty((len(people), 1), object)
    for k, appearances in enumerate(people):
        where = [
            [names[owner[b]] for b in appearances],
            [box[b] for b in appearances],
            [NOT_HARD] * len(appearances),
        ]
        one = [[f"p{k}"], [np.array([[len(appearances)]], np.uint8)], [rows(ENTRY, where)]]
        cells[k, 0] = rows([("idname", object), ("nAppear", object), ("scene", object)], one)
    return cells


def gallery(rng: np.random.Generator, size: int, world: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """The variable of a TestG file, and what it says."""
    names, box, owner, people = (world[key] for key in ("names", "stored", "owner", "test_people"))
    value = np.empty((1, len(people)), [("Query", object), ("Gallery", object)])
    entries, truths = [], []
    for i, (query, *others) in enumerate(people):
        query_columns = [[names[owner[query]]], [box[query]], [NOT_HARD], [f"p{i}"]]
        value["Query"][0, i] = rows([*ENTRY, ("idname", object)], query_columns)
        shown = owner[others]
        rest = rng.permutation(np.setdiff1d(world["pool"], [*shown, owner[query]], assume_unique=True))
        pictures = np.concatenate([shown, rest[: size - len(others)]])
        absent = [NOBODY] * (size - len(others))
        located = [*(box[b] for b in others), *absent]
        hard = [*(NOT_HARD for _ in others), *absent]
        value["Gallery"][0, i] = rows(ENTRY, [[names[k] for k in pictures], located, hard])
        entries.append(pictures)
        truths.append(others)
    return value, {"entries": np.array(entries), "truths": np.concatenate([*truths, []]).astype(int)}


def make(root: Path, queries: int) -> None:
    """Write everything, and what was written as ``expected.npz``."""
    rng = np.random.default_rng(0)
    (root / PROTOCOLS).mkdir(parents=True, exist_ok=True)
    (root / "Image/SSM").mkdir(parents=True, exist_ok=True)
    names = np.array([f"s{k + 1}.jpg" for k in range(PICTURES)], object)
    pool = np.sort(rng.choice(PICTURES, POOL, replace=False))
    table = boxes(rng, BOXES)
    owner = np.sort(np.concatenate([np.arange(PICTURES), rng.integers(0, PICTURES, BOXES - PICTURES)]))
    in_test = np.isin(owner, pool)
    people = []
    for mine, count in ((~in_test, TRAIN_PEOPLE), (in_test, queries)):
        order = rng.permutation(np.flatnonzero(mine))
        starts = np.cumsum([0, *rng.integers(2, 4, count)])
        groups = [order[a:b] for a, b in itertools.pairwise(starts)]
        people.append([group[np.unique(owner[group], return_index=True)[1]].tolist() for group in groups])
    world = {
        "names": names,
        "pool": pool,
        "owner": owner,
        "stored": [stored(box) for box in table],
        "test_people": people[1],
    }
    bounds = np.searchsorted(owner, np.arange(PICTURES + 1))
    located = [("idlocate", object), ("ishard", object)]
    shown = [world["stored"][a:b] for a, b in itertools.pairwise(bounds)]
    columns = [
        names,
        [np.array([[len(some)]], np.uint8) for some in shown],
        [rows(located, [some, [NOT_HARD] * len(some)]) for some in shown],
    ]
    pictures = rows([("imname", object), ("nAppear", object), ("box", object)], columns)
    cells = np.empty((POOL, 1), object)
    cells[:, 0] = names[pool]
    train = scenes_of(people[0], names, world["stored"], owner)
    for path, variable, value in (
        (root / "annotation/Images.mat", "Img", pictures),
        (root / "annotation/pool.mat", "pool", cells),
        (root / PROTOCOLS / "Train.mat", "Train", train),
    ):
        savemat(path, {variable: value}, do_compression=True)
    expected = {"pool": pool, "box": table, "owner": owner}
    for size in SIZES:
        value, said = gallery(rng, size, world)
        savemat(root / PROTOCOLS / f"TestG{size}.mat", {f"TestG{size}": value}, do_compression=True)
        expected |= {f"{name}{size}": array for name, array in said.items()}
    np.savez(root / "expected.npz", **expected)


def compare(trials: Trials, root: Path, size: int) -> None:
    """Stop unless ``trials`` say what was made up."""
    with np.load(root / "expected.npz") as expected:
        pool, entries = expected["pool"], expected[f"entries{size}"]
        truths, box, owner = expected[f"truths{size}"], expected["box"], expected["owner"]
    assert list(trials.scenes) == [f"s{k + 1}.jpg" for k in pool]
    assert np.array_equal(pool[trials.entry_scene].reshape(-1, size), entries)
    corners = np.concatenate([box[truths][:, :2], box[truths][:, :2] + box[truths][:, 2:]], axis=1)
    assert np.array_equal(trials.truth_box, corners)
    holders = np.repeat(np.arange(len(trials.entry_scene)), np.diff(trials.truth_ptr))
    assert np.array_equal(pool[trials.entry_scene[holders]], owner[truths])


def read(root: Path, what: str) -> dict[str, float]:
    """Seconds (processor and clock) and peak memory of one reading, in this process."""
    start, clock = time.process_time(), time.perf_counter()
    if what == "scipy":
        loadmat(root / PROTOCOLS / "TestG4000.mat")
    else:
        data = CuhkSysu(root)
        result = data.scenes("test") if what == "scenes" else data.trials(int(what))
    taken, waited = time.process_time() - start, time.perf_counter() - clock
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if isinstance(result if what != "scipy" else None, Trials):
        compare(result, root, int(what))
    return {"cpu_s": round(taken, 2), "wall_s": round(waited, 2), "peak_gb": round(peak / 1e9, 2)}


def fresh(*arguments: str, cache: str) -> str:
    """The last line that this script prints in a process of its own."""
    environment = {**os.environ, "PERSONSEARCH_CACHE": cache}
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=environment,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return (done.stdout.strip().splitlines() or [""])[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--queries", type=int, default=QUERIES)
    parser.add_argument("--scipy", action="store_true")
    parser.add_argument("--folder", type=Path, help="of the made-up files; a passing one otherwise")
    parser.add_argument("--child", nargs=2, metavar=("ROOT", "WHAT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        root, what = Path(args.child[0]), args.child[1]
        if what == "make":
            make(root, args.queries)
        else:
            print(json.dumps(read(root, what)))
        return

    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        root, cache = (args.folder or Path(folder)) / "data", f"{folder}/cache"
        if not (root / "expected.npz").exists():  # the last file that is written
            start = time.perf_counter()
            fresh("--queries", str(args.queries), "--child", str(root), "make", cache=cache)
            print(f"written by SciPy in {time.perf_counter() - start:.0f} s")
        sizes = {path.name: path.stat().st_size for path in root.rglob("*.mat")}
        runs = [
            ("scenes, first time", "scenes", f"{folder}/a"),
            ("scenes, again", "scenes", f"{folder}/a"),
            ("TestG4000, no cache", "4000", "off"),
            ("TestG4000, first time", "4000", cache),
            ("TestG4000, again", "4000", cache),
        ]
        if args.scipy:
            runs.append(("TestG4000, scipy.io.loadmat", "scipy", "off"))
        print(f"{'':32}{'CPU s':>8}{'wall s':>8}{'peak GB':>9}")
        for label, what, where in runs:
            one = found[label] = json.loads(fresh("--child", str(root), what, cache=where))
            print(f"{label:32}{one['cpu_s']:8.2f}{one['wall_s']:8.2f}{one['peak_gb']:9.2f}", flush=True)
    if args.queries == QUERIES:
        settings = {
            "queries": args.queries,
            "machine": platform.machine(),
            "python": platform.python_version(),
        }
        report = {"settings": settings, "file_bytes": sizes, "readings": found}
        RESULT.write_text(json.dumps(report, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
