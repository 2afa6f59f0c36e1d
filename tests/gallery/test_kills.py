"""kill -9 during adding, forgetting and folding: nothing acknowledged is lost, half there, twice, or back."""

import random
import runpy
import subprocess
import sys
import time
from pathlib import Path

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

    def hear(self, line: str) -> None:
        word, _, rest = line.strip().partition(" ")
        if word in ("adding", "added"):
            getattr(self, word).add(int(rest))
        elif word in ("forgetting", "forgotten"):
            getattr(self, word).add(rest)


def killed(gallery: Path, pictures: Path, told: Told, seed: int, seconds: float) -> None:
    """Let it work for so long, kill it, and hear what it said."""
    first = max(told.adding, default=-1) + 1
    arguments = [sys.executable, str(WORKER), str(gallery), str(pictures), str(first), str(seed)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(seconds)
        process.kill()
        for line in process.stdout.readlines():
            if line.endswith("\n"):
                told.hear(line)
        assert process.wait() == -9


def everybody(gallery: Gallery) -> list[str]:
    """ "picture:place" of everybody who is stored."""
    table = gallery._people_table
    table.newest()
    numbers = [n for batch in table.batches(["detection"]) for n in batch.column("detection").to_pylist()]
    return sorted(f"{Path(p.picture).stem}:{int(p.box[0]) // 20}" for p in gallery.stored(numbers))


def on_disk(gallery: Path, who: str) -> bool:
    """Whether the bytes of a person's vector are anywhere in the folder."""
    number, place = (int(word) for word in who.split(":"))
    needle = worker["seen_in"](number).embeddings[place].tobytes()
    return any(needle in file.read_bytes() for file in gallery.rglob("*") if file.is_file())


def check(path: Path, told: Told) -> None:
    """After a death: whole as it lies there, and, once a writer has opened it, just what was said."""
    report = verify(path)
    assert report.right, report.findings
    with Gallery.open(path, writable=True) as gallery:  # finishes a removal that was begun
        there = everybody(gallery)
        files = {int(Path(entry.path).stem) for entry in gallery.entries()}
    assert verify(path).findings == ()
    assert len(there) == len(set(there))
    assert told.added <= files <= told.adding
    all_of = {f"{n}:{place}" for n in files for place in range(worker["people_of"](n))}
    missing = all_of - set(there)
    assert set(there) <= all_of
    assert told.forgotten <= missing <= told.forgetting
    noted = [record["reason"] for record in AuditLog(path).records() if record["action"] == "forget"]
    assert sorted(noted) == sorted(missing)  # each forgotten person once, whoever finished it
    for who in missing:
        assert not on_disk(path, who), who
    told.forgetting, told.forgotten = set(missing), set(missing)
    told.added, told.adding = set(files), set(files)


def run(tmp_path: Path, kills: int, seed: int) -> None:
    gallery, pictures = tmp_path / "gallery", tmp_path / "pictures"
    pictures.mkdir()
    with Gallery.create(gallery, worker["MODEL"], worker["DIM"], "cosine") as new:
        new.add_source(pictures)
    chance, told = random.Random(seed), Told()
    for number in range(kills):
        killed(gallery, pictures, told, 1000 * seed + number, chance.uniform(0.0, 0.4))
        check(gallery, told)
    assert told.added


def test_a_few_kills(tmp_path: Path) -> None:
    run(tmp_path, kills=2, seed=1)


@pytest.mark.long
def test_a_hundred_kills(tmp_path: Path) -> None:
    run(tmp_path, kills=100, seed=2)
