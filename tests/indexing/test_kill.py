"""kill -9 in the middle of indexing: nothing acknowledged is lost, nothing is half there or twice."""

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from personsearch.gallery.gallery import Gallery
from personsearch.indexing.local import index_sources
from personsearch.indexing.options import IndexOptions
from personsearch.types import Query

# Commits a batch every two pictures and says so: a picture is acknowledged when the line is out.
PROGRAM = """
import runpy, sys
from personsearch.gallery import batch
from personsearch.indexing.local import index_sources
from personsearch.indexing.options import IndexOptions
batch.FILES, batch.TIDY_EVERY = 2, 5
real = batch.Batch.commit
def commit(self):
    entries = [entry.path for entry in self._entries.values()]
    real(self)
    for path in entries:
        print(path, flush=True)
batch.Batch.commit = commit
import lancedb  # takes seconds; the kills should hit work, not this
searcher = runpy.run_path(sys.argv[1])["ColourSearcher"](wait=0.002)
print("ready", flush=True)
index_sources([sys.argv[2]], sys.argv[3], searcher, IndexOptions(near_duplicates=True))
"""


def people_of(number: int) -> int:
    return number % 5


def colour(number: int, person: int) -> tuple[int, int, int]:
    return 40 + number, 60 + 40 * person, 255 - 2 * number


def killed_while_indexing(folder: Path, gallery: Path, lines: int, seconds: float) -> list[str]:
    """Index and kill it that long after so many pictures were acknowledged; all that were by then."""
    searcher = Path(__file__).with_name("colour_searcher.py")
    arguments = [sys.executable, "-c", PROGRAM, str(searcher), str(folder), str(gallery)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        acknowledged = [process.stdout.readline() for _ in range(lines)]
        time.sleep(seconds)
        process.kill()
        acknowledged += process.stdout.readlines()
        assert process.wait() in (0, -9)
    return [line.strip() for line in acknowledged if line.endswith("\n")]


def check(gallery_path: Path, acknowledged: set[str]) -> None:
    """Whole pictures only, each once, all that were acknowledged among them."""
    if not (gallery_path / "gallery.json").exists():
        assert not acknowledged
        return
    with Gallery.open(gallery_path) as gallery:
        entries = {entry.path: entry for entry in gallery.entries()}
        result = gallery.search(
            np.zeros(3), 10_000, fingerprint="c" * 64, query=Query("q", [0, 0, 1, 1]), per="person"
        )
    assert acknowledged <= set(entries)
    stored = Counter(Path(hit.picture).name for hit in result.hits)
    assert stored == Counter({p: people_of(int(Path(p).stem)) for p in entries})
    assert len({(hit.picture, tuple(hit.box)) for hit in result.hits}) == len(result.hits)
    assert len({hit.detection for hit in result.hits}) == len(result.hits)


def run(tmp_path: Path, draw: Callable, new_searcher: Callable, *, kills: int, seed: int) -> None:
    """Index with ``kills`` kills and a check after each, then to the end."""
    folder, gallery = tmp_path / "pictures", tmp_path / "gallery"
    pictures = 60
    for number in range(pictures):
        path = draw(folder / f"{number:02}.jpg", *[colour(number, p) for p in range(people_of(number))])
        path.write_bytes(path.read_bytes() + path.name.encode())  # no two with the same content
    chance = random.Random(seed)
    acknowledged: set[str] = set()
    for _ in range(kills):
        if len(acknowledged) > pictures - 10:
            shutil.rmtree(gallery)
            acknowledged.clear()
        lines = chance.randrange(10)
        acknowledged.update(killed_while_indexing(folder, gallery, lines, chance.uniform(0, 0.03)))
        check(gallery, acknowledged)
    report = index_sources([folder], gallery, new_searcher(), IndexOptions(near_duplicates=True))
    assert not report.failures
    assert report.added + report.unchanged == pictures
    assert report.unchanged >= len(acknowledged)
    check(gallery, {f"{number:02}.jpg" for number in range(pictures)})
    with Gallery.open(gallery, writable=True) as swept:
        assert len(swept._people_table) == sum(people_of(number) for number in range(pictures))


def test_a_few_kills(tmp_path: Path, draw: Callable, new_searcher: Callable) -> None:
    run(tmp_path, draw, new_searcher, kills=3, seed=1)


@pytest.mark.long
def test_many_kills(tmp_path: Path, draw: Callable, new_searcher: Callable) -> None:
    run(tmp_path, draw, new_searcher, kills=40, seed=2)
