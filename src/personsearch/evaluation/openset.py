"""How often is the right person named, if nobody may be named wrongly more than so often?

A gallery need not hold the person who is looked for. Closed-set numbers (top-k, mAP) never
ask; whoever acts on a first hit has to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from personsearch.evaluation.rankings import Ranking, Rankings
from personsearch.evaluation.search_rules import SearchRules
from personsearch.evaluation.search_tables import SearchFeatures
from personsearch.ranking.bootstrap import Interval
from personsearch.types import Array, Trials

FALSE_ALARM_RATES = (0.001, 0.01, 0.1)
_CURVE_POINTS = 60
_LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class OpenSetPoint:
    """The rate at one false-alarm rate.

    Attributes:
        far: false-alarm rate that was asked for.
        resolved: whether there are searches enough to tell: at least one in ``1 / far``.
        threshold: an answer counts if its similarity is *above* this; None if not resolved.
        alarms: searches for somebody absent that then answer, at most ``far`` of them all.
        rate: share of the searches for somebody present that answer right; None if not resolved.
    """

    far: float
    resolved: bool
    threshold: float | None = None
    alarms: int | None = None
    rate: Interval | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class OpenSetScores:
    """Detection-and-identification rate against false-alarm rate (DIR@FAR).

    Attributes:
        protocol: which searches.
        rank: within how many answers the right one has to be.
        mated: searches for somebody who is in the gallery.
        nonmated: searches for somebody who is not: the same queries, their pictures removed.
        closed: the rate without any threshold: top-``rank`` over the mated searches.
        points: at the rates that were asked for.
        curve_far: (c,) rising from 1 / ``nonmated`` to 1: what is below cannot be told.
        curve_rate, curve_low, curve_high: (c,) the rate there, with its interval.
        mated_similarity: (Q,) of the right answer; -inf where it is not within ``rank``, NaN for a
            query whose person is in no picture.
        nonmated_similarity: (Q,) of the best answer in the gallery without the person; -inf
            where that holds nobody.
        level: of the intervals.
    """

    protocol: str
    rank: int
    mated: int
    nonmated: int
    closed: float
    points: tuple[OpenSetPoint, ...]
    curve_far: Array
    curve_rate: Array
    curve_low: Array
    curve_high: Array
    mated_similarity: Array
    nonmated_similarity: Array
    level: float

    @property
    def smallest_far(self) -> float:
        """The smallest false-alarm rate that these searches can tell from 0."""
        return 1 / self.nonmated if self.nonmated else float("inf")

    def rows(self) -> list[dict[str, Any]]:
        """A flat line for each false-alarm rate, for a table or for JSON."""
        return [
            {
                "far": point.far,
                "dir": None if point.rate is None else point.rate.mean,
                "low": None if point.rate is None else point.rate.low,
                "high": None if point.rate is None else point.rate.high,
                "threshold": _finite(point.threshold),
                "alarms": point.alarms,
                "mated": self.mated,
                "nonmated": self.nonmated,
                "note": "" if point.resolved else f"cannot be told from {self.nonmated} searches",
            }
            for point in self.points
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything, as a JSON file holds it."""
        points = [asdict(point) for point in self.points]
        for point in points:
            point["threshold"] = _finite(point["threshold"])
        return {
            "schema": "personsearch.openset/1",
            "protocol": self.protocol,
            "rank": self.rank,
            "mated": self.mated,
            "nonmated": self.nonmated,
            "closed": _finite(self.closed),
            "smallest_far": _finite(self.smallest_far),
            "level": self.level,
            "points": points,
            "curve": {
                "far": self.curve_far.tolist(),
                "dir": self.curve_rate.tolist(),
                "low": self.curve_low.tolist(),
                "high": self.curve_high.tolist(),
            },
        }


def score_open_set(
    trials: Trials,
    features: SearchFeatures,
    rules: SearchRules,
    rng: np.random.Generator,
    *,
    fars: Sequence[float] = FALSE_ALARM_RATES,
    rank: int = 1,
) -> OpenSetScores:
    """The open-set rates of a protocol, each query asked twice: with its person and without.

    With: the gallery as it is. Without: every picture that shows the person, and the
    query's own, taken out, so that gallery is smaller by those pictures. Ignored detections are in neither.

    The catch: the threshold is set and used on the same searches; it is how well this
    model could do, and the interval says how much other queries would move it.

    Raises:
        DatasetError, InputError: as :func:`~personsearch.evaluation.search.score_search`.
        ValueError: a false-alarm rate outside (0, 1], a rank below 1.
    """
    mated, nonmated = np.full(len(trials), np.nan), np.full(len(trials), -np.inf)
    with_person = np.diff(trials.truth_ptr) > 0
    gone = _shows_the_person(trials, with_person)
    for ranking in Rankings(trials, features, rules):
        i = ranking.query
        if with_person[trials.entry_ptr[i] : trials.entry_ptr[i + 1]].any():
            mated[i] = _right_within(ranking, rank)
        nonmated[i] = np.max(ranking.similarity[~gone[ranking.entry]], initial=-np.inf)
    if rules.context is not None or rules.k_reciprocal is not None:  # nor may re-ranking know the person
        for ranking in Rankings(_without(trials, gone), features, rules):
            nonmated[ranking.query] = np.max(ranking.similarity, initial=-np.inf)
    return replace(open_set_rates(mated, nonmated, rng, fars=fars, rank=rank), protocol=trials.name)


def open_set_rates(
    mated: Array,
    nonmated: Array,
    rng: np.random.Generator,
    *,
    fars: Sequence[float] = FALSE_ALARM_RATES,
    rank: int = 1,
    resamples: int = 1000,
) -> OpenSetScores:
    """The rates from the similarities of the answers alone.

    ``DIR(t) = share of mated searches whose right answer is within rank and above t``;
    ``FAR(t) = share of non-mated searches with any answer above t``; ``t`` at a rate is the
    lowest that keeps it. Intervals: percentile bootstrap over queries, both searches of a
    query drawn together, the threshold set anew each time.

    Args:
        mated: (Q,) as in :class:`OpenSetScores`.
        nonmated: (Q,).
        resamples: how often the queries are drawn again.

    Source: Phillips, Grother and Micheals, Evaluation Methods in Face Recognition (Handbook of
    Face Recognition, 2nd ed., 2011), open-set identification: watch list.

    >>> scores = open_set_rates(np.array([0.9, 0.5, -np.inf, 0.3]), np.array([0.4, 0.2, 0.1, 0.6]),
    ...                         np.random.default_rng(0), fars=[0.1, 0.25])
    >>> scores.points[0].resolved, scores.points[1].threshold, scores.points[1].rate.mean
    (False, 0.4, 0.5)
    """
    mated, nonmated = _checked(mated, nonmated, fars, rank)
    asked, n, draws = ~np.isnan(mated), len(nonmated), _Draws(mated, nonmated)
    wanted = [_allowed(far, n) for far in fars]
    allowed = np.array([*wanted, *_steps(n)], np.int64)
    threshold, rate = draws.rates(np.ones(n, np.int64), allowed)
    low, high = _interval(draws, allowed, rng, resamples)
    points = [OpenSetPoint(far=far, resolved=False) for far in fars]
    for row in np.flatnonzero(wanted) if asked.any() else ():
        points[row] = replace(
            points[row],
            resolved=True,
            threshold=float(threshold[row]),
            alarms=int((nonmated > threshold[row]).sum()),
            rate=Interval(mean=rate[row].item(), low=low[row].item(), high=high[row].item(), level=_LEVEL),
        )
    curve = slice(len(fars), None) if asked.any() else slice(0, 0)
    return OpenSetScores(
        protocol="",
        rank=rank,
        mated=int(asked.sum()),
        nonmated=n,
        closed=float(np.mean(mated[asked] > -np.inf)) if asked.any() else float("nan"),
        points=tuple(points),
        curve_far=allowed[curve] / max(1, n),
        curve_rate=rate[curve],
        curve_low=low[curve],
        curve_high=high[curve],
        mated_similarity=mated,
        nonmated_similarity=nonmated,
        level=_LEVEL,
    )


def _checked(mated: Array, nonmated: Array, fars: Sequence[float], rank: int) -> tuple[Array, Array]:
    mated, nonmated = np.asarray(mated, np.float64), np.asarray(nonmated, np.float64)
    if mated.ndim != 1 or mated.shape != nonmated.shape or np.isnan(nonmated).any():
        raise ValueError(f"mated {mated.shape} and nonmated {nonmated.shape} must both be (Q,)")
    if rank < 1 or not all(0 < far <= 1 for far in fars):
        raise ValueError(f"rank must be positive and rates in (0, 1], got {rank} and {list(fars)}")
    return mated, nonmated


def _shows_the_person(trials: Trials, with_person: Array) -> Array:
    """(E,) bool: the entry's picture has a true box in any entry of its query, or is the query's own."""
    query = np.repeat(np.arange(len(trials)), np.diff(trials.entry_ptr))
    picture = query * max(1, len(trials.scenes)) + trials.entry_scene
    own = trials.entry_scene == trials.query_scene[query]
    shows: Array = own | np.isin(picture, picture[with_person])
    return shows


def _without(trials: Trials, gone: Array) -> Trials:
    """``trials`` without some of their entries, all with the person among them."""
    ignored = np.diff(trials.ignore_ptr)
    left = np.concatenate([[0], np.cumsum(~gone)])
    return replace(
        trials,
        entry_ptr=left[trials.entry_ptr],
        entry_scene=trials.entry_scene[~gone],
        truth_ptr=np.zeros(left[-1] + 1, np.int64),
        truth_box=np.zeros((0, 4), np.float32),
        ignore_ptr=np.concatenate([[0], np.cumsum(ignored[~gone])]),
        ignore_box=trials.ignore_box[np.repeat(~gone, ignored)],
    )


def _steps(n: int) -> Array:
    """Numbers of alarms at which the curve of ``n`` searches is computed."""
    return np.unique(np.geomspace(1, n, _CURVE_POINTS).astype(np.int64)) if n else np.zeros(0, np.int64)


def _finite(value: float | None) -> float | None:
    """``value``, or None where JSON has no word for it."""
    return value if value is not None and np.isfinite(value) else None


def _allowed(far: float, n: int) -> int:
    """False alarms among ``n`` searches that keep the rate; 0.29 * 100 is 29, not 28.999."""
    return int(np.floor(far * n + 1e-9))


def _right_within(ranking: Ranking, rank: int) -> float:
    """Similarity of the first right answer if it is within ``rank``, else -inf."""
    first = ranking.first(rank)
    right = first[ranking.right[first]]
    return float(ranking.similarity[right[0]]) if len(right) else -np.inf


class _Draws:
    """Both kinds of searches sorted once, so that a drawing of queries is a matter of counting."""

    def __init__(self, mated: Array, nonmated: Array) -> None:
        self.searches = len(nonmated)
        asked = np.flatnonzero(~np.isnan(mated))
        self._mated = asked[np.argsort(-mated[asked], kind="stable")]
        self._nonmated = np.argsort(-nonmated, kind="stable")
        self._mated_value, self._nonmated_value = mated[self._mated], nonmated[self._nonmated]

    def rates(self, count: Array, allowed: Array) -> tuple[Array, Array]:
        """Thresholds and rates if query i is asked ``count[i]`` times and ``allowed`` alarms may be.

        The threshold is the similarity of the first alarm too many, and -inf if there is none.
        """
        drawn = np.cumsum(count[self._nonmated])
        first = np.searchsorted(drawn, allowed, "right")
        threshold = np.append(self._nonmated_value, -np.inf)[first]
        passing = np.searchsorted(-self._mated_value, -threshold, "left")
        found = np.concatenate([[0], np.cumsum(count[self._mated])])
        return threshold, found[passing] / max(1, found[-1])


def _interval(draws: _Draws, allowed: Array, rng: np.random.Generator, resamples: int) -> tuple[Array, Array]:
    n = draws.searches
    if not n:
        return np.zeros(len(allowed)), np.zeros(len(allowed))
    rates = np.empty((resamples, len(allowed)))
    for row in range(resamples):
        rates[row] = draws.rates(np.bincount(rng.integers(n, size=n), minlength=n), allowed)[1]
    low, high = np.quantile(rates, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], axis=0)
    return low, high
