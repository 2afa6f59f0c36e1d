"""Looking for somebody by several examples: who is like them, in which order, and is anybody there?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from personsearch.errors import InputError, UsageError
from personsearch.gallery.filters import Filter
from personsearch.gallery.ledger import Ledger, Place
from personsearch.gallery.matrix import best_of_groups
from personsearch.gallery.named import Example, NamedPerson
from personsearch.gallery.people import People
from personsearch.gallery.searching import Asked, Order, Searched
from personsearch.gallery.suppression import overlapping
from personsearch.gallery.tables import Table
from personsearch.gallery.terms import Terms
from personsearch.ranking.context import match_in_context
from personsearch.ranking.kreciprocal import rerank
from personsearch.ranking.presence import TOP, Judgement, hit_probabilities, judge
from personsearch.ranking.similarity import similarities
from personsearch.types import Array, Query, SearchResult


class NoContext(UsageError):
    """The order of the context was asked for, and there is none."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sought:
    """Whom a search is for.

    Attributes:
        name: what the person is called: a saved name, or the query's picture.
        examples: of the person, and of others who are not.
        context: (m, d) raw embeddings of others in the query's picture, best first, for the order
            ``"context"``; None where the gallery is to say who else is in the picture of a hit.
        own: the pictures of the person's examples are answers, too.
    """

    name: str
    examples: tuple[Example, ...]
    context: Array | None = None
    own: bool = False

    @property
    def right(self) -> tuple[Example, ...]:
        """The examples of the person."""
        return tuple(example for example in self.examples if example.right)

    @property
    def person(self) -> NamedPerson:
        """The same as somebody who can be saved."""
        return NamedPerson(name=self.name, examples=self.examples)

    def query(self) -> Query:
        """The first example of the person, as results name a query."""
        first = self.right[0]
        return Query(first.picture or self.name, first.box, position=first.position)


@dataclass(frozen=True, eq=False, kw_only=True)
class Answered:
    """A search by examples, and what it is worth.

    Attributes:
        result: the hits, best first. Their similarity is that of the combined examples; their
            probability is that of the mean similarity to the examples of the person.
        sought: whom it was for.
        order: how they were put in order.
        judgement: whether the person is there; None without a calibration.
        ranked: how many people could have been an answer.
        asked: how many hits were asked for, and who was searched.
        strange: cameras that were asked for and that nobody was seen by.
    """

    result: SearchResult
    sought: Sought
    order: Order
    judgement: Judgement | None
    ranked: int
    asked: Asked = field(default_factory=Asked)
    strange: tuple[str, ...] = ()

    @property
    def terms(self) -> Terms:
        """On which terms the person can be looked for again, by whoever has the examples.

        Who is beside the person in a query's own picture is not kept: without it, the order of the
        context is that of similarity.
        """
        lost = self.order.kind == "context" and self.sought.context is not None
        order = Order() if lost else self.order
        return Terms(asked=self.asked, order=order, own=self.sought.own)


def answer(
    searched: Searched, sought: Sought, asked: Asked, order: Order, pictures: Mapping[object, int | None]
) -> Answered:
    """The answer of a gallery at one moment; see :meth:`personsearch.gallery.reading.ReadableGallery.ask`.

    Left out are the pictures (of videos, the tracklets) of the examples of the person, unless they
    are wanted, for there the person is known to be; and those who are known not to be the person.

    Probabilities are those of a search without conditions: a camera or a time that few people meet
    makes nobody more probable.

    Args:
        searched: the gallery.
        sought: whom for.
        asked: how many hits, and who is searched.
        order: how they are put in order.
        pictures: number of the picture that each example from a file is in, by its key.
    """
    kind, model = searched.about.similarity, searched.about.fingerprint
    query = sought.person.query(model, kind)
    people = searched.state.people
    stay = ~_left_out(searched, sought, pictures)
    wanted = searched.chosen(asked).mask & stay
    ranked = number = int(np.count_nonzero(wanted))
    if not asked.where.is_empty:
        number = int(np.count_nonzero(searched.chosen(replace(asked, where=Filter())).mask & stay))
    ways = {"similarity": _by_similarity, "k-reciprocal": _by_neighbours, "context": _by_context}
    rows, alike = ways[order.kind](searched, query, sought, asked, order, wanted)
    judgement, chances = None, None
    if searched.calibration is not None:
        mean = _mean_similarity(sought.person.vectors(model), people.vectors[rows], searched)
        chances = hit_probabilities(searched.calibration, mean, number)
        best = rows[:TOP]  # the verdict does not depend on how many hits are shown
        if order.kind != "similarity" or len(rows) < TOP or asked.per != "picture" or not asked.exact:
            best = next(people.ranked(query[None], TOP, kind, "picture", wanted, [None]))[0]
        mean = _mean_similarity(sought.person.vectors(model), people.vectors[best], searched)
        judgement = judge(
            searched.calibration,
            np.sort(mean)[::-1],
            number,
            compared=ranked,
            nearest=_nearest(searched, sought, wanted),
        )
    hits = searched.hits(rows, alike, asked.where, chances)
    return Answered(
        result=searched.result(sought.query(), hits),
        sought=sought,
        order=order,
        judgement=judgement,
        ranked=ranked,
        asked=asked,
        strange=tuple(name for name in asked.where.cameras if name not in people.cameras),
    )


def _nearest(searched: Searched, sought: Sought, wanted: Array) -> float | None:
    """How similar the nearest of the ``wanted`` is to any one example of the person; None for nobody.

    None also for one example, and nobody else's, which the order of the hits is by already.
    """
    people, model = searched.state.people, searched.about.fingerprint
    examples = sought.person.vectors(model)
    if len(examples) == 1 and not len(sought.person.vectors(model, right=False)):
        return None
    without: list[int | None] = [None] * len(examples)
    best = people.ranked(examples, 1, searched.about.similarity, "person", wanted, without)
    nearest = [float(alike[0]) for _, alike in best if len(alike)]
    return max(nearest, default=None)


def _mean_similarity(examples: Array, vectors: Array, searched: Searched) -> Array:
    """(n,) mean over the person's examples of their similarity to each of ``vectors``.

    That is what pairs were calibrated on; the similarity to combined examples is not.
    """
    table = similarities(examples, vectors, searched.about.similarity).astype(np.float64)
    mean: Array = table.mean(axis=0)
    return mean


def _left_out(searched: Searched, sought: Sought, pictures: Mapping[object, int | None]) -> Array:
    """(n,) bool: where the person is known to be, and who is known not to be the person."""
    people = searched.state.people
    shots: list[int] = []
    wholes: list[int] = []
    out = np.zeros(len(people), bool)
    boxes: dict[int, list[Array]] = {}
    for example in sought.examples:
        if example.right and sought.own:
            continue
        row, number = _row_of(example, people), pictures.get(example.key)
        if row is not None:
            shots += [int(people.shot[row])] if example.right else []
            out[row] = True
        elif number is not None and example.right:
            wholes.append(number)
        elif number is not None:
            boxes.setdefault(number, []).append(example.box)
    # One look at everybody, not one an example: a person with hundreds of judged hits is not slower.
    if shots:
        out |= np.isin(people.shot, shots)
    if wholes:
        out |= np.isin(people.picture, wholes)
    if boxes:
        rows = np.flatnonzero(np.isin(people.picture, list(boxes)))
        for number, others in boxes.items():
            here = rows[people.picture[rows] == number]
            out[here] |= overlapping(people.box[here], np.stack(others))
    return out


def _row_of(example: Example, people: People) -> int | None:
    """Where the hit stands that an example was; None where there is none (any more)."""
    if example.detection is None or not len(people):
        return None
    row = int(np.searchsorted(people.detection, example.detection))
    return row if row < len(people) and people.detection[row] == example.detection else None


def _by_similarity(
    searched: Searched, query: Array, sought: Sought, asked: Asked, order: Order, wanted: Array
) -> tuple[Array, Array]:
    """Rows and similarities of the best ``asked.k``."""
    located = None
    if not asked.exact:
        located = searched.state.located(searched.path, searched.about.fingerprint)
    if located is not None:
        return located.best(query, asked.k, asked.per, wanted, None)
    kind = searched.about.similarity
    return next(searched.state.people.ranked(query[None], asked.k, kind, asked.per, wanted, [None]))


def _by_neighbours(
    searched: Searched, query: Array, sought: Sought, asked: Asked, order: Order, wanted: Array
) -> tuple[Array, Array]:
    """The best ``order.rules.top`` in the order of shared neighbours, everybody else behind them."""
    people, kind = searched.state.people, searched.about.similarity
    most = max(order.rules.top, asked.k)
    rows, alike = next(people.ranked(query[None], order.rules.top, kind, "person", wanted, [None]))
    new, _ = rerank(query, people.vectors, alike, kind, order.rules, rows=rows)
    behind = next(people.ranked(query[None], most, kind, asked.per, wanted, [None]))
    rest = ~np.isin(behind[0], rows)
    rows, alike = np.append(rows[new], behind[0][rest]), np.append(alike[new], behind[1][rest])
    return _best(rows, alike, searched, asked)


def _by_context(
    searched: Searched, query: Array, sought: Sought, asked: Asked, order: Order, wanted: Array
) -> tuple[Array, Array]:
    """By similarities that companions of the query have revised, in the pictures of the best ``order.k1``."""
    others = sought.context if sought.context is not None else _companions(searched, sought, asked)
    if not len(others):
        raise NoContext(
            "nobody else is known in the query's picture, so there is no context",
            hint="leave --context out, or give a picture with several people",
        )
    people, kind = searched.state.people, searched.about.similarity
    most = max(order.k1, 4 * asked.k, 64)
    rows, alike = next(people.ranked(query[None], most, kind, "person", wanted, [None]))
    if not len(rows):
        return rows, alike
    first = rows[: order.k1]
    here = np.flatnonzero(wanted & np.isin(people.picture, people.picture[first]))
    frames = np.unique(np.stack([people.picture[here], people.frame[here]]), axis=1, return_inverse=True)[1]
    beside = np.isin(frames, frames[np.searchsorted(here, first)])
    here, frames = here[beside], frames[beside]
    own = similarities(query[None], people.vectors[here], kind)[0]
    context = np.concatenate([query[None], others]).astype(np.float32)
    revised = match_in_context(
        own, frames, people.vectors, context, k1=order.k1, k2=order.k2, kind=kind, rows=here
    )
    rest = ~np.isin(rows, here)
    rows = np.concatenate([here, rows[rest]])
    values = np.concatenate([revised, alike[rest]])
    plain = np.concatenate([own, alike[rest]])
    sort = np.lexsort((rows, -values))
    return _best(rows[sort], plain[sort], searched, asked)


def _companions(searched: Searched, sought: Sought, asked: Asked) -> Array:
    """(m, d) whoever else is stored in the picture or frame of the first hit among the examples."""
    people = searched.state.people
    first = next((example for example in sought.right if example.detection is not None), None)
    at = None if first is None else _row_of(first, people)
    if at is None:
        return people.vectors[:0]
    row = np.array([at])
    beside = (people.picture == people.picture[row]) & (people.frame == people.frame[row])
    beside &= people.score >= np.float32(asked.min_score)
    beside[beside] = ~overlapping(people.box[beside], people.box[row])
    found = np.flatnonzero(beside)
    vectors: Array = people.vectors[found[np.argsort(-people.score[found], kind="stable")]]
    return vectors


def _best(rows: Array, alike: Array, searched: Searched, asked: Asked) -> tuple[Array, Array]:
    """The first ``asked.k`` of an order, of each picture only the first where that is asked for."""
    group = searched.state.people.shot if asked.per == "picture" else None
    return best_of_groups(lambda k: (rows[:k], alike[:k]), len(rows), asked.k, group)


def examples_of(
    table: Table, ledger: Ledger, file: Callable[[Place], Path], detections: Sequence[int], right: bool
) -> list[Example]:
    """The people with these numbers as examples, in the order given.

    Raises:
        InputError: a number of nobody.
    """
    columns = ["detection", "picture", "box_xyxy", "vector", "model", "frame", "position"]
    found: dict[int, Example] = {}
    for batch in table.rows_of("detection", sorted(set(detections)), columns):
        for row in batch.to_pylist():
            entries = ledger.entries_of(row["picture"])
            if entries:
                found[row["detection"]] = Example(
                    vector=np.array(row["vector"], np.float32),
                    model=row["model"],
                    right=right,
                    picture=str(file(entries[0].place)),
                    box=np.array(row["box_xyxy"], np.float32),
                    sha256=entries[0].sha256,
                    detection=row["detection"],
                    frame=row["frame"],
                    position=row["position"],
                )
    strangers = [number for number in detections if number not in found]
    if strangers:
        raise InputError(
            f"nobody in {table.files.parent} has the number {strangers[0]}",
            hint="people are named by the numbers that personsearch search gives as `detection`",
        )
    return [found[number] for number in detections]
