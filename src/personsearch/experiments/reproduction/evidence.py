"""Differences with their intervals, and what a claim may conclude from them.

Decisions rest on 95 % intervals of differences over the same queries (paired bootstrap): a claim holds
where every interval that it speaks of lies on its side of zero, does not hold where one lies wholly on the
other, and cannot be told otherwise. Claims that are no difference carry a rule of their own
(``Said.rule``). The catch: other queries are what the intervals know of, not other trainings or another
world; and among twenty true ties about one interval misses zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from personsearch.experiments.reproduction.paper import Said
from personsearch.experiments.reproduction.records import first_right, scores_of
from personsearch.ranking.bootstrap import Interval, paired_interval
from personsearch.types import Array

Verdict = Literal["holds", "does not hold", "cannot be told"]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One difference that a claim expects to be positive.

    Attributes:
        what: of it, in words.
        interval: with its mean.
        n: queries (or pictures, or lines of a log) behind it.
    """

    what: str
    interval: Interval
    n: int


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A claim and what these numbers say of it.

    Attributes:
        said: the claim.
        verdict: see the module.
        numbers: in words, with intervals and n.
        evidence: the differences.
    """

    said: Said
    verdict: Verdict
    numbers: str
    evidence: tuple[Evidence, ...] = field(default=())

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "claim": self.said.key,
            "section": self.said.where,
            "text": self.said.text,
            "verdict": self.verdict,
            "numbers": self.numbers,
            "evidence": [
                {
                    "what": one.what,
                    "mean": round(one.interval.mean, 5),
                    "low": round(one.interval.low, 5),
                    "high": round(one.interval.high, 5),
                    "n": one.n,
                }
                for one in self.evidence
            ],
        }


LEAST = 8
"""Queries behind an interval from which it is believed: fewer cannot tell."""


def verdict_of(evidence: Sequence[Evidence]) -> Verdict:
    """Whether all of the differences are positive, by their intervals.

    >>> up = Evidence(what="", interval=Interval(mean=0.2, low=0.1, high=0.3, level=0.95), n=9)
    >>> unsure = Evidence(what="", interval=Interval(mean=0.1, low=-0.1, high=0.3, level=0.95), n=9)
    >>> verdict_of([up, up]), verdict_of([up, unsure]), verdict_of([])
    ('holds', 'cannot be told', 'cannot be told')
    """
    if any(one.n < LEAST for one in evidence):
        return "cannot be told"
    if any(one.interval.high < 0 for one in evidence):
        return "does not hold"
    if evidence and all(one.interval.low > 0 for one in evidence):
        return "holds"
    return "cannot be told"


def paired(what: str, a: Mapping[str, Any], b: Mapping[str, Any], measure: str = "mAP") -> Evidence:
    """``a`` minus ``b`` over the same queries."""
    left, right = (values_of(record, measure) for record in (a, b))
    counted = ~np.isnan(left) & ~np.isnan(right)
    interval = paired_interval(left[counted], right[counted], np.random.default_rng(0))
    return Evidence(what=what, interval=interval, n=int(counted.sum()))


def apart(
    what: str, a: Mapping[str, Any], b: Mapping[str, Any], measure: str = "mAP", *, draws: int = 2000
) -> Evidence:
    """Mean of ``a`` minus mean of ``b``, each over queries of its own, drawn again by themselves.

    A subset's queries are among all, too, so that this is a little too careful.
    """
    groups = [values_of(record, measure) for record in (a, b)]
    groups = [values[~np.isnan(values)] for values in groups]
    rng = np.random.default_rng(0)
    drawn = [g[rng.integers(len(g), size=(draws, len(g)))].mean(axis=1) for g in groups]
    low, high = np.quantile(drawn[0] - drawn[1], [0.025, 0.975])
    mean = float(groups[0].mean() - groups[1].mean())
    interval = Interval(mean=mean, low=float(low), high=float(high), level=0.95)
    return Evidence(what=what, interval=interval, n=min(len(g) for g in groups))


def values_of(record: Mapping[str, Any], measure: str) -> Array:
    """(Q,) average precision of each query, or whether its first answer is right; NaN where left out."""
    scores = scores_of(record)
    return scores.ap if measure == "mAP" else first_right(scores)


def turned(one: Evidence) -> Evidence:
    """The same difference the other way round."""
    ends = one.interval
    interval = Interval(mean=-ends.mean, low=-ends.high, high=-ends.low, level=ends.level)
    return Evidence(what=one.what, interval=interval, n=one.n)


def points(one: Evidence) -> str:
    """A difference in points of a per cent.

    >>> points(Evidence(what="a over b", interval=Interval(mean=0.1, low=0.05, high=0.15, level=0.95), n=7))
    'a over b +10.0 (+5.0 to +15.0, n = 7)'
    """
    mean, low, high = (100 * value for value in (one.interval.mean, one.interval.low, one.interval.high))
    return f"{one.what} {mean:+.1f} ({low:+.1f} to {high:+.1f}, n = {one.n:,})"


def share_left(
    first: Mapping[str, Any], last: Mapping[str, Any], *, draws: int = 2000
) -> tuple[Interval, int]:
    """Top-1 of ``last`` over top-1 of ``first``, queries drawn together; NaN where nothing was right.

    And the number of queries.
    """
    a, b = (values_of(record, "top-1") for record in (first, last))
    counted = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[counted], b[counted]
    rows = np.random.default_rng(0).integers(len(a), size=(draws, len(a)))
    below, above = a[rows].sum(axis=1), b[rows].sum(axis=1)
    drawn = np.divide(above, below, out=np.full(draws, np.nan), where=below > 0)
    if not a.sum() or np.isnan(drawn).all():
        return Interval(mean=float("nan"), low=float("nan"), high=float("nan"), level=0.95), len(a)
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    interval = Interval(mean=float(b.sum() / a.sum()), low=float(low), high=float(high), level=0.95)
    return interval, len(a)
