"""Does the order that the paper found hold? Pair by pair, over the same queries (paper 5.2 and 5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from personsearch.evaluation.comparison import Difference, compare_scores
from personsearch.types import SearchScores

BY_DETECTOR = ("gt", "deep", "acf")
"""Best first, whatever the re-id method (Table 2)."""
BY_EMBEDDER = ("idnet", "bow", "kissme", "euclidean")
"""Best first, whatever the detector (Table 2)."""
LEVEL = 0.05

Verdict = Literal["holds", "undecided", "reversed"]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One neighbouring pair of the paper's order, and what these queries say of it.

    Attributes:
        better, worse: names, in the paper's order.
        difference: of one measure, ``better`` minus ``worse``, with its paired bootstrap interval and p.
        verdict: ``"holds"`` or ``"reversed"`` where p is below ``LEVEL``, else ``"undecided"``.
    """

    better: str
    worse: str
    difference: Difference
    verdict: Verdict

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "better": self.better,
            "worse": self.worse,
            **asdict(self.difference),
            "verdict": self.verdict,
        }


def check_order(
    scores: Mapping[tuple[str, str], SearchScores], joint: SearchScores | None, seed: int
) -> tuple[Claim, ...]:
    """Every neighbouring pair of the paper's order that is among ``scores``, for mAP and top-1.

    Detectors in each column, re-id methods in each row; the joint network over Deep with IDNet, and
    annotated boxes with IDNet over the joint network. The catch: a pair's p says what other
    queries would change, not another training; and about one in twenty true ties is called a
    difference, so look at the pattern and not at one pair.

    Args:
        scores: by (detector, embedder), over the same queries.
        joint: the joint network's.
        seed: of the drawings.
    """
    pairs: list[tuple[str, str, SearchScores, SearchScores]] = []
    embedders = [one for one in BY_EMBEDDER if any(pair[1] == one for pair in scores)]
    detectors = [one for one in BY_DETECTOR if any(pair[0] == one for pair in scores)]
    for embedder in embedders:
        for a, b in pairwise(detectors):
            if (a, embedder) in scores and (b, embedder) in scores:
                pairs.append((f"{a}+{embedder}", f"{b}+{embedder}", scores[a, embedder], scores[b, embedder]))
    for detector in detectors:
        for a, b in pairwise(embedders):
            if (detector, a) in scores and (detector, b) in scores:
                pairs.append((f"{detector}+{a}", f"{detector}+{b}", scores[detector, a], scores[detector, b]))
    if joint is not None:
        if ("deep", "idnet") in scores:
            pairs.append(("joint", "deep+idnet", joint, scores["deep", "idnet"]))
        if ("gt", "idnet") in scores:
            pairs.append(("gt+idnet", "joint", scores["gt", "idnet"], joint))
    claims = []
    for better, worse, a_scores, b_scores in pairs:
        compared = compare_scores(a_scores, b_scores, np.random.default_rng(seed), top=(1,))
        for difference in compared.measures:
            claims.append(
                Claim(better=better, worse=worse, difference=difference, verdict=verdict_of(difference))
            )
    return tuple(claims)


def verdict_of(difference: Difference, level: float = LEVEL) -> Verdict:
    """Whether the first is better, by more than chance among queries would explain."""
    if difference.p_value >= level or difference.difference.mean == 0:
        return "undecided"
    return "holds" if difference.difference.mean > 0 else "reversed"
