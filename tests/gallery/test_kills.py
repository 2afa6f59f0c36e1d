"""kill -9 while adding, forgetting, folding, opening: nothing is lost, half there, twice, or back.

The moment is drawn evenly over the work of a process that does nothing else, so it lies inside of a
commit, a rewriting or a folding most of the time; the long form holds what was hit against that. Each
kill is followed by ``verify`` and by a look at every person.
"""

import json
import random
import runpy
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Self

import pytest

from personsearch.gallery.audit import AuditLog
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.verify import verify

WORKER = Path(__file__).with_name("kill_worker.py")
worker = runpy.run_path(str(WORKER))


class Told:
    """What the killed processes said that they had begun and finished."""

    def __init__(self) -> None:
        self.adding: set[int] = set()
        self.added: set[int] = set()
        self.forgetting: set[str] = set()
        self.forgotten: set[str] = set()
        self.last = ""

    def hear(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        self.last = word
        if word in ("adding", "added"):
            getattr(self, word).add(int(rest))
        elif word in ("forgetting", "forgotten"):
            getattr(self, word).add(rest)


class Workers:
    """Processes to be killed; the next one is imported while the last one's traces are looked at."""

    def __init__(self) -> None:
        self._next = self._start()

    def _start(self) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return subprocess.Popen([sys.executable, str(WORKER)], text=True, **pipes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._next.kill()
        self._next.communicate()

    def killed(self, gallery: Path, pictures: Path, told: Told, seed: int, seconds: float) -> str:
        """Let one work for so long, kill it, and hear what it said; what it was doing."""
        process = self._next
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "imported\n"
        first = max(told.adding, default=-1) + 1
        process.stdin.write(json.dumps([str(gallery), str(pictures), first, seed]) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "opening\n"
        told.last = "opening"
        time.sleep(seconds)
        process.kill()
        rest, _ = process.communicate()
        self._next = self._start()
        for line in rest.splitlines(keepends=True):
            if line.endswith("\n"):
                told.hear(line)
        assert process.returncode == -9
        return told.last


def everybody(gallery: Gallery) -> list[str]:
    """ "picture:place" of everybody who is stored."""
    table = gallery._people_table
    table.newest()
    numbers = [n for batch in table.batches(["detection"]) for n in batch.column("detection").to_pylist()]
    return sorted(f"{Path(p.picture).stem}:{int(p.box[0]) // 20}" for p in gallery.stored(numbers))


def left_on_disk(gallery: Path, gone: set[str]) -> list[str]:
    """Whose vector's bytes are anywhere in the folder."""
    content = b"".join(file.read_bytes() for file in gallery.rglob("*") if file.is_file())
    left = []
    for who in gone:
        number, place = (int(word) for word in who.split(":"))
        if worker["seen_in"](number).embeddings[place].tobytes() in content:
            left.append(who)
    return left


def check(path: Path, told: Told) -> None:
    """After a death: whole as it lies there, and, once a writer has opened it, just what was said."""
    report = verify(path)
    assert report.right, report.findings
    with Gallery.open(path, writable=True) as gallery:  # finishes a removal that was begun
        there = everybody(gallery)
        files = {int(Path(entry.path).stem) for entry in gallery.entries()}
    for left in path.glob(".audit.head.*.tmp"):
        left.unlink()  # it could be a reader's, so that repair removes it, and a writer does not
    assert verify(path).findings == ()
    assert len(there) == len(set(there))
    assert told.added <= files <= told.adding
    all_of = {f"{n}:{place}" for n in files for place in range(worker["people_of"](n))}
    missing = all_of - set(there)
    assert set(there) <= all_of
    assert told.forgotten <= missing <= told.forgetting
    noted = [record["reason"] for record in AuditLog(path).records() if record["action"] == "forget"]
    assert sorted(noted) == sorted(missing)  # each forgotten person once, whoever finished it
    assert left_on_disk(path, missing) == []
    told.forgetting, told.forgotten = set(missing), set(missing)
    told.added, told.adding = set(files), set(files)


def run(tmp_path: Path, kills: int, seed: int) -> Counter[str]:
    """So many kills of processes that write to one gallery; in the middle of what they were."""
    chance, hit, told = random.Random(seed), Counter[str](), Told()
    gallery, pictures = tmp_path / "gallery", tmp_path / "pictures"
    pictures.mkdir(parents=True)
    with Gallery.create(gallery, worker["MODEL"], worker["DIM"], "cosine") as new:
        new.add_source(pictures)
    with Workers() as workers:
        for kill in range(kills):
            hit[workers.killed(gallery, pictures, told, 1000 * seed + kill, chance.uniform(0.0, 0.5))] += 1
            check(gallery, told)
    assert told.added
    return hit


def test_a_few_kills(tmp_path: Path) -> None:
    run(tmp_path, kills=3, seed=1)


@pytest.mark.long
def test_a_hundred_kills(tmp_path: Path) -> None:
    """And on, until each operation was hit in its middle: how often a kill does is the machine's."""
    hit, operations = Counter[str](), ("adding", "forgetting", "maintaining")
    for gallery in range(15):
        if gallery >= 5 and min(hit[what] for what in operations) >= 5:
            break
        hit += run(tmp_path / f"{gallery}", kills=20, seed=2 + gallery)
    print("killed while", dict(hit))
    assert sum(hit.values()) >= 100
    assert min(hit[what] for what in operations) >= 5, hit
