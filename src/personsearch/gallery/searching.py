"""From vectors to hits: who is allowed, who is most alike, and all that is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from personsearch.gallery.description import Description
from personsearch.gallery.filters import Filter
from personsearch.gallery.ledger import Entry
from personsearch.gallery.matrix import Chosen
from personsearch.gallery.people import Per
from personsearch.gallery.snapshot import State
from personsearch.ranking.calibration import Calibration
from personsearch.ranking.kreciprocal import KReciprocalRules
from personsearch.ranking.presence import hit_probabilities
from personsearch.types import Array, Hit, Query, SearchResult

OrderKind = Literal["similarity", "k-reciprocal", "context"]

NAMED = 64
"""Sets of globs whose pictures are remembered: a byte a person each."""

CHOSEN = 8
"""Sets of conditions of which it is remembered who meets them: 5 to 13 bytes a person each."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a search is for, besides the person.

    Attributes:
        k: how many hits at most.
        per: ``"picture"`` gives the best person of each picture, for one person cannot be two of
            its people (of a video, of each tracklet); ``"person"`` gives everybody.
        min_score: people whom the detector was less sure of are no answer.
        where: further conditions.
        exact: look at everybody; otherwise at the nearest cells, where the gallery has any.
    """

    k: int = 20
    per: Per = "picture"
    min_score: float = 0.5
    where: Filter = field(default_factory=Filter)
    exact: bool = True

    def __post_init__(self) -> None:
        if self.k < 1 or self.per not in ("picture", "person"):
            raise ValueError(
                f"k must be at least 1 and per 'picture' or 'person', got {self.k}, {self.per!r}"
            )


@dataclass(frozen=True, kw_only=True)
class Order:
    """How hits are put in order.

    Attributes:
        kind: ``"similarity"``; ``"k-reciprocal"``, by shared neighbours among the best
            ``rules.top``; or ``"context"``, by who else is in the pictures of the best ``k1``.
        rules: of the second.
        k1, k2: of the third (:func:`personsearch.ranking.context.match_in_context`).
    """

    kind: OrderKind = "similarity"
    rules: KReciprocalRules = field(default_factory=KReciprocalRules)
    k1: int = 10
    k2: int = 3

    def __post_init__(self) -> None:
        if self.kind not in get_args(OrderKind) or self.k1 < 1 or self.k2 < 1:
            raise ValueError(f"no such order: {self}")


@dataclass(frozen=True, eq=False, kw_only=True)
class Searched:
    """What is searched: a gallery at one moment.

    Attributes:
        path, about, calibration: the gallery's.
        state: its ledger and people.
    """

    path: Path
    about: Description
    calibration: Calibration | None
    state: State

    def answers(
        self, embeddings: Array, queries: Sequence[Query], without: Sequence[int | None], asked: Asked
    ) -> Iterator[SearchResult]:
        """The result of each query, in order.

        Args:
            embeddings: (q, d) float32, of ``queries``.
            without: for each, the picture whose people are no answer; None for none.
            asked: what for.
        """
        people = self.state.people
        chosen = self.chosen(asked)
        kind = self.about.similarity
        located = None if asked.exact else self.state.located(self.path, self.about.fingerprint)
        if located is None:
            found = people.ranked(embeddings, asked.k, kind, asked.per, chosen, without)
        else:
            found = (
                located.best(query, asked.k, asked.per, chosen.mask, picture)
                for query, picture in zip(embeddings, without, strict=True)
            )
        plain = asked.where.is_empty
        number = chosen.number if plain else self.chosen(replace(asked, where=Filter())).number
        for query, (rows, alike) in zip(queries, found, strict=True):
            yield self.result(query, self.hits(rows, alike, asked.where, self.chances(alike, number)))

    def wanted(self, asked: Asked) -> Array:
        """(n,) bool: who may be an answer; the caller's own."""
        return self.chosen(asked).mask.copy()

    def chosen(self, asked: Asked) -> Chosen:
        """The same, kept with the state: one search after the other is of the same people."""
        key = asked.where, asked.min_score
        known = self.state.chosen.get(key)
        if known is None:
            wanted = self.state.people.meeting(asked.where, asked.min_score)
            if asked.where.paths:
                wanted &= self._named(asked.where)
            wanted.flags.writeable = False
            known = Chosen(wanted)
            if len(self.state.chosen) >= CHOSEN:
                self.state.chosen.clear()
            self.state.chosen[key] = known
        return known

    def chances(self, alike: Array, number: int) -> Array | None:
        """The probability of each hit in a gallery of so many people; None without a calibration."""
        return None if self.calibration is None else hit_probabilities(self.calibration, alike, number)

    def result(self, query: Query, hits: tuple[Hit, ...]) -> SearchResult:
        """These hits as the answer to a query."""
        return SearchResult(
            query=query,
            hits=hits,
            gallery=str(self.path),
            model=self.about.fingerprint,
            similarity=self.about.similarity,
            pictures=self.state.pictures,
            people=len(self.state.people),
        )

    def _named(self, where: Filter) -> Array:
        """(n,) bool: whose picture the globs name, at one of its places."""
        known = self.state.named.get(where.paths)
        if known is None:
            named = self._namer(where)
            pictures = {
                entry.picture
                for entry in self.state.ledger
                if entry.state == "done" and entry.picture is not None and named(entry)
            }
            known = np.isin(self.state.people.picture, np.array(sorted(pictures), np.int64))
            if len(self.state.named) >= NAMED:
                self.state.named.clear()
            self.state.named[where.paths] = known
        return known

    def _namer(self, where: Filter) -> Callable[[Entry], bool]:
        """Whether the globs name a file."""
        named = where.names()
        if named is None:
            return lambda entry: True
        folders = [source.folder(self.path).as_posix() for source in self.about.sources]
        return lambda entry: named(entry.place, f"{folders[entry.source].rstrip('/')}/{entry.path}")

    def _paths(self) -> dict[int, str]:
        """Whole paths of pictures as far as they are known; what is put into it is kept with the state.

        Of a gallery of one source only: that its folder is where it was is one look at the disk.
        """
        if len(self.about.sources) != 1:
            return {}
        return self.state.paths.setdefault(str(self.about.sources[0].folder(self.path)), {})

    def hits(self, chosen: Array, alike: Array, where: Filter, chances: Array | None) -> tuple[Hit, ...]:
        """The people in the rows ``chosen``, with all that is known of them."""
        people, ledger = self.state.people, self.state.ledger
        named = self._namer(where) if where.paths else None
        file, first_of = self.about.files(self.path), ledger.first_of
        paths = self._paths() if named is None else {}
        columns = zip(
            range(1, len(chosen) + 1),
            alike.tolist(),
            people.box[chosen],  # boxes of their own, not views of everybody's
            people.picture[chosen].tolist(),
            people.score[chosen].tolist(),
            people.detection[chosen].tolist(),
            [None] * len(chosen) if chances is None else chances.tolist(),
            people.circumstances_of(chosen),
            strict=True,
        )
        # A frozen dataclass sets each field by itself, at 4 us a hit; all of them at once are a tenth of it.
        new, put = Hit.__new__, object.__setattr__
        hits = []
        for rank, value, box, picture, score, number, chance, (camera, taken, position, piece) in columns:
            path = paths.get(picture)
            if path is None:
                entry = first_of(picture)
                if named is not None and not named(entry):  # then the picture is at another place as well
                    entries = ledger.entries_of(picture)
                    entry = next((e for e in entries if e.state == "done" and named(e)), entry)
                path = paths[picture] = file(entry.source, entry.path)
            hit = new(Hit)
            known = {
                "rank": rank,
                "similarity": value,
                "picture": path,
                "box": box,
                "score": score,
                "detection": number,
                "probability": chance,
                "camera": camera,
                "time": taken,
                "position": position,
                "span": piece,
            }
            put(hit, "__dict__", known)
            hits.append(hit)
        return tuple(hits)


def checked(embeddings: Array, dim: int) -> Array:
    """(q, dim) finite float32; ValueError for anything else."""
    table = np.asarray(embeddings, np.float32)
    if table.ndim != 2 or table.shape[1] != dim or not np.isfinite(table).all():
        raise ValueError(f"an embedding is ({dim},) finite numbers, got shape {table.shape[1:]}")
    return table
