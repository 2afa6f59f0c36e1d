"""Which queries are worth looking at, and what their rankings look like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from personsearch.boxes import iou
from personsearch.evaluation.failures import FOUND, RANKED_LOW, REASONS, Appearances, FailureSplit
from personsearch.evaluation.iou_rule import with_sides
from personsearch.evaluation.rankings import Ranking, Rankings
from personsearch.evaluation.search_tables import SearchFeatures
from personsearch.ranking.lists import Appearance, Outcome, RankedHit, RankList, Verdict
from personsearch.types import Array, SearchScores


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Queries to look at, each in one group only.

    Attributes:
        best: highest average precision first.
        median: around the middle, higher ones first.
        worst: lowest first.
    """

    best: tuple[int, ...]
    median: tuple[int, ...]
    worst: tuple[int, ...]


def select_queries(scores: SearchScores, *, best: int = 3, median: int = 3, worst: int = 6) -> Selection:
    """The queries at both ends of a protocol and in its middle, by average precision.

    Among equals those whose first right answer comes earlier are better (never comes last);
    where that is equal too, the earlier of the protocol is taken, so the choice is the same every
    time. Queries without anybody to find are in no group. Where there are few queries, the
    worst are chosen first, then the best.

    >>> ap = np.array([1.0, 0.1, 0.5, 0.9, 0.0])
    >>> scores = SearchScores(protocol="p", ap=ap, first_hit=np.array([1, 9, 2, 1, 0]), recall=ap > 0)
    >>> select_queries(scores, best=1, median=1, worst=2)
    Selection(best=(0,), median=(2,), worst=(4, 1))
    """
    barren = np.asarray(scores.rules.get("without_positives", ()), np.int64)
    rows = np.setdiff1d(np.flatnonzero(~np.isnan(scores.ap)), barren)
    first = np.where(scores.first_hit > 0, scores.first_hit, np.iinfo(np.int64).max)[rows]
    order = rows[np.lexsort((rows, first, -scores.ap[rows]))]
    lost = rows[np.lexsort((rows, -first, scores.ap[rows]))][: max(0, worst)]
    rest = order[~np.isin(order, lost)]
    won, rest = rest[: max(0, best)], rest[max(0, best) :]
    # The middle of all, or what is left of it where the groups meet.
    centre = int(np.clip((len(order) - median) // 2 - len(won), 0, max(0, len(rest) - median)))
    return Selection(
        best=tuple(won.tolist()),
        median=tuple(rest[centre : centre + median].tolist()),
        worst=tuple(lost.tolist()),
    )


def rank_lists(
    rankings: Rankings,
    scores: SearchScores,
    failures: FailureSplit,
    queries: Sequence[int],
    *,
    hits: int = 6,
) -> tuple[RankList, ...]:
    """The rank lists of some queries, as a page shows them.

    Args:
        rankings: of the trials, features and rules that ``scores`` and ``failures`` are of.
        queries: their numbers, e.g. of a :class:`Selection`.
        hits: how many of the first answers.
    """
    known = (scores, failures)
    return tuple(_rank_list(rankings.of(query), rankings, known, hits) for query in queries)


def _rank_list(
    ranking: Ranking,
    rankings: Rankings,
    known: tuple[SearchScores, FailureSplit],
    hits: int,
) -> RankList:
    trials, features, (scores, failures) = rankings.trials, rankings.features, known
    i, seen = ranking.query, failures.appearances
    loose = seen.loose_detection[seen.query[seen.loose_row] == i]
    shown = []
    for rank, place in enumerate(ranking.first(hits).tolist(), start=1):
        row, entry = ranking.detection[place], ranking.entry[place]
        verdict: Verdict = "wrong"
        if ranking.same[place]:
            verdict = "right" if ranking.right[place] else "again"
        elif row in loose:
            verdict = "loose"
        shown.append(
            RankedHit(
                rank=rank,
                similarity=float(ranking.similarity[place]),
                picture=trials.scenes[trials.entry_scene[entry]],
                box=np.asarray(features.det_box[row], np.float32),
                score=float(features.det_score[row]),
                verdict=verdict,
            )
        )
    rows = np.flatnonzero(seen.query == i)
    return RankList(
        query=i,
        picture=trials.scenes[trials.query_scene[i]],
        box=trials.query_box[i],
        ap=float(scores.ap[i]),
        first_hit=int(scores.first_hit[i]),
        reason=REASONS[failures.reason[i]],
        pictures=int(trials.entry_ptr[i + 1] - trials.entry_ptr[i]),
        people=len(ranking.similarity),
        hits=tuple(shown),
        appearances=tuple(_appearance(ranking, rankings, failures, row) for row in rows.tolist()),
    )


def _appearance(ranking: Ranking, rankings: Rankings, failures: FailureSplit, row: int) -> Appearance:
    seen, trials = failures.appearances, rankings.trials
    scene = trials.scenes[seen.scene[row]]
    rank = _rank(ranking, rankings, seen, row)
    code = RANKED_LOW if seen.reason[row] == FOUND and rank > failures.k else int(seen.reason[row])
    score = float(seen.score[row])
    return Appearance(
        picture=scene,
        box=seen.box[row],
        outcome=cast(Outcome, REASONS[code]),
        rank=rank,
        overlap=float(seen.overlap[row]),
        needed=float(seen.needed[row]),
        score=None if np.isnan(score) else score,
        nearest=_nearest(rankings.features, scene, seen.box[row]),
    )


def _rank(ranking: Ranking, rankings: Rankings, seen: Appearances, row: int) -> int:
    """Rank of the right answer that matches a true box; 0 for none."""
    places = np.flatnonzero(ranking.right)
    here = rankings.trials.entry_scene[ranking.entry[places]] == seen.scene[row]
    places = places[here]
    boxes = with_sides(rankings.features.det_box[ranking.detection[places]], rankings.rules.box_sides)
    truth = with_sides(seen.box[row][None], rankings.rules.box_sides)
    places = places[iou(boxes, truth)[:, 0] >= seen.needed[row]]
    if not len(places):
        return 0
    own = places[ranking.entry[places] == seen.entry[row]]  # a picture that is listed again has two
    return ranking.rank_of(int(own[0] if len(own) else places[0]))


def _nearest(features: SearchFeatures, scene: str, box: Array) -> Array | None:
    """The detection of a scene that overlaps ``box`` most, if any does."""
    where = features.scenes.index(scene)
    boxes = np.asarray(features.det_box[features.det_ptr[where] : features.det_ptr[where + 1]], np.float32)
    overlap = iou(boxes, box[None])[:, 0]
    if not len(overlap) or overlap.max() <= 0:
        return None
    nearest: Array = boxes[overlap.argmax()]
    return nearest
