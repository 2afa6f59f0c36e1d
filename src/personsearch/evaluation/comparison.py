"""Is one run better than another? The same queries, side by side, and what chance could have done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from personsearch.errors import InputError, UsageError
from personsearch.ranking.bootstrap import Interval, paired_interval
from personsearch.types import Array, SearchScores

TOP = (1, 5, 10)
FLIPS = 9_999
"""Random sign flips where there are too many to try them all."""
_EXACT = 13
"""Differences of which all 2 ** n sign flips are tried: still fewer than ``FLIPS``."""
_FLIPS_AT_ONCE = 1 << 21
_SAME = 1e-9
"""Two average precisions that differ by less are a tie: they come from another order of additions."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One measure of two runs, query by query.

    Attributes:
        measure: ``"mAP"``, ``"top-1"`` and so on.
        a, b: means over the queries.
        difference: mean of ``a - b`` with its paired bootstrap interval.
        wins, losses, ties: queries in which a is better, worse, equal.
        p_value: how often runs that are equally good would differ by as much, in either
            direction, by chance of the queries.
        test: what gave the p-value.
    """

    measure: str
    a: float
    b: float
    difference: Interval
    wins: int
    losses: int
    ties: int
    p_value: float
    test: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs over the same queries; everything is counted for ``a`` against ``b``.

    Attributes:
        protocol: of both.
        queries: how many; those with nobody to find that a policy leaves out are not among them.
        measures: mAP first, then top-k.
        rules: settings in which the runs differ, with both values: part of what is compared.
        most_won, most_lost: queries with the largest differences in average precision, largest
            first; at most ten each, none that is a tie.

    The p-values are one for each measure; who looks at several of them, or at several
    pairs of runs, has to ask for smaller ones.
    """

    protocol: str
    queries: int
    measures: tuple[Difference, ...]
    rules: Mapping[str, tuple[Any, Any]]
    most_won: tuple[int, ...]
    most_lost: tuple[int, ...]

    def rows(self) -> list[dict[str, Any]]:
        """A flat line for each measure, for a table or for JSON."""
        return [
            {
                "measure": one.measure,
                "a": one.a,
                "b": one.b,
                "difference": one.difference.mean,
                "low": one.difference.low,
                "high": one.difference.high,
                "wins": one.wins,
                "losses": one.losses,
                "ties": one.ties,
                "p": one.p_value,
                "test": one.test,
            }
            for one in self.measures
        ]

    def to_json(self) -> dict[str, Any]:
        """Everything, as a JSON file holds it."""
        return {
            "schema": "personsearch.comparison/1",
            "protocol": self.protocol,
            "queries": self.queries,
            "measures": [asdict(one) for one in self.measures],
            "rules": {name: list(values) for name, values in self.rules.items()},
            "most_won": list(self.most_won),
            "most_lost": list(self.most_lost),
        }


def compare_scores(
    a: SearchScores, b: SearchScores, rng: np.random.Generator, *, top: Sequence[int] = TOP
) -> Comparison:
    """How much better ``a`` is than ``b`` on the same queries, and whether chance explains it.

    Average precision by the paired randomisation test (:func:`sign_flip_p_value`), top-k by
    McNemar's exact test (:func:`mcnemar_p_value`), both two-sided. The catch: what varies is
    the choice of queries. Two trainings of one method with other seeds may well differ
    "significantly" by this.

    Args:
        rng: of the bootstrap and of the sign flips; the same state gives the same answer.
        top: the k of top-k.

    Raises:
        UsageError: the two are not of the same searches, or read average precision
            differently, so that nothing can be paired.
    """
    _check_same_searches(a, b)
    counted = np.flatnonzero(~np.isnan(a.ap))
    ap_a, ap_b = a.ap[counted], b.ap[counted]
    gain = np.where(np.abs(ap_a - ap_b) < _SAME, 0.0, ap_a - ap_b)
    measures = [
        _difference(
            "mAP", ap_a, ap_b, gain, rng, (sign_flip_p_value(gain, rng), "paired randomisation (sign flips)")
        )
    ]
    for k in top:
        hit_a, hit_b = _hits(a, k)[counted], _hits(b, k)[counted]
        wins, losses = int((hit_a > hit_b).sum()), int((hit_a < hit_b).sum())
        by = (mcnemar_p_value(wins, losses), "McNemar, exact")
        measures.append(_difference(f"top-{k}", hit_a, hit_b, hit_a - hit_b, rng, by))
    order = np.argsort(-gain, kind="stable")
    return Comparison(
        protocol=a.protocol,
        queries=len(counted),
        measures=tuple(measures),
        rules=_other_rules(a.rules, b.rules),
        most_won=tuple(counted[[i for i in order[:10] if gain[i] > 0]].tolist()),
        most_lost=tuple(counted[[i for i in order[::-1][:10] if gain[i] < 0]].tolist()),
    )


def sign_flip_p_value(differences: Array, rng: np.random.Generator, *, flips: int = FLIPS) -> float:
    """How often a mean as far from 0 comes up if every difference might as well be the other way round.

    If the two runs were exchangeable, each query's difference would have either sign with
    probability 1/2. All sign patterns are tried where there are few, else ``flips`` random ones;
    the pattern that was seen counts as one of them, so the value is never 0 and is valid
    for any number of flips. Queries without a difference say nothing and change nothing.

    Args:
        differences: (Q,) finite.

    Source: Fisher's randomisation test; Smucker, Allan and Carterette, A Comparison of
    Statistical Significance Tests for Information Retrieval Evaluation (CIKM 2007). The
    count of the seen pattern: Phipson and Smyth (2010).

    >>> sign_flip_p_value(np.array([0.1, 0.2, 0.3]), np.random.default_rng(0))  # +++ and --- of 8
    0.25
    """
    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError("differences must be finite and of shape (Q,)")
    values = values[values != 0]
    n = len(values)
    # A pattern is as extreme as the one seen if rounding alone keeps it from being so.
    least = abs(values.sum()) - 1e-12 * np.abs(values).sum()
    if n <= _EXACT:
        patterns = (np.arange(1 << n)[:, None] >> np.arange(n)) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ values) >= least))
    total, extreme = values.sum(), 0
    step = max(1, _FLIPS_AT_ONCE // n)
    for start in range(0, flips, step):
        turned = rng.integers(0, 2, size=(min(step, flips - start), n), dtype=np.uint8)
        extreme += int(np.count_nonzero(np.abs(total - 2.0 * (turned.astype(np.float64) @ values)) >= least))
    return (1 + extreme) / (1 + flips)


def mcnemar_p_value(wins: int, losses: int) -> float:
    """How often queries that one run gets right and the other wrong fall so one-sidedly (exact, two-sided).

    Source: McNemar (1947); exact form: the binomial test of the discordant pairs.

    >>> mcnemar_p_value(4, 0), mcnemar_p_value(3, 3), mcnemar_p_value(0, 0)
    (0.125, 1.0, 1.0)
    """
    discordant = wins + losses
    return float(binomtest(wins, discordant, 0.5).pvalue) if discordant else 1.0


def scores_from_json(value: Mapping[str, Any], name: str) -> SearchScores:
    """The per-query scores that an evaluation saved, to be compared without computing them again.

    Reads ``ap_per_query``, ``first_hit_per_query`` (0 for never), ``protocol`` and, where they
    are there, ``recall_per_query`` and ``rules``.

    Args:
        value: the JSON object, as it was read.
        name: what it is called in errors, e.g. its file.

    Raises:
        InputError: a part is missing or is not what it should be.
    """
    hint = "give a file that `personsearch evaluate --json` wrote"
    if not isinstance(value, Mapping):
        raise InputError(f"{name} does not hold scores: it is no JSON object", hint=hint)
    for key in ("protocol", "ap_per_query", "first_hit_per_query"):
        if key not in value:
            raise InputError(f"{name} does not hold scores: {key} is missing", hint=hint)
    ap = _column(value["ap_per_query"], f"{name}: ap_per_query", hint)
    first = _column(value["first_hit_per_query"], f"{name}: first_hit_per_query", hint)
    recall = _column(
        value.get("recall_per_query", np.full(len(ap), np.nan)), f"{name}: recall_per_query", hint
    )
    if not len(ap) == len(first) == len(recall):
        raise InputError(f"{name}: {len(ap)} average precisions but {len(first)} first hits", hint=hint)
    if ((ap < 0) | (ap > 1 + _SAME)).any() or (first < 0).any() or not (first == np.round(first)).all():
        raise InputError(f"{name}: an average precision is not in [0, 1], or a rank is no count", hint=hint)
    rules = value.get("rules", {})
    if not isinstance(rules, Mapping):
        raise InputError(f"{name}: rules is no JSON object", hint=hint)
    return SearchScores(
        protocol=str(value["protocol"]), ap=ap, first_hit=first.astype(np.int64), recall=recall, rules=rules
    )


def load_scores(path: Path) -> SearchScores:
    """:func:`scores_from_json` of a file.

    Raises:
        InputError: no such file, no JSON, or no scores.
    """
    path = Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"{path} is not a file", hint="scores are saved by `personsearch evaluate`"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{path} cannot be read as JSON: {str(error).splitlines()[0]}",
            hint="give a file that `personsearch evaluate --json` wrote",
        ) from error
    return scores_from_json(value, str(path))


def _column(values: Any, what: str, hint: str) -> Array:
    try:
        column: Array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} is no list of numbers", hint=hint) from error
    if column.ndim != 1 or np.isinf(column).any():
        raise InputError(f"{what} is no list of finite numbers", hint=hint)
    return column


def _check_same_searches(a: SearchScores, b: SearchScores) -> None:
    """Refuse two runs whose queries are not the same, as far as their scores can tell."""
    hint = "compare runs of one protocol on one data set, over all of its queries"
    if a.protocol != b.protocol:
        raise UsageError(f"cannot compare {a.protocol!r} with {b.protocol!r}: other searches", hint=hint)
    if len(a.ap) != len(b.ap):
        raise UsageError(f"cannot compare {len(a.ap)} queries with {len(b.ap)} of {a.protocol!r}", hint=hint)
    if np.isnan(a.ap).all():
        raise UsageError(f"there is no query to compare in {a.protocol!r}", hint=hint)
    barren = "without_positives"
    known = barren in a.rules and barren in b.rules
    if (known and list(a.rules[barren]) != list(b.rules[barren])) or (np.isnan(a.ap) != np.isnan(b.ap)).any():
        raise UsageError(
            f"cannot compare two runs of {a.protocol!r}: other queries are without their person", hint=hint
        )
    if a.rules.get("ap", "step") != b.rules.get("ap", "step"):
        raise UsageError(
            f"cannot compare average precision read by {a.rules.get('ap')} with {b.rules.get('ap')}",
            hint="evaluate both with the same --ap",
        )


def _other_rules(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings that differ; what was read from JSON and what was not are brought to one form."""
    # The policies follow from other settings and are named by them.
    names = sorted({*a, *b} - {"without_positives", "policies"})
    values = {name: (_plain(a.get(name)), _plain(b.get(name))) for name in names}
    return {name: both for name, both in values.items() if both[0] != both[1]}


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _hits(scores: SearchScores, k: int) -> Array:
    found: Array = ((scores.first_hit >= 1) & (scores.first_hit <= k)).astype(np.float64)
    return found


def _difference(
    measure: str, a: Array, b: Array, gain: Array, rng: np.random.Generator, by: tuple[float, str]
) -> Difference:
    return Difference(
        measure=measure,
        a=float(np.mean(a)),
        b=float(np.mean(b)),
        difference=paired_interval(a, b, rng),
        wins=int((gain > 0).sum()),
        losses=int((gain < 0).sum()),
        ties=int((gain == 0).sum()),
        p_value=by[0],
        test=by[1],
    )
