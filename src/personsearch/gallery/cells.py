"""Searching a part of a very large gallery: vectors sorted into cells, of which the nearest are looked at.

For galleries so large that reading every vector takes too long, and never by itself: a search is exact
unless it asks not to be. Whoever is in the cells looked at is ranked exactly, so a hit's similarity is
right and only its absence can be wrong. How many cells are looked at is not guessed but measured on the
gallery's own people when the cells are made, for a recall of the best 100 of at least ``RECALL``. With
conditions the share of people who meet them decides: of few, all are looked at, which is exact; of many,
proportionally more cells.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.errors import InputError
from personsearch.files import disk_errors, sync_folder, write_atomically
from personsearch.gallery.people import People, Per
from personsearch.ranking.similarity import norms
from personsearch.types import Array, Similarity

FILE = "cells.npz"
FORMAT = 1

RECALL = 0.995
"""Aimed at when the cells are made, so that 0.99 is kept by people who are added later."""

FEW = 0.1
"""With a smaller share of people meeting the conditions all of them are ranked."""

ROUNDS, SAMPLE, TRIALS = 8, 64, 100
GROWTH = 2.0
"""Cells are made anew when there are so many times more people than then."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cells:
    """A partition of everybody.

    Attributes:
        centres: (c, d) float32; unit vectors for ``"cosine"``.
        kind: how vectors are compared.
        detection, cell: (n,) whose cell is which, by rising detection number.
        probes: how many cells are looked at when there are no conditions.
        recall: what that gave when it was measured.
        fingerprint: of the model.
    """

    centres: Array
    kind: Similarity
    detection: Array
    cell: Array
    probes: int
    recall: float
    fingerprint: str

    def of(self, people: People) -> Located:
        """The cells of ``people``; whoever came later is put into the nearest now."""
        place = np.searchsorted(self.detection, people.detection)
        place[place == len(self.detection)] = 0
        known = (
            self.detection[place] == people.detection if len(self.detection) else np.zeros(len(people), bool)
        )
        cell = np.empty(len(people), np.int32)
        cell[known] = self.cell[place[known]]
        cell[~known] = nearest(people.vectors[~known], self.centres, self.kind)
        order = np.argsort(cell, kind="stable")
        start = np.searchsorted(cell[order], np.arange(len(self.centres) + 1))
        return Located(cells=self, people=people, order=order, start=start)

    def write(self, gallery: Path) -> None:
        """Write ``cells.npz``, all or nothing."""
        arrays: dict[str, Any] = {
            "format": np.array(FORMAT),
            "centres": self.centres,
            "kind": np.array(self.kind),
            "detection": self.detection,
            "cell": self.cell,
            "probes": np.array(self.probes),
            "recall": np.array(self.recall),
            "fingerprint": np.array(self.fingerprint),
        }
        write_atomically(gallery / FILE, lambda file: np.savez(file, **arrays))


@dataclass(frozen=True, eq=False, kw_only=True)
class Located:
    """People in their cells: those of cell ``i`` are the rows ``order[start[i]:start[i + 1]]``."""

    cells: Cells
    people: People
    order: Array
    start: Array

    def candidates(self, query: Array, wanted: Array, k: int) -> Array:
        """(n,) bool: who among the ``wanted`` is ranked for ``query`` (d,)."""
        share = float(wanted.mean()) if len(wanted) else 0.0
        if share < FEW:
            return wanted
        probes = int(np.ceil(self.cells.probes / share))
        ranked = np.argsort(-_closeness(query[None], self.cells.centres, self.cells.kind)[0], kind="stable")
        chosen = np.zeros(len(wanted), bool)
        found = 0
        for number, cell in enumerate(ranked):
            if number >= probes and found >= k:
                break
            rows = self.order[self.start[cell] : self.start[cell + 1]]
            rows = rows[wanted[rows]]
            chosen[rows] = True
            found += len(rows)
        return chosen

    def best(self, query: Array, k: int, per: Per, wanted: Array, without: int | None) -> tuple[Array, Array]:
        """Rows and similarities of the best ``k`` in the cells looked at."""
        looked_at = self.candidates(query, wanted, k)
        ranked = self.people.ranked(query[None], k, self.cells.kind, per, looked_at, [without])
        return next(iter(ranked))


def make_cells(people: People, kind: Similarity, fingerprint: str, *, seed: int = 0) -> Cells:
    """Sort ``people`` into about 4 sqrt(n) cells by Lloyd's iteration, and measure how many to look at.

    Raises:
        InputError: there are fewer than 1,000 people.
    """
    n = len(people)
    if n < 1000:
        raise InputError(f"{n} people are too few to be sorted into cells", hint="an exact search is fastest")
    rng = np.random.default_rng(seed)
    number = int(np.clip(4 * np.sqrt(n), 16, 16384))
    sample = rng.permutation(n)[: min(n, SAMPLE * number)]
    centres = people.vectors[sample[:number]].copy()
    vectors = people.vectors[sample]
    for _ in range(ROUNDS):
        centres = _moved(vectors, nearest(vectors, centres, kind), _form(centres, kind), kind)
    cells = Cells(
        centres=centres,
        kind=kind,
        detection=people.detection,
        cell=nearest(people.vectors, centres, kind),
        probes=number,
        recall=1.0,
        fingerprint=fingerprint,
    )
    return _measured(cells, people, rng)


def read_cells(gallery: Path, fingerprint: str) -> Cells | None:
    """The cells kept with a gallery; None for none, or for those of another model.

    Raises:
        InputError: the file is damaged.
    """
    path = gallery / FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            cells = Cells(
                centres=kept["centres"],
                kind=str(kept["kind"]),  # type: ignore[arg-type]
                detection=kept["detection"],
                cell=kept["cell"],
                probes=int(kept["probes"]),
                recall=float(kept["recall"]),
                fingerprint=str(kept["fingerprint"]),
            )
            version = int(kept["format"])
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} is damaged: {type(error).__name__}", hint="personsearch gallery maintain makes it anew"
        ) from error
    return cells if version == FORMAT and cells.fingerprint == fingerprint else None


def forget_cells(gallery: Path) -> None:
    """Remove the cells kept with a gallery, if there are any."""
    if (gallery / FILE).exists():
        with disk_errors(gallery):
            (gallery / FILE).unlink()
            sync_folder(gallery)


def nearest(vectors: Array, centres: Array, kind: Similarity) -> Array:
    """(n,) int32 which of ``centres`` is nearest to each of ``vectors``, some thousand at a time."""
    found = np.empty(len(vectors), np.int32)
    step = max(1, (1 << 24) // len(centres))
    for first in range(0, len(vectors), step):
        found[first : first + step] = _closeness(vectors[first : first + step], centres, kind).argmax(axis=1)
    return found


def _closeness(vectors: Array, centres: Array, kind: Similarity) -> Array:
    """(n, c) how near, in an order only."""
    product: Array = vectors @ centres.T
    if kind == "euclidean":
        product = product - 0.5 * np.einsum("cd,cd->c", centres, centres)
    return product


def _form(centres: Array, kind: Similarity) -> Array:
    """Centres as they are compared: unit vectors where lengths do not count."""
    if kind != "cosine":
        return centres
    lengths = norms(centres)[:, None]
    unit: Array = np.divide(centres, lengths, out=np.zeros_like(centres), where=lengths > 0)
    return unit


def _moved(vectors: Array, cell: Array, centres: Array, kind: Similarity) -> Array:
    """Each centre in the middle of its vectors; an empty one stays."""
    order = np.argsort(cell, kind="stable")
    starts = np.searchsorted(cell[order], np.arange(len(centres)))
    counts = np.bincount(cell, minlength=len(centres))
    full = counts > 0
    moved = centres.copy()
    sums = np.add.reduceat(_form(vectors, kind)[order], starts[full], axis=0)
    moved[full] = sums / counts[full, None]
    return _form(moved, kind)


def _measured(cells: Cells, people: People, rng: np.random.Generator) -> Cells:
    """The same with as few probes as give the recall aimed at, on some of the people themselves.

    A query is one of them moved a third of the way to another, for a query is not in the gallery.
    """
    rows = rng.integers(0, len(people), (TRIALS, 2))
    form = _form(people.vectors[rows[:, 0]], cells.kind), _form(people.vectors[rows[:, 1]], cells.kind)
    queries = (2 * form[0] / 3 + form[1] / 3).astype(np.float32)
    everybody = np.ones(len(people), bool)
    none: list[int | None] = [None] * TRIALS
    k = min(100, len(people))
    exact = [set(r.tolist()) for r, _ in people.ranked(queries, k, cells.kind, "person", everybody, none)]
    probes = 1
    while True:
        cells = replace(cells, probes=probes)
        located = cells.of(people)
        shares = [
            len(best & set(located.best(query, k, "person", everybody, None)[0].tolist())) / k
            for query, best in zip(queries, exact, strict=True)
        ]
        recall = float(np.mean(shares))
        if recall >= RECALL or probes >= len(cells.centres):
            return replace(cells, recall=recall)
        probes = min(len(cells.centres), max(probes + 1, int(probes * 1.5)))
