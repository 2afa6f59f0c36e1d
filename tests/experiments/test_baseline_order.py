from __future__ import annotations

import numpy as np
import pytest

from personsearch.evaluation.comparison import compare_scores
from personsearch.experiments.baseline_order import check_order, verdict_of
from personsearch.types import SearchScores


def scores(level: float, queries: int = 60, spread: float = 0.02) -> SearchScores:
    """Average precisions around a level; right answers where they are above a half."""
    ap = np.clip(level + spread * np.random.default_rng(7).standard_normal(queries), 0, 1)
    return SearchScores(
        protocol="p",
        ap=ap,
        first_hit=np.where(np.arange(queries) < level * queries, 1, 5),
        recall=np.ones(queries),
    )


LEVELS = {
    ("acf", "euclidean"): 0.2, ("acf", "kissme"): 0.3, ("acf", "bow"): 0.4, ("acf", "idnet"): 0.5,
    ("deep", "euclidean"): 0.3, ("deep", "kissme"): 0.4, ("deep", "bow"): 0.5, ("deep", "idnet"): 0.6,
    ("gt", "euclidean"): 0.4, ("gt", "kissme"): 0.5, ("gt", "bow"): 0.6, ("gt", "idnet"): 0.9,
}  # fmt: skip


def test_every_neighbouring_pair_is_asked_for_both_measures() -> None:
    table = {pair: scores(level) for pair, level in LEVELS.items()}
    claims = check_order(table, scores(0.75), seed=0)
    pairs = [(claim.better, claim.worse) for claim in claims if claim.difference.measure == "mAP"]
    assert len(pairs) == 4 * 2 + 3 * 3 + 2
    assert len(claims) == 2 * len(pairs)
    assert ("gt+bow", "deep+bow") in pairs
    assert ("deep+bow", "acf+bow") in pairs
    assert ("gt+bow", "acf+bow") not in pairs  # not neighbours
    assert ("acf+idnet", "acf+bow") in pairs
    assert ("acf+kissme", "acf+euclidean") in pairs
    assert pairs[-2:] == [("joint", "deep+idnet"), ("gt+idnet", "joint")]
    assert {claim.verdict for claim in claims} == {"holds"}
    record = claims[0].record()
    assert record["better"] == "gt+idnet"
    assert record["difference"]["mean"] == pytest.approx(0.3, abs=0.02)


def test_what_these_queries_cannot_tell_is_undecided_and_what_they_deny_reversed() -> None:
    table = {("gt", "bow"): scores(0.4), ("deep", "bow"): scores(0.4), ("acf", "bow"): scores(0.7)}
    by_pair = {
        (c.better, c.worse): c.verdict for c in check_order(table, None, 0) if c.difference.measure == "mAP"
    }
    assert by_pair == {("gt+bow", "deep+bow"): "undecided", ("deep+bow", "acf+bow"): "reversed"}


def test_a_table_in_parts_compares_what_is_there() -> None:
    rows = {("gt", "idnet"): scores(0.9), ("acf", "idnet"): scores(0.5)}
    pairs = {(c.better, c.worse) for c in check_order(rows, scores(0.7), 0)}
    assert pairs == {("gt+idnet", "acf+idnet"), ("gt+idnet", "joint")}
    assert check_order({("gt", "bow"): scores(0.5)}, None, 0) == ()


def test_the_verdict_is_the_comparisons_own_p() -> None:
    a, b = scores(0.5, spread=0.3), scores(0.49, spread=0.3)
    (ap, _) = compare_scores(a, b, np.random.default_rng(0), top=(1,)).measures
    assert verdict_of(ap, level=ap.p_value + 1e-9) == "holds"
    assert verdict_of(ap, level=ap.p_value) == "undecided"
    same = compare_scores(a, a, np.random.default_rng(0), top=(1,)).measures[0]
    assert verdict_of(same, level=2.0) == "undecided"
