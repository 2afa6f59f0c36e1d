"""Is the person there at all? Probabilities of hits, and of a whole search, in a gallery of any size.

A calibration says what a similarity is worth among the pairs that it was fitted on. In a gallery a
hit is the best of n people, nearly all of whom are somebody else: with n grows the chance that
somebody else looks just as much like the person. By Bayes' rule the odds of a hit are its likelihood
ratio (what the similarity says, whatever the share of right pairs) times the odds before looking,
which are ``EXPECTED`` to n. The logarithm of ratio over n is here called the *evidence* of a hit.

What the rule leaves out is measured on whole searches and corrected: people who look alike do so in
several pictures, and somebody who is there may not have been detected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit, logsumexp

from personsearch.errors import InputError
from personsearch.ranking.calibration import Calibration, SearchFit, fit_calibration
from personsearch.ranking.similarity import similarities as compare
from personsearch.types import Array, Similarity

EXPECTED = 2.0
"""Appearances of the person in a gallery before anything is seen: as if somebody who is seen four
times were there in every other search."""

LIKELY = 0.8
"""From this probability on, that some hit is right or that the person is there, the verdict is "likely"."""

ABSENT_SHARE = 0.03
"""Of searches for people who are there, at most this share is to be called "likely absent"."""

TOP = 5
"""Hits of a search that speak for or against the person's being there."""

FEWEST = 20
"""Searches for people who are there, below which nothing is said of absence."""

Verdict = Literal["likely", "unsure", "likely absent"]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a search as a whole is worth.

    Attributes:
        verdict: advice; hits are shown whatever it says.
        present: probability that the person is in the gallery, where that was measured.
        evidence: see :func:`search_evidence`.
    """

    verdict: Verdict
    present: float | None
    evidence: float


@dataclass(frozen=True, eq=False, kw_only=True)
class JudgedSearch:
    """One search of which it is known how it came out.

    Attributes:
        similarities: (k,) of its hits, best first, one a picture.
        right: (k,) bool, which are the person.
        people: how many were ranked.
        present: whether the person was there, found or not.
    """

    similarities: Array
    right: Array
    people: int
    present: bool


def hit_evidence(calibration: Calibration, similarities: Array, people: int) -> Array:
    """float64 evidence of each hit: log of its likelihood ratio over the number of people ranked.

    >>> curve = Calibration(method="platt", pairs=9, prior=0.5, slope=2.0, intercept=0.0)
    >>> hit_evidence(curve, np.array([0.0, 1.0]), 1).tolist()  # odds e^(2s) where the odds were even
    [0.0, 2.0]
    """
    given = np.clip(calibration.probability(similarities), 1e-12, 1 - 1e-12)
    found: Array = logit(given) - logit(calibration.prior) - np.log(max(people, 1))
    return found


def hit_probabilities(calibration: Calibration, similarities: Array, people: int) -> Array:
    """The probability that each hit is the person, when it was found among so many people.

    Without a :class:`SearchFit` the odds before looking are ``EXPECTED`` to ``people`` (never better
    than even); with one they are what came out in whole searches.

    Args:
        calibration: of pairs.
        similarities: of the hits, any shape.
        people: how many were ranked.

    >>> curve = Calibration(method="platt", pairs=9, prior=0.5, slope=2.0, intercept=0.0)
    >>> hit_probabilities(curve, np.array([0.0]), 20).round(6).tolist()  # no evidence: 2 of 20
    [0.1]
    """
    fit = calibration.searches
    if fit is None:
        return calibration.probability(similarities, prior=min(0.5, EXPECTED / max(people, 1)))
    found: Array = expit(fit.slope * hit_evidence(calibration, similarities, people) + fit.intercept)
    return found


def search_evidence(calibration: Calibration, similarities: Array, people: int) -> float:
    """How much the hits of one search speak for the person's being there; minus infinity without hits.

    If the person were there just once, anywhere, the odds would grow by the mean of the likelihood
    ratios of all people ranked; the best ``TOP`` make up nearly all of it. Its logarithm.
    """
    best = np.sort(np.asarray(similarities, np.float64))[::-1][:TOP]
    return float(logsumexp(hit_evidence(calibration, best, people))) if len(best) else -np.inf


def judge(calibration: Calibration, similarities: Array, people: int) -> Judgement:
    """The verdict on a whole search.

    "likely": some hit is the person, or the person is there, with at least ``LIKELY``. "likely
    absent": less evidence than in all but ``ABSENT_SHARE`` of the searches for people who were there; it is
    never said by a calibration that has not measured that. All else is "unsure".

    Args:
        calibration: of pairs, with or without a :class:`SearchFit`.
        similarities: of at least the best ``TOP`` hits, best first, one a picture.
        people: how many were ranked.
    """
    fit = calibration.searches
    evidence = search_evidence(calibration, similarities, people)
    best = float(np.max(hit_probabilities(calibration, similarities, people), initial=0.0))
    present = None
    if fit is not None and fit.searches:
        present = float(expit(fit.present_slope * evidence + fit.present_intercept))
    verdict: Verdict = "unsure"
    if max(best, present or 0.0) >= LIKELY:
        verdict = "likely"
    elif fit is not None and fit.absent_below is not None and evidence < fit.absent_below:
        verdict = "likely absent"
    return Judgement(verdict=verdict, present=present, evidence=evidence)


def fit_searches(
    calibration: Calibration, searches: Sequence[JudgedSearch], *, absent_share: float = ABSENT_SHARE
) -> Calibration:
    """The calibration, corrected by whole searches that somebody has judged.

    The catch: searches must be of people whom the pairs were not of, or both seem better than they
    are (:func:`calibrate_people` sees to that). Slopes and intercepts are drawn to what the rule
    says without any data, as by one or two searches, so that a few searches move them little.
    With n searches for people who were there, whoever has less evidence than the k-th least of them,
    ``k = floor((n + 1) absent_share)``, is called absent: of new searches of the same kind that is on
    average a share of at most ``absent_share``, whatever the distribution.

    Args:
        calibration: of pairs.
        searches: hits judged; those for people who were not there teach the verdict.
        absent_share: in (0, 1).

    Raises:
        InputError: no hits, or none of them right, or none wrong.

    Sources: Platt (1999) for the two curves; Vovk, Gammerman and Shafer, Algorithmic Learning in a
    Random World (2005), chapter 4, for the bound of the share.
    """
    parts = [
        (hit_evidence(calibration, s.similarities[:TOP], s.people), np.asarray(s.right[:TOP], bool))
        for s in searches
    ]
    evidence = np.concatenate([np.zeros(0), *(e for e, _ in parts)])
    right = np.concatenate([np.zeros(0, bool), *(r for _, r in parts)])
    if not right.any() or right.all():
        raise InputError(
            f"cannot calibrate on {int(right.sum())} right hits and {int((~right).sum())} wrong ones",
            hint="judge more hits: some that are the person, and some that are not",
        )
    slope, intercept = _drawn_logistic(evidence, right)
    there = np.array([s.present for s in searches], bool)
    whole = np.array([search_evidence(calibration, s.similarities, s.people) for s in searches])
    known = bool(there.any() and not there.all())
    low = max(float(np.min(whole[np.isfinite(whole)])) - 1.0, -1e6) if np.isfinite(whole).any() else -1e6
    whole = np.where(np.isfinite(whole), whole, low)  # nobody was found: less than any hit says
    present = _drawn_logistic(whole, there) if known else (1.0, float(np.log(EXPECTED)))
    n = int(there.sum())
    place = int((n + 1) * absent_share)
    absent = float(np.sort(whole[there])[place - 1]) if known and n >= FEWEST and place else None
    fit = SearchFit(
        slope=slope,
        intercept=intercept,
        present_slope=present[0],
        present_intercept=present[1],
        absent_below=absent,
        searches=n if known else 0,
    )
    return replace(calibration, searches=fit)


def calibrate_people(
    vectors: Array, people: Array, pictures: Array, kind: Similarity, *, seed: int = 0
) -> Calibration:
    """A calibration from appearances of people of whom it is known who they are.

    Pairs within one picture are left out: they are always two people. Whole searches are every
    appearance as a query among all others, once with the person and once without; each is weighed by
    a curve that was fitted on the other half of the people. Fewer than ``FEWEST`` such searches, or
    people of which one half makes no curve, leave that part out.

    Args:
        vectors: (n, d) raw embeddings.
        people: (n,) who each is.
        pictures: (n,) where each is seen.
        kind: how embeddings are compared.
        seed: of the halves.

    Raises:
        InputError: nobody is seen in two pictures, or there is one person only.
    """
    who, where = np.asarray(people), np.asarray(pictures)
    table = compare(vectors, vectors, kind)
    first, second = np.triu_indices(len(who), k=1)
    apart = where[first] != where[second]
    first, second = first[apart], second[apart]
    alike, same = table[first, second], who[first] == who[second]
    whole = fit_calibration(alike, same)
    names = np.random.default_rng([seed, 11]).permutation(np.unique(who))
    half = np.isin(who, names[::2])
    searches: list[JudgedSearch] = []
    evidence: list[Calibration] = []
    for mine in (half, ~half):
        pairs = ~mine[first] & ~mine[second]
        if not same[pairs].any() or same[pairs].all():
            return whole
        curve = fit_calibration(alike[pairs], same[pairs])
        some = [s for row in np.flatnonzero(mine) for s in _both(table[row], who, where, int(row))]
        searches += some
        evidence += [curve] * len(some)
    if sum(s.present for s in searches) < FEWEST:
        return whole
    try:
        return replace(whole, searches=fit_evidence(evidence, searches))
    except InputError:  # every hit right, or every one wrong: nothing to learn
        return whole


def _both(alike: Array, who: Array, where: Array, row: int) -> list[JudgedSearch]:
    """The search for one appearance with the person there, where there is another, and without."""
    others = np.flatnonzero(where != where[row])
    there = who[others] == who[row]
    found = []
    for gallery, present in ((others, True), (others[~there], False)):
        if len(gallery) and (there.any() or not present):
            order = gallery[np.argsort(-alike[gallery], kind="stable")]
            _, leaders = np.unique(where[order], return_index=True)
            best = order[np.sort(leaders)[:TOP]]
            judged = JudgedSearch(
                similarities=alike[best], right=who[best] == who[row], people=len(gallery), present=present
            )
            found.append(judged)
    return found if len(found) == 2 else []


def fit_evidence(curves: Sequence[Calibration], searches: Sequence[JudgedSearch]) -> SearchFit | None:
    """What :func:`fit_searches` learns when each search is weighed by a curve of its own.

    So no search is weighed by a curve that was fitted on its own person's pairs.
    """
    # To a curve that says just what its evidence was, evidence can be given as if it were similarity.
    unit = Calibration(method="platt", pairs=2, prior=0.5, slope=1.0, intercept=0.0)
    moved = [
        replace(s, similarities=hit_evidence(curve, s.similarities, s.people) + np.log(max(s.people, 1)))
        for curve, s in zip(curves, searches, strict=True)
    ]
    return fit_searches(unit, moved).searches


def _drawn_logistic(evidence: Array, right: Array) -> tuple[float, float]:
    """Slope (not negative) and intercept of greatest posterior, before any data 1 and log EXPECTED."""
    centre = np.array([1.0, np.log(EXPECTED)])

    def loss(coefficients: Array) -> tuple[float, Array]:
        logits = coefficients[0] * evidence + coefficients[1]
        error = expit(logits) - right
        away = coefficients - centre
        value = float(np.sum(np.logaddexp(0.0, logits) - right * logits) + 0.5 * np.sum(away**2))
        return value, np.array([np.sum(error * evidence), np.sum(error)]) + away

    found = minimize(loss, centre, jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)])
    return float(found.x[0]), float(found.x[1])
