"""What else is asked of one gallery's searches: why they fail, open set, reliability; and the charts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from personsearch.cli.evaluate_asked import Asked
from personsearch.cli.evaluate_tables import (
    calibration_of,
    failure_lines,
    open_set_lines,
    reliability_lines,
)
from personsearch.errors import InputError
from personsearch.evaluation.failures import FailureSplit, split_failures
from personsearch.evaluation.openset import OpenSetScores, open_set_rates, score_open_set
from personsearch.evaluation.reliability import Reliability, cross_fitted, score_reliability
from personsearch.experiments.benchmark import Evaluation, Source
from personsearch.features import Features, detected_queries
from personsearch.protocols import take_queries
from personsearch.ranking.calibration import Calibration
from personsearch.report.curves import failure_bars, open_set_plot, reliability_plot
from personsearch.report.plots import Curve
from personsearch.report.ranklists import Chart


@dataclass(frozen=True, eq=False, kw_only=True)
class Insight:
    """What was asked about one gallery's searches, beyond the numbers; None where it was not.

    Attributes:
        features: as the queries were described.
        failures: why queries were lost.
        open_set: how often the right person is named at a false-alarm rate.
        reliability: whether answers are as often right as their probability says.
        shown: whether ``failures`` were asked for, and are not only what the page needs.
    """

    features: Features
    failures: FailureSplit | None
    open_set: OpenSetScores | None
    reliability: Reliability | None
    shown: bool

    def record(self) -> dict[str, Any]:
        """What was asked for, as JSON holds it."""
        found: dict[str, Any] = {}
        if self.failures is not None and self.shown:
            found["failures"] = self.failures.to_json()
        if self.open_set is not None:
            found["open_set"] = self.open_set.to_json()
        if self.reliability is not None:
            found["reliability"] = self.reliability.to_json()
        return found

    def lines(self) -> list[str]:
        """What was asked for, as tables."""
        lines = []
        if self.failures is not None and self.shown:
            lines += failure_lines(self.failures)
        if self.open_set is not None:
            lines += open_set_lines(self.open_set)
        if self.reliability is not None:
            lines += reliability_lines(self.reliability)
        return lines

    def charts(self) -> list[Chart]:
        """What was asked for, drawn."""
        charts = []
        if self.open_set is not None and len(self.open_set.curve_far):
            charts.append(_open_set_chart(self.open_set))
        if self.reliability is not None:
            charts.append(_reliability_chart(self.reliability))
        if self.failures is not None and (rows := self.failures.rows("query")):
            charts.append(
                Chart(
                    title="Queries by height (of the query's box, and of the tallest box to be found), "
                    "visible share and camera.",
                    pixels=failure_bars(rows),
                    alt="A bar for each group of queries: the share that is found, and why the rest is not.",
                    wide=True,
                )
            )
        return charts


def insight_of(
    asked: Asked, result: Evaluation, features: Features, source: Source, calibration: Calibration | None
) -> Insight:
    """The answers to what else was asked.

    Raises:
        InputError: no probabilities can be judged on these searches.
    """
    if result.protocol.query_box == "detected":
        features = detected_queries(features, result.protocol.rules.det_threshold)[0]
    split = None
    if asked.failures or asked.report is not None:
        split = split_failures(
            result.trials,
            features,
            result.protocol.rules,
            source.scenes("test"),
            scores=result.search,
        )
    return Insight(
        features=features,
        failures=split,
        open_set=_open_set(result, features) if asked.open_set else None,
        reliability=_reliability(result, features, calibration) if asked.reliability else None,
        shown=asked.failures,
    )


def _open_set(result: Evaluation, features: Features) -> OpenSetScores:
    protocol = result.protocol
    scores = score_open_set(result.trials, features, protocol.rules, np.random.default_rng(protocol.seed))
    if not result.undetected:
        return scores
    # Nobody was looked for by these queries: they name nobody, be it right or wrong.
    rows = np.array(result.undetected)
    mated, nonmated = scores.mated_similarity.copy(), scores.nonmated_similarity.copy()
    mated[rows] = np.where(np.isnan(mated[rows]), np.nan, -np.inf)
    nonmated[rows] = -np.inf
    rates = open_set_rates(mated, nonmated, np.random.default_rng(protocol.seed), rank=scores.rank)
    return replace(rates, protocol=scores.protocol)


def _reliability(result: Evaluation, features: Features, calibration: Calibration | None) -> Reliability:
    protocol, trials = result.protocol, result.trials
    if result.undetected:
        looked = np.setdiff1d(np.arange(len(trials)), np.array(result.undetected))
        trials = replace(take_queries(trials, looked), name=trials.name)
    rng = np.random.default_rng(protocol.seed)
    try:
        if calibration is not None:
            return score_reliability(trials, features, protocol.rules, calibration, rng)
        return cross_fitted(trials, features, protocol.rules, rng)
    except InputError as error:
        raise InputError(
            f"--reliability cannot be told from these searches: {error}",
            hint="score more searches, for more people; or drop --reliability",
        ) from error


def _open_set_chart(scores: OpenSetScores) -> Chart:
    curve = Curve(
        name="person first and above the threshold",
        x=scores.curve_far,
        y=scores.curve_rate,
        low=scores.curve_low,
        high=scores.curve_high,
    )
    told = [f"{100 * point.rate.mean:.0f}% at {100 * point.far:g}%" for point in scores.points if point.rate]
    return Chart(
        title=f"{scores.mated:,} searches with the person in the gallery and {scores.nonmated:,} without: "
        "how many of the first name the person, if so many of the others may name anybody. "
        "Band: 95 % interval.",
        pixels=open_set_plot([curve], smallest_far=scores.smallest_far),
        alt="Detection and identification rate against false-alarm rate: "
        + (", ".join(told) or "see the text"),
    )


def _reliability_chart(found: Reliability) -> Chart:
    ends: Mapping[str, list[float]] = {
        name: [getattr(one.share, name) for one in found.bins] for name in ("mean", "low", "high")
    }
    curve = Curve(
        name="first answers",
        x=np.array([one.probability for one in found.bins]),
        y=np.array(ends["mean"]),
        low=np.array(ends["low"]),
        high=np.array(ends["high"]),
    )
    error = f"ECE {found.ece.mean:.3f} ({found.ece.low:.3f} to {found.ece.high:.3f})"
    return Chart(
        title=f"{found.answers:,} first answers; probabilities {calibration_of(found)}. "
        "Bars: 95 % intervals.",
        pixels=reliability_plot(curve, np.array([one.n for one in found.bins]), error=error),
        alt=f"Share of right answers against the probability said: {error}.",
    )
