"""Of all answers said to be right with 70 %, are 70 % right?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from personsearch.errors import InputError
from personsearch.evaluation.bands import share_interval
from personsearch.evaluation.rankings import Ranking, Rankings
from personsearch.evaluation.search_rules import SearchRules
from personsearch.evaluation.search_tables import SearchFeatures
from personsearch.ranking.bootstrap import Interval
from personsearch.ranking.calibration import Calibration, Method, fit_calibration
from personsearch.types import Array, Trials

Unit = Literal["first", "picture", "detection"]
"""Which answers are judged: the first hit of each query, in each picture of its gallery the most
similar detection, or every detection. In a large gallery nearly all of the last two are somebody
else, and whoever says so of each is right with an error of next to nothing: the first hits are
what people act on."""
BINS = 15
_LEVEL, _RESAMPLES = 0.95, 1000
_FIT_PAIRS = 1 << 22
"""Pairs that a curve is fitted on, at most; whole queries are left out above that."""


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """Answers whose probability lies in [``low``, ``high``) (the last bin holds 1 too).

    Attributes:
        n: answers.
        probability: their mean probability.
        share: how many of them are the person, with its interval: the wider of the bootstrap over
            queries, whose answers stick together, and Wilson's, because a bootstrap of one
            answer would call it certain.
    """

    low: float
    high: float
    n: int
    probability: float
    share: Interval


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """What probabilities were worth on the rankings of a protocol.

    Attributes:
        protocol: which searches.
        unit: which answers are judged.
        source: where the probabilities come from: ``"given"``, or ``"cross-fitted"`` on the other
            half of the identities.
        queries, answers: how many; only queries with answers count.
        bins: of equal width; empty ones are left out.
        ece: expected calibration error: mean over answers of the distance between a bin's mean
            probability and its share of right answers.
        brier: mean squared distance of probability and outcome.
        share: how many of the answers are the person: what the error has to be seen against,
            because who says "nobody" to everything has an error of no more than this.
        probability: mean probability.
    """

    protocol: str
    unit: str
    source: str
    queries: int
    answers: int
    bins: tuple[ReliabilityBin, ...]
    ece: Interval
    brier: Interval
    share: float
    probability: float

    def rows(self) -> list[dict[str, Any]]:
        """A flat line for each bin, for a table or for JSON."""
        return [
            {
                "from": one.low,
                "to": one.high,
                "n": one.n,
                "probability": one.probability,
                "right": one.share.mean,
                "low": one.share.low,
                "high": one.share.high,
            }
            for one in self.bins
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything, as a JSON file holds it."""
        return {"schema": "personsearch.reliability/1", **asdict(self)}


def score_reliability(
    trials: Trials,
    features: SearchFeatures,
    rules: SearchRules,
    calibration: Calibration,
    rng: np.random.Generator,
    *,
    unit: Unit = "first",
) -> Reliability:
    """How far a model's probabilities are from the truth on ``trials``.

    An answer is right if its box matches a true box of the person, also where scoring counts
    another box of the same person. Ignored detections are no answers. Fitted and judged on the
    same people a curve looks better than it is: use :func:`cross_fitted` for that.

    The catch: ``calibration`` holds for the share of right pairs that it was fitted with,
    and a gallery has its own; that too is part of the error, as it is for who reads the hits.

    Args:
        rng: of the bootstrap over queries.
        unit: which answers are judged.

    Raises:
        InputError: no query has an answer.
        DatasetError: as :func:`~personsearch.evaluation.search.score_search`.
    """
    _check_unit(unit)
    sums = _Sums(len(trials))
    for ranking in Rankings(trials, features, rules):
        alike, same = _answers(ranking, unit)
        sums.add(ranking.query, calibration.probability(alike), same)
    return sums.reliability(trials.name, unit, "given", rng)


def cross_fitted(
    trials: Trials,
    features: SearchFeatures,
    rules: SearchRules,
    rng: np.random.Generator,
    *,
    unit: Unit = "first",
    method: Method = "isotonic",
) -> Reliability:
    """How well this model's similarities can be turned into probabilities at all, judged on other people.

    The identities looked for are split in two halves by ``rng``; the answers of each half get
    their probability from a curve that was fitted on the answers of the other. Strangers in
    the galleries may be in both.

    Raises:
        InputError: fewer than two identities, or a half without right or without wrong answers.
    """
    _check_unit(unit)
    half = _halves(trials.query_person, rng)
    rankings = Rankings(trials, features, rules)
    chosen = [_for_the_fit(rankings, rng.permutation(np.flatnonzero(half == one)), unit) for one in (0, 1)]
    known = [{one.query: _answers(one, unit) for one in rankings.each(queries)} for queries in chosen]
    curves = [_fit(answers.values(), method) for answers in known]
    sums = _Sums(len(trials))
    for one, answers in enumerate(known):
        for query, (alike, same) in answers.items():
            sums.add(query, curves[1 - one].probability(alike), same)
    for ranking in rankings.each(np.setdiff1d(np.arange(len(trials)), np.concatenate(chosen))):
        alike, same = _answers(ranking, unit)
        sums.add(ranking.query, curves[1 - half[ranking.query]].probability(alike), same)
    return sums.reliability(trials.name, unit, "cross-fitted", rng)


def _check_unit(unit: str) -> None:
    if unit not in get_args(Unit):
        raise ValueError(f"unit is one of {', '.join(get_args(Unit))}, got {unit!r}")


def _answers(ranking: Ranking, unit: Unit) -> tuple[Array, Array]:
    """Similarities of the answers that are judged, and whether each is the person."""
    alike, same = ranking.similarity, ranking.same
    if unit == "first":
        rows = ranking.first(1)
        return alike[rows], same[rows]
    if unit == "picture":
        start = np.flatnonzero(np.diff(ranking.entry, prepend=-1))
        best = np.maximum.reduceat(alike, start) if len(start) else alike
        rows = np.flatnonzero(alike == np.repeat(best, np.diff(start, append=len(alike))))
        rows = rows[np.diff(ranking.entry[rows], prepend=-1) > 0]  # the earlier of equals
        return alike[rows], same[rows]
    return alike, same


def _halves(people: Array, rng: np.random.Generator) -> Array:
    """(Q,) 0 or 1, the same for all queries of a person; two halves of the people."""
    known, of = np.unique(people, return_inverse=True)
    if len(known) < 2:
        raise InputError(
            f"cannot fit on one half of {len(known)} identities and judge on the other",
            hint="use searches for more people",
        )
    half: Array = rng.permutation(np.arange(len(known)) % 2)[of.reshape(-1)]
    return half


def _for_the_fit(rankings: Rankings, queries: Array, unit: Unit) -> Array:
    """As many of ``queries`` as give about ``_FIT_PAIRS`` answers, ascending."""
    pictures = len(rankings.trials.entry_scene) / max(1, len(rankings))
    each = {"first": 1.0, "picture": pictures, "detection": rankings.people_listed}[unit]
    return np.sort(queries[: max(1, int(_FIT_PAIRS / max(1.0, each)))])


def _fit(answers: Iterable[tuple[Array, Array]], method: Method) -> Calibration:
    """A curve from the answers of some queries."""
    alike, same = [np.zeros(0)], [np.zeros(0, bool)]
    for found in answers:
        alike.append(found[0])
        same.append(found[1])
    return fit_calibration(np.concatenate(alike), np.concatenate(same), method=method)


class _Sums:
    """What the figures need of each query, so that drawing queries again is adding rows: (Q, bins) sums."""

    def __init__(self, queries: int) -> None:
        self.n, self.said, self.came = (np.zeros((queries, BINS)) for _ in range(3))
        self.squared = np.zeros(queries)

    def add(self, query: int, probability: Array, same: Array) -> None:
        place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
        self.n[query] = np.bincount(place, minlength=BINS)
        self.said[query] = np.bincount(place, weights=probability, minlength=BINS)
        self.came[query] = np.bincount(place, weights=same.astype(np.float64), minlength=BINS)
        self.squared[query] = np.sum((probability - same) ** 2)

    def reliability(self, protocol: str, unit: str, source: str, rng: np.random.Generator) -> Reliability:
        n, said, came = self.n.sum(0), self.said.sum(0), self.came.sum(0)
        answers = float(n.sum())
        if not answers:
            raise InputError(f"no search of {protocol!r} has an answer", hint="lower the detection threshold")
        queries = len(self.n)
        draws = np.empty((_RESAMPLES, queries))
        for row in draws:  # how often each query is drawn
            row[:] = np.bincount(rng.integers(queries, size=queries), minlength=queries)
        drawn_n, drawn_said, drawn_came = draws @ self.n, draws @ self.said, draws @ self.came
        drawn_answers = np.maximum(drawn_n.sum(1), 1)
        with np.errstate(invalid="ignore"):
            shares = drawn_came / drawn_n  # NaN where a drawing left the bin empty
        bins = [
            ReliabilityBin(
                low=b / BINS,
                high=(b + 1) / BINS,
                n=int(n[b]),
                probability=float(said[b] / n[b]),
                share=_wider(_interval(float(came[b] / n[b]), shares[:, b]), round(came[b]), int(n[b])),
            )
            for b in np.flatnonzero(n).tolist()
        ]
        return Reliability(
            protocol=protocol,
            unit=unit,
            source=source,
            queries=int((self.n.sum(1) > 0).sum()),
            answers=int(answers),
            bins=tuple(bins),
            ece=_error_interval((said - came) / answers, (drawn_said - drawn_came) / drawn_answers[:, None]),
            brier=_interval(float(self.squared.sum() / answers), draws @ self.squared / drawn_answers),
            share=float(came.sum() / answers),
            probability=float(said.sum() / answers),
        )


def _interval(value: float, drawn: Array) -> Interval:
    low, high = np.nanquantile(drawn, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Interval(mean=value, low=float(low), high=float(high), level=_LEVEL)


def _wider(interval: Interval, count: int, n: int) -> Interval:
    other = share_interval(count, n, level=_LEVEL)
    return replace(interval, low=min(interval.low, other.low), high=max(interval.high, other.high))


def _error_interval(gaps: Array, drawn: Array) -> Interval:
    """Sum of the absolute ``gaps`` (bins,) of all bins, with its interval from ``drawn`` (R, bins) ones.

    A drawing adds its own noise to every gap, so its error lies above the one it was drawn from;
    percentiles would not even hold that. The basic bootstrap interval mirrors them at it.
    What the noise alone would give is the error of ``drawn - gaps``: if that is as large as what
    was seen, the probabilities may be perfect, and the interval reaches 0.
    """
    value = float(np.abs(gaps).sum())
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(np.abs(drawn).sum(1), [tail, 1 - tail])
    noise = np.quantile(np.abs(drawn - gaps).sum(1), 1 - tail)
    return Interval(
        mean=value,
        low=0.0 if value <= noise else max(0.0, float(2 * value - high)),
        high=min(1.0, max(value, float(2 * value - low))),
        level=_LEVEL,
    )
