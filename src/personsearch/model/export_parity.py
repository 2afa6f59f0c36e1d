"""Do two searchers answer alike? The check that every export has to pass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from personsearch.boxes import iou
from personsearch.progress import Progress, silent
from personsearch.ranking.similarity import similarities
from personsearch.types import Array, Picture, Similarity

SAME_PLACE = 0.5
"""Overlap from which two boxes are taken for one person."""
RANKS = 10
"""How many places of a list of hits are compared."""
MOST_QUERIES = 200


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """How far an export may be from its network before it is refused.

    The defaults leave two to three digits of room above what float32 costs, and none for a
    mistake: pixels normalised twice move a cosine by more than 0.001.

    Attributes:
        box: largest difference of a box's side, in pixels of the picture.
        score: largest difference of a score.
        cosine: smallest cosine between two descriptions of one person.
        embedding: largest length of their difference, as a share of the longer one.
        missing: share of people whom only one of the two sees. A person exactly at a threshold
            may fall on either side.
        ranks: smallest share of places in the first 10 hits that name the same person.
        tie: people whom the network itself finds alike to within this may swap places; of a
            cosine, or as a share of the largest distance.
    """

    box: float = 0.1
    score: float = 1e-3
    cosine: float = 0.9999
    embedding: float = 0.01
    missing: float = 0.02
    ranks: float = 0.99
    tie: float = 1e-5


@dataclass(frozen=True, kw_only=True)
class Parity:
    """What was measured; None where the model has no such answer.

    Attributes:
        pictures: how many were looked at.
        people: whom both see.
        missing: whom only one of the two sees.
        box, score: largest differences, pixels of the picture and probability.
        described: descriptions that were compared, of people found and of given boxes.
        cosine, embedding: smallest cosine, largest relative difference.
        searches: how many were compared.
        ranks: share of their places that name the same person, or one as alike.
        order: share that name the same person, ties counting as different.
        worst: for each measure the picture of its worst value.
    """

    pictures: int
    people: int | None = None
    missing: int | None = None
    box: float | None = None
    score: float | None = None
    described: int = 0
    cosine: float | None = None
    embedding: float | None = None
    searches: int = 0
    ranks: float | None = None
    order: float | None = None
    worst: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    def complaints(self, allowed: Tolerances) -> list[str]:
        """Why the two are not the same model; empty when they are.

        >>> Parity(pictures=3, people=9, missing=0, box=2.5, score=0.0).complaints(Tolerances())
        ['a box is 2.5 px off (0.1 allowed)']
        """
        found = []
        if self.people is not None:
            everybody = self.people + (self.missing or 0)
            if not everybody:
                found.append(f"nobody was seen in {self.pictures} pictures, which proves nothing")
            elif (self.missing or 0) > allowed.missing * everybody:
                found.append(f"{self.missing} of {everybody} people are seen by one of the two only")
        checks = (
            ("box", self.box, allowed.box, "a box is {} px off ({} allowed)"),
            ("score", self.score, allowed.score, "a score is {} off ({} allowed)"),
            (
                "embedding",
                self.embedding,
                allowed.embedding,
                "an embedding is {} of its length off ({} allowed)",
            ),
        )
        for name, value, most, text in checks:
            if value is not None and not value <= most:  # NaN is no agreement
                found.append(text.format(f"{value:.3g}", f"{most:g}") + self._where(name))
        if self.cosine is not None and not self.cosine >= allowed.cosine:
            found.append(
                f"the cosine of two descriptions of one person is {self.cosine:.4f}"
                f" (at least {allowed.cosine:g} wanted)" + self._where("cosine")
            )
        if self.ranks is not None and not self.ranks >= allowed.ranks:
            found.append(
                f"{self.ranks:.1%} of the first hits name the same person ({allowed.ranks:.1%} wanted)"
            )
        return found

    def _where(self, measure: str) -> str:
        return f" in {self.worst[measure]}" if self.worst.get(measure) else ""


def compare(
    eager: Any,
    exported: Any,
    pictures: Sequence[Picture],
    *,
    tie: float = Tolerances.tie,
    progress: Progress = silent,
) -> Parity:
    """Both models' answers to ``pictures``, side by side.

    Args:
        eager, exported: two searchers, two detectors or two embedders.
        pictures: of several sizes and shapes, with people.
        tie: see :class:`Tolerances`.
        progress: told of every picture.

    Whom both see is decided by overlap, one to one. Descriptions are compared of people found
    and of given boxes: those found, and a fixed set that reaches to the picture's borders. The
    searches ask by those, among everybody found (for an embedder: among the boxes themselves).
    """
    notes = _Notes()
    for picture in progress(pictures, "comparing", total=len(pictures)):
        boxes = probe_boxes(picture.size)
        if hasattr(eager, "detect"):
            boxes = np.concatenate([notes.detections(eager, exported, picture), boxes])
        if hasattr(eager, "embed"):
            notes.descriptions(
                picture.name, eager.embed(picture, boxes), exported.embed(picture, boxes), notes.asked
            )
    return notes.parity(len(pictures), hasattr(eager, "detect"), getattr(eager, "similarity", "cosine"), tie)


class _Notes:
    """What is written down picture by picture."""

    def __init__(self) -> None:
        self.people = self.missing = 0
        self.values: dict[str, list[tuple[float, str]]] = {
            name: [] for name in ("box", "score", "cosine", "embedding")
        }
        self.asked: list[tuple[Array, Array]] = []
        self.known: list[tuple[Array, Array]] = []

    def detections(self, eager: Any, exported: Any, picture: Picture) -> Array:
        """Compare who is found; (n, 4) the boxes of whom the eager model finds."""
        first, second = eager.detect(picture), exported.detect(picture)
        rows, columns = pairs(first.boxes, second.boxes)
        self.people += len(rows)
        self.missing += len(first) + len(second) - 2 * len(rows)
        first_seen, second_seen = first.take(rows), second.take(columns)
        if len(rows):
            self._add("box", np.abs(first_seen.boxes - second_seen.boxes), picture.name)
            self._add("score", np.abs(first_seen.scores - second_seen.scores), picture.name)
        if first.embeddings.shape[1]:
            self.descriptions(picture.name, first_seen.embeddings, second_seen.embeddings, self.known)
        boxes: Array = first.boxes
        # A box can end up without an area at the border; nobody may be described there.
        return boxes[((boxes[:, 2:] - boxes[:, :2]) > 0).all(axis=1)]

    def descriptions(self, where: str, a: Array, b: Array, kept: list[tuple[Array, Array]]) -> None:
        """Compare rows of two tables of embeddings, and keep them for the searches."""
        if len(a):
            self._add("cosine", -cosines(a, b), where)
            self._add("embedding", distances(a, b), where)
        kept.append((a, b))

    def _add(self, measure: str, values: Array, where: str) -> None:
        worst = float(np.max(values)) if np.isfinite(values).all() else float("nan")
        self.values[measure].append((worst, where))

    def parity(self, pictures: int, finds: bool, similarity: Similarity, tie: float) -> Parity:
        worst = {name: _worst(found) for name, found in self.values.items() if found}
        value = {name: pair[0] for name, pair in worst.items()}
        answers = self._ranks(finds, similarity, tie)
        return Parity(
            pictures=pictures,
            people=self.people if finds else None,
            missing=self.missing if finds else None,
            box=value.get("box"),
            score=value.get("score"),
            described=sum(len(a) for a, _ in self.asked + self.known),
            cosine=-value["cosine"] if "cosine" in value else None,
            embedding=value.get("embedding"),
            searches=answers[0],
            ranks=answers[1],
            order=answers[2],
            worst={name: pair[1] for name, pair in worst.items()},
        )

    def _ranks(
        self, finds: bool, similarity: Similarity, tie: float
    ) -> tuple[int, float | None, float | None]:
        known = self.known if finds else self.asked
        if not self.asked or not sum(len(a) for a, _ in known):
            return 0, None, None
        queries, people = _stacked(self.asked), _stacked(known)
        chosen = np.unique(np.linspace(0, len(queries[0]) - 1, MOST_QUERIES).astype(int))
        found = [similarities(q[chosen], p, similarity) for q, p in zip(queries, people, strict=True)]
        same, order = rank_agreement(*found, tie=tie if similarity == "cosine" else tie * _span(found[0]))
        return len(chosen), same, order


def _stacked(tables: Iterable[tuple[Array, Array]]) -> tuple[Array, Array]:
    first, second = zip(*tables, strict=True)
    return np.concatenate(first), np.concatenate(second)


def _worst(found: list[tuple[float, str]]) -> tuple[float, str]:
    """The largest value and its picture; NaN is worse than any."""
    return max(found, key=lambda pair: (np.isnan(pair[0]), pair[0]))


def _span(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.abs(finite).max()) if finite.size else 0.0


def pairs(a: Array, b: Array) -> tuple[Array, Array]:
    """Rows of ``a`` (n, 4) and of ``b`` (m, 4) that are one person: the best one-to-one overlap.

    >>> pairs(np.array([[0, 0, 9, 9.0], [20, 0, 29, 9]]), np.array([[20, 1, 29, 9.0], [50, 0, 60, 9]]))
    (array([1]), array([0]))
    """
    overlap = iou(a, b)
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    same = overlap[rows, columns] >= SAME_PLACE
    return rows[same], columns[same]


def cosines(a: Array, b: Array) -> Array:
    """(n,) cosines of the rows of two tables (n, d), float64; two zero rows are alike (1).

    >>> cosines(np.array([[1.0, 0], [0, 0], [0, 2]]), np.array([[0, 1.0], [0, 0], [0, 5]])).tolist()
    [0.0, 1.0, 1.0]
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    lengths = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    product = np.einsum("nd,nd->n", a, b)
    both = lengths[0] * lengths[1]
    alike: Array = np.divide(product, both, out=np.zeros_like(product), where=both != 0)
    alike[np.isnan(product)] = np.nan
    alike[(lengths[0] == 0) & (lengths[1] == 0)] = 1.0
    return alike


def distances(a: Array, b: Array) -> Array:
    """(n,) lengths of the rows' differences as shares of the longer row; 0 for two zero rows.

    >>> distances(np.array([[3.0, 4], [0, 0]]), np.array([[3.0, 3], [0, 0]])).tolist()
    [0.2, 0.0]
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    longer = np.maximum(np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1))
    apart: Array = np.linalg.norm(a - b, axis=1)
    shares: Array = np.divide(apart, longer, out=apart.copy(), where=longer != 0)
    return shares


def rank_agreement(eager: Array, exported: Array, *, k: int = RANKS, tie: float = 0.0) -> tuple[float, float]:
    """Over all places 1 to ``k`` of all lists: (same person or as alike, same person).

    Args:
        eager, exported: (q, n) similarities of the same queries to the same people.
        k: places compared; all there are, where there are fewer people.
        tie: two people whose ``eager`` similarities are no farther apart may stand for each other.

    The first list puts 0 before 1, the second 1 before 0; they are 0.1 apart:

    >>> ours, theirs = np.array([[0.9, 0.8]]), np.array([[0.85, 0.86]])
    >>> rank_agreement(ours, theirs), rank_agreement(ours, theirs, tie=0.11)
    ((0.0, 0.0), (1.0, 0.0))
    """
    places = min(k, eager.shape[1])
    ours = np.argsort(-eager, axis=1, kind="stable")[:, :places]
    theirs = np.argsort(-exported, axis=1, kind="stable")[:, :places]
    same = ours == theirs
    apart = np.abs(np.take_along_axis(eager, ours, 1) - np.take_along_axis(eager, theirs, 1))
    return float((same | (apart <= tie)).mean()), float(same.mean())


def probe_boxes(size: tuple[int, int]) -> Array:
    """(5, 4) boxes in a picture of ``size`` (width, height): all of it, its corners, a person amid it.

    >>> probe_boxes((100, 200))[[0, -1]].tolist()
    [[0.0, 0.0, 100.0, 200.0], [40.0, 50.0, 60.0, 150.0]]
    """
    width, height = size
    shares = np.array(
        [[0, 0, 1, 1], [0, 0, 0.3, 0.6], [0.5, 0.3, 1, 1], [0.05, 0.1, 0.15, 0.9], [0.4, 0.25, 0.6, 0.75]]
    )
    boxes: Array = (shares * np.array([width, height, width, height])).astype(np.float32)
    return boxes
