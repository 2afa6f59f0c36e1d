"""Is the person there at all? Probabilities of hits, and of a whole search, in a gallery of any size.

A calibration says what a similarity is worth among the pairs that it was fitted on. In a gallery a
hit is the best of n people, nearly all of whom are somebody else: with n grows the chance that
somebody else looks just as much like the person. By Bayes' rule the odds of a hit are its likelihood
ratio (what the similarity says, whatever the share of right pairs) times the odds before looking,
which are ``EXPECTED`` to n. The logarithm of ratio over n is here called the *evidence* of a hit. Here n
is everybody, not whom conditions such as a camera leave: those leave fewer appearances of the person, too.

What the rule leaves out can be measured on whole searches and corrected: people who look alike do so
in several pictures. Whether somebody is absent is not asked of evidence but of likeness: a person who
is there has, nearly always, a view that is at least so similar, in a gallery of whatever size.
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

Verdict = Literal["likely", "unsure", "likely absent"]


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What a search as a whole is worth.

    Attributes:
        verdict: advice; hits are shown whatever it says.
        present: probability that the person is among those who were compared, where that was measured
            and anybody was.
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
        best: similarity of the person's most similar view, which may stand behind these hits; minus
            infinity where no view was detected; None where nobody knows.
    """

    similarities: Array
    right: Array
    people: int
    present: bool
    best: float | None = None


def hit_evidence(calibration: Calibration, similarities: Array, people: int) -> Array:
    """float64 evidence of each hit: log of its likelihood ratio over the number of people.

    Less than ``EXPECTED`` people count as so many: odds before looking are never better than even.

    >>> curve = Calibration(method="platt", pairs=9, prior=0.5, slope=2.0, intercept=0.0)
    >>> hit_evidence(curve, np.array([0.0, 1.0]), 100).round(4).tolist()  # log(e^2s / 100); log(100) = 4.6052
    [-4.6052, -2.6052]
    >>> np.exp(hit_evidence(curve, np.array([0.0]), 1)).round(6).tolist()  # as if of two
    [0.5]
    """
    given = np.clip(calibration.probability(similarities), 1e-12, 1 - 1e-12)
    found: Array = logit(given) - logit(calibration.prior) - np.log(max(people, EXPECTED))
    return found


def hit_probabilities(calibration: Calibration, similarities: Array, people: int) -> Array:
    """The probability that each hit is the person, when it was found among so many people.

    Conditions that were met before ranking do not count: they make people fewer, and with them the
    person's appearances, so that a hit is worth what it was worth without them.

    Without a :class:`SearchFit` the odds before looking are ``EXPECTED`` to ``people`` (never better
    than even); with one they are what came out in whole searches.

    Args:
        calibration: of pairs.
        similarities: of the hits, any shape.
        people: how many there are, before any conditions.

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


def judge(
    calibration: Calibration,
    similarities: Array,
    people: int,
    *,
    compared: int | None = None,
    nearest: float | None = None,
) -> Judgement:
    """The verdict on a whole search.

    "likely": some hit is the person, or the person is there, with at least ``LIKELY``. "likely
    absent": nobody is as similar as the person's best view was in all but ``ABSENT_SHARE`` of the searches
    for people who were there; never said by a calibration that has not measured that, nor where the
    person is there as probably as not, nor where nobody was looked at. All else is "unsure". In a large
    gallery somebody always looks similar: absence is said there seldom.

    Args:
        calibration: of pairs, with or without a :class:`SearchFit`.
        similarities: of at least the best ``TOP`` hits, one a picture.
        people: how many there are, before any conditions (:func:`hit_probabilities`).
        compared: how many of them met the conditions; None where there were none.
        nearest: how similar the nearest is to one of several examples, where ``similarities`` are means
            over them: a person with two looks is far from the mean of both.

    >>> fit = SearchFit(slope=1.0, intercept=0.0, absent_below=0.5, searches=40)
    >>> curve = Calibration(method="platt", pairs=9, prior=0.5, slope=2.0, intercept=0.0, searches=fit)
    >>> judge(curve, np.array([0.4]), 100).verdict, judge(curve, np.array([0.4]), 100, nearest=0.8).verdict
    ('likely absent', 'unsure')
    >>> judge(curve, np.zeros(0), 100, compared=0).verdict
    'unsure'
    """
    fit = calibration.searches
    looked = people if compared is None else compared
    evidence = search_evidence(calibration, similarities, people)
    best = float(np.max(hit_probabilities(calibration, similarities, people), initial=0.0))
    present = None
    if looked and fit is not None and fit.present is not None:  # nobody looked at says nothing
        slope, intercept = fit.present
        present = float(expit((slope * evidence if slope else 0.0) + intercept))  # evidence may be infinite
    if nearest is None:
        nearest = float(np.max(np.asarray(similarities, np.float64), initial=-np.inf))
    verdict: Verdict = "unsure"
    if max(best, present or 0.0) >= LIKELY:
        verdict = "likely"
    elif looked and fit is not None and fit.absent_below is not None and nearest < fit.absent_below:
        verdict = "likely absent" if (present or 0.0) < 0.5 else "unsure"
    return Judgement(verdict=verdict, present=present, evidence=evidence)


def fit_searches(
    calibration: Calibration,
    searches: Sequence[JudgedSearch],
    *,
    curves: Sequence[Calibration] | None = None,
    absent_share: float = ABSENT_SHARE,
) -> Calibration:
    """The calibration, corrected by whole searches that somebody has judged.

    The catch: evidence should be of people whom the pairs were not of, or both seem better than they
    are; ``curves`` is for that. Slopes and intercepts are drawn to what the rule says without any
    data, as by one or two searches, so that a few searches move them little. They hold for
    galleries about as large as these. What is known of absence stays, unless the searches say what
    the best view of each person was: hits that were judged do not, for whoever was missed is not
    among them.

    Args:
        calibration: of pairs.
        searches: hits judged; those for people who were not there teach the probability of presence.
        curves: for each search a calibration that was fitted without its person; by default the one.
        absent_share: see :func:`absent_below`.

    Raises:
        InputError: no hits, or none of them right, or none wrong.

    Source: Platt (1999), for both curves.
    """
    by = [calibration] * len(searches) if curves is None else curves
    evidence = np.concatenate(
        [
            np.zeros(0),
            *(hit_evidence(c, s.similarities[:TOP], s.people) for c, s in zip(by, searches, strict=True)),
        ]
    )
    right = np.concatenate([np.zeros(0, bool), *(np.asarray(s.right[:TOP], bool) for s in searches)])
    if not right.any() or right.all():
        raise InputError(
            f"cannot calibrate on {int(right.sum())} right hits and {int((~right).sum())} wrong ones",
            hint="judge more hits: some that are the person, and some that are not",
        )
    slope, intercept = _drawn_logistic(evidence, right)
    there = np.array([s.present for s in searches], bool)
    whole = np.array(
        [search_evidence(c, s.similarities, s.people) for c, s in zip(by, searches, strict=True)]
    )
    whole = np.maximum(whole, np.min(whole[np.isfinite(whole)]) - 1.0)  # nobody: less than any hit says
    fit = SearchFit(
        slope=slope,
        intercept=intercept,
        present=_drawn_logistic(whole, there) if there.any() and not there.all() else None,
    )
    known = [s.best for s in searches if s.present and s.best is not None]
    if known:
        fit = replace(fit, absent_below=absent_below(known, absent_share), searches=len(known))
    elif calibration.searches is not None:
        old = calibration.searches
        fit = replace(fit, absent_below=old.absent_below, searches=old.searches)
    return replace(calibration, searches=fit)


def absent_below(best: Sequence[float], share: float = ABSENT_SHARE) -> float | None:
    """The similarity that the best view of a person who is there falls short of with at most ``share``.

    Of n searches for people a view of whom was detected it is that of the k-th least similar best view,
    ``k = floor((n + 1) share)``; None where k is 0. A new person of the same kind falls below it with a
    probability of at most ``k / (n + 1)``, whatever the distribution, and then is only called absent if
    nobody else in the gallery is more similar: the bound holds for galleries of every size. People
    whom the detector missed (minus infinity) are left out: they are called absent as often as those who
    are.

    Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005), chapter 4.

    >>> absent_below([0.9, 0.3, 0.5, 0.7, -np.inf], share=0.4), absent_below([0.9, 0.3], share=0.1)
    (0.5, None)
    """
    values = np.asarray(best, np.float64)
    values = np.sort(values[np.isfinite(values)])
    place = int((len(values) + 1) * share + 1e-9)
    return float(values[place - 1]) if 0 < place <= len(values) else None


def calibrate_people(vectors: Array, people: Array, pictures: Array, kind: Similarity) -> Calibration:
    """A calibration from appearances of people of whom it is known who they are.

    Pairs within one picture are left out: they are always two people. Every appearance of somebody
    who is in another picture, too, is a search that says how similar the best view of a person is
    who is there. Probabilities are left to Bayes' rule: a few people in a small gallery teach nothing
    about large ones (measured: ``benchmarks/calibration.py``).

    Args:
        vectors: (n, d) raw embeddings.
        people: (n,) who each is.
        pictures: (n,) where each is seen.
        kind: how embeddings are compared.

    Raises:
        InputError: nobody is seen in two pictures, or there is one person only.
    """
    who, where = np.asarray(people), np.asarray(pictures)
    table = compare(vectors, vectors, kind)
    first, second = np.triu_indices(len(who), k=1)
    apart = where[first] != where[second]
    first, second = first[apart], second[apart]
    curve = fit_calibration(table[first, second], who[first] == who[second])
    views = (who[:, None] == who) & (where[:, None] != where)
    there = views.any(axis=1)
    best = np.where(views, table, -np.inf).max(axis=1)[there].tolist()
    fit = SearchFit(
        slope=1.0, intercept=float(np.log(EXPECTED)), absent_below=absent_below(best), searches=len(best)
    )
    return replace(curve, searches=fit)


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
