"""Watching for named people: who in these frames is one of them, and was not told yet?

A named person is compared with everybody in a frame as a search would compare them. Whoever is
alike enough is told once for each way through a source (its tracklet), and not again while the
person keeps being seen there: an alert that comes every second is one that nobody reads.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from personsearch.errors import InputError
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.named import NamedPeople
from personsearch.indexing.watch_state import WatchState
from personsearch.ranking.calibration import Calibration
from personsearch.ranking.similarity import similarities
from personsearch.types import Array, Similarity

PROBABLE = 0.9
"""Probability from which somebody is told where the gallery is calibrated and nothing else is asked for."""

PRIOR = 0.02
"""Of those who pass, the share who are taken to be the person before anybody has looked: 2 of 100."""


@dataclass(frozen=True, kw_only=True)
class Bar:
    """From where on somebody is told: a probability, a similarity, or both; at least one.

    Attributes:
        probability: needs a calibration.
        similarity: as the model compares; minus the distance for ``"euclidean"``.
    """

    probability: float | None = None
    similarity: float | None = None

    def passes(self, alike: Array, probable: Array | None) -> Array:
        """(n,) bool: who is alike enough.

        >>> Bar(similarity=0.5).passes(np.array([0.4, 0.5]), None).tolist()
        [False, True]
        """
        enough = np.ones(len(alike), bool)
        if self.similarity is not None:
            enough &= alike >= self.similarity
        if self.probability is not None:
            enough &= np.zeros(len(alike), bool) if probable is None else probable >= self.probability
        return enough


@dataclass(frozen=True, eq=False, kw_only=True)
class Named:
    """The people who are watched for, as vectors.

    Attributes:
        names: what they are called.
        vectors: (p, d) float32, one each: what to look for.
        examples: of each, (e, d) embeddings of the person; probabilities are of their mean similarity,
            for that is what pairs were calibrated on.
        kind: how vectors are compared.
        calibration: turns similarities into probabilities, where there is one.
    """

    names: tuple[str, ...]
    vectors: Array
    examples: tuple[Array, ...]
    kind: Similarity
    calibration: Calibration | None


def load_named(
    gallery: Gallery, wanted: Sequence[str] = (), complain: Callable[[str], None] = lambda line: None
) -> Named:
    """The named people of a gallery, as they are now.

    Args:
        gallery: open.
        wanted: names; none for everybody who has one.
        complain: told of everybody who has no example by the gallery's model, unless asked for by name.

    Raises:
        InputError: nobody has a name, or somebody who is wanted is not there or has no example.
    """
    people = NamedPeople(gallery.path)
    names, vectors, examples = [], [], []
    for name in wanted or people.names():
        person = people.load(name)
        try:
            vectors.append(person.query(gallery.fingerprint, gallery.similarity))
        except InputError as error:
            if wanted:
                raise
            complain(str(error))
            continue
        names.append(person.name)
        examples.append(person.vectors(gallery.fingerprint))
    if not names:
        raise InputError(
            f"{gallery.path} has nobody to watch for",
            hint="save somebody first: personsearch search ... --save-as NAME",
        )
    return Named(
        names=tuple(names),
        vectors=np.stack(vectors),
        examples=tuple(examples),
        kind=gallery.similarity,
        calibration=gallery.calibration,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Crowd:
    """The people of one frame or picture, to be compared with those who have a name.

    Attributes:
        embeddings: (n, d) float32, raw.
        source: where they are: a camera, a video, a folder of pictures.
        clock: seconds in the source's own time, by which it is judged how long ago somebody was seen.
        tracklets: (n,) int64 ways through the source; None for pictures of their own.
    """

    embeddings: Array
    source: str
    clock: float
    tracklets: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Match:
    """One who is alike enough: the name, the row in the crowd, how alike, and how probably the person."""

    person: str
    row: int
    similarity: float
    probability: float | None
    tracklet: int | None


@dataclass
class Lookout:
    """Compares crowds with named people, and remembers what was told.

    Attributes:
        named: whom to look for; may be replaced by a newer state at any time.
        bar: how alike is enough.
        state: the memory.
        quiet: seconds within which a person who was seen in a source is not told there again.
    """

    named: Named
    bar: Bar
    state: WatchState
    quiet: float = 60.0
    _kept: dict[tuple[str, str], float] = field(default_factory=dict)

    def matches(self, crowd: Crowd) -> list[Match]:
        """Everybody in the crowd who has a name, told before or not; of one name the most alike only.

        One person cannot be two people of a frame, and two names can be one person: both are told.
        """
        if not len(crowd.embeddings):
            return []
        table = similarities(self.named.vectors, crowd.embeddings, self.named.kind)
        found = []
        for name, examples, alike in zip(self.named.names, self.named.examples, table, strict=True):
            row = int(np.argmax(alike))
            probable = self._probability(examples, crowd.embeddings[[row]])
            if self.bar.passes(alike[[row]], probable)[0]:
                found.append(
                    Match(
                        person=name,
                        row=row,
                        similarity=float(alike[row]),
                        probability=None if probable is None else float(probable[0]),
                        tracklet=None if crowd.tracklets is None else int(crowd.tracklets[row]),
                    )
                )
        return found

    def _probability(self, examples: Array, embedding: Array) -> Array | None:
        """(1,) that the one described by ``embedding`` (1, d) is the person; None without a calibration."""
        curve = self.named.calibration
        if curve is None:
            return None
        mean = similarities(examples, embedding, self.named.kind).astype(np.float64).mean(axis=0)
        return curve.probability(mean, prior=PRIOR)

    def news(self, crowd: Crowd, tell: Callable[[Match], None]) -> int:
        """Tell of everybody who was not told of yet, and remember it; how many that were.

        An alert is remembered after it was told: a kill in between may tell it twice, never not at all.
        """
        told = 0
        for match in self.matches(crowd):
            if self._is_known(match, crowd):
                self._still_there(match.person, crowd)
                continue
            tell(match)
            self.state.told(match.person, crowd.source, match.tracklet, crowd.clock)
            self._kept[match.person, crowd.source] = crowd.clock
            told += 1
        return told

    def _is_known(self, match: Match, crowd: Crowd) -> bool:
        if match.tracklet is not None and self.state.was_told(match.person, crowd.source, match.tracklet):
            return True
        key = match.person, crowd.source
        stored = self.state.last_seen(*key)
        last = self._kept.get(key, stored)
        return last is not None and abs(crowd.clock - last) < self.quiet

    def _still_there(self, person: str, crowd: Crowd) -> None:
        """Whoever stays is remembered as seen, on disk a few times in every quiet time."""
        self._kept[person, crowd.source] = crowd.clock
        stored = self.state.last_seen(person, crowd.source)
        if stored is None or abs(crowd.clock - stored) >= self.quiet / 4 > 0:
            self.state.seen(person, crowd.source, crowd.clock)
