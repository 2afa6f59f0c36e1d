"""What is a similarity worth? The probability that two descriptions are of one person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit

from personsearch.errors import InputError
from personsearch.types import Array

Method = Literal["isotonic", "platt"]


@dataclass(frozen=True, kw_only=True)
class SearchFit:
    """How whole searches came out: what pairs alone cannot tell (:mod:`personsearch.ranking.presence`).

    Attributes:
        slope, intercept: from a hit's evidence to the log-odds that it is the person.
        present: slope and intercept from a search's evidence to the log-odds that the person is there;
            None where that was not measured.
        absent_below: where nobody is so similar, the person is likely absent; None: never say so.
        searches: for people who were there, that it was measured on.
    """

    slope: float
    intercept: float
    present: tuple[float, float] | None = None
    absent_below: float | None = None
    searches: int = 0

    def __post_init__(self) -> None:
        present = self.present or (0.0, 0.0)
        numbers = [self.slope, self.intercept, *present, self.absent_below or 0.0]
        if not np.isfinite(numbers).all() or min(self.slope, present[0]) < 0:
            raise ValueError("coefficients must be finite, slopes not negative")
        if self.searches < 0:
            raise ValueError(f"searches cannot be {self.searches}")

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> SearchFit:
        """What ``dataclasses.asdict`` gave; KeyError, TypeError or ValueError for anything else."""
        absent, present = value["absent_below"], value["present"]
        if present is not None:
            slope, intercept = present
            present = float(slope), float(intercept)
        return SearchFit(
            slope=float(value["slope"]),
            intercept=float(value["intercept"]),
            present=present,
            absent_below=None if absent is None else float(absent),
            searches=int(value["searches"]),
        )


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """A rising curve from similarity to probability, with where it comes from.

    It holds for pairs like those it was fitted on: the same model, the same kind of
    pictures, and the same share of right pairs. Where that share is another, say so with
    ``prior`` in :meth:`probability`.

    Attributes:
        method: ``"isotonic"`` (any rising curve; wants a few hundred right pairs) or
            ``"platt"`` (a logistic curve; content with a few dozen).
        similarities, probabilities: knots of the isotonic curve, both rising.
        slope, intercept: of the logistic curve, ``1 / (1 + exp(-(slope s + intercept)))``.
        pairs: how many pairs it was fitted on.
        prior: share of right ones among them.
        searches: how whole searches came out, where somebody has measured it.
    """

    method: Method
    pairs: int
    prior: float
    similarities: tuple[float, ...] = ()
    probabilities: tuple[float, ...] = ()
    slope: float = 0.0
    intercept: float = 0.0
    searches: SearchFit | None = None

    def __post_init__(self) -> None:
        knots, values = np.array(self.similarities, float), np.array(self.probabilities, float)
        if self.method not in ("isotonic", "platt"):
            raise ValueError(f"method is 'isotonic' or 'platt', got {self.method!r}")
        if not 0 < self.prior < 1 or self.pairs < 2:
            raise ValueError(f"prior must be in (0, 1) and pairs at least 2, got {self.prior}, {self.pairs}")
        if self.method == "isotonic" and (len(knots) == 0 or len(knots) != len(values)):
            raise ValueError("an isotonic calibration needs as many similarities as probabilities")
        if not np.isfinite([*knots, *values, self.slope, self.intercept]).all() or self.slope < 0:
            raise ValueError("knots and coefficients must be finite, the slope not negative")
        if (np.diff(knots) <= 0).any() or (np.diff(values) < 0).any():
            raise ValueError("the knots must rise")
        if ((values < 0) | (values > 1)).any():
            raise ValueError("probabilities must be in [0, 1]")

    def probability(self, similarities: Array, *, prior: float | None = None) -> Array:
        """The probability that each similarity is that of one and the same person.

        Rises with the similarity (equal steps may share a value); linear between the
        knots of an isotonic curve and flat outside them.

        Args:
            similarities: any shape.
            prior: share of right pairs to expect, if it is not that of the fit, in (0, 1):
                the odds are multiplied by the ratio of the prior odds (Bayes).

        Returns:
            float64 of the same shape, in [0, 1].

        >>> curve = Calibration(
        ...     method="isotonic", pairs=40, prior=0.5, similarities=(0.2, 0.8), probabilities=(0.1, 0.9)
        ... )
        >>> curve.probability(np.array([-1.0, 0.5, 0.9])).tolist()
        [0.1, 0.5, 0.9]
        >>> curve.probability(np.array([0.5]), prior=0.1).round(6).tolist()  # odds 1 : 1 become 1 : 9
        [0.1]
        """
        given = np.asarray(similarities, np.float64)
        if self.method == "isotonic":
            found = np.interp(given, self.similarities, self.probabilities)
        else:
            found = expit(self.slope * given + self.intercept)
        if prior is None:
            return np.asarray(found)
        if not 0 < prior < 1:
            raise ValueError(f"prior must be in (0, 1), got {prior}")
        ratio = (prior / (1 - prior)) / (self.prior / (1 - self.prior))
        return np.asarray(found * ratio / (found * ratio + (1 - found)))

    def to_json(self) -> dict[str, Any]:
        """A value for a JSON file; reading it back gives an equal calibration, to the last bit."""
        kept: dict[str, Any] = {
            "schema": "personsearch.calibration/1",
            "method": self.method,
            "pairs": self.pairs,
            "prior": self.prior,
        }
        if self.searches is not None:
            fit = asdict(self.searches)
            kept["searches"] = fit | {"present": None if fit["present"] is None else list(fit["present"])}
        if self.method == "isotonic":
            return kept | {
                "similarities": list(self.similarities),
                "probabilities": list(self.probabilities),
            }
        return kept | {"slope": self.slope, "intercept": self.intercept}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Calibration:
        """The calibration that :meth:`to_json` gave.

        Raises:
            InputError: it is not one.
        """
        if not isinstance(value, Mapping) or value.get("schema") != "personsearch.calibration/1":
            raise InputError(
                "not a calibration: its schema is not personsearch.calibration/1",
                hint="take calibration.json from the folder of the same model",
            )
        try:
            return Calibration(
                method=value["method"],
                pairs=int(value["pairs"]),
                prior=float(value["prior"]),
                similarities=tuple(float(x) for x in value.get("similarities", ())),
                probabilities=tuple(float(x) for x in value.get("probabilities", ())),
                slope=float(value.get("slope", 0.0)),
                intercept=float(value.get("intercept", 0.0)),
                searches=None if value.get("searches") is None else SearchFit.from_json(value["searches"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"not a calibration: {error}", hint="take calibration.json from the folder of the same model"
            ) from error


def fit_calibration(similarities: Array, same: Array, *, method: Method = "isotonic") -> Calibration:
    """The curve that fits pairs of which it is known whether they are one person.

    Both methods stay away from 0 and 1: however clear the pairs were, n of a kind justify
    no more than 1 - 1 / (n + 2) (Platt's targets).

    Args:
        similarities: (n,) finite.
        same: (n,) bool, whether the pair is one person.
        method: see :class:`Calibration`.

    Raises:
        InputError: no right pair or no wrong pair, or a similarity that is not finite.
        ValueError: shapes that do not fit.

    Sources: Zadrozny and Elkan (KDD 2002) for the isotonic curve; Platt, Probabilistic
    Outputs for Support Vector Machines (1999), section 2.2, for the logistic one.

    >>> curve = fit_calibration(np.array([0.1, 0.2, 0.7, 0.8]), np.array([False, True, False, True]))
    >>> curve.similarities, [round(p, 3) for p in curve.probabilities]
    ((0.1, 0.2, 0.7, 0.8), [0.25, 0.5, 0.5, 0.75])
    """
    scores, right = np.asarray(similarities, np.float64), np.asarray(same, bool)
    if scores.ndim != 1 or scores.shape != right.shape:
        raise ValueError(f"similarities {scores.shape} and same {right.shape} must both be (n,)")
    if not np.isfinite(scores).all():
        raise InputError("cannot calibrate: a similarity is not a finite number")
    positive, negative = int(right.sum()), int((~right).sum())
    if not positive or not negative:
        raise InputError(
            f"cannot calibrate on {positive} pairs of one person and {negative} of two",
            hint="calibrate on data in which people appear more than once",
        )
    targets = (1 / (negative + 2), (positive + 1) / (positive + 2))
    if method == "platt":
        slope, intercept = _logistic(scores, np.where(right, targets[1], targets[0]))
        return Calibration(
            method=method,
            pairs=len(scores),
            prior=positive / len(scores),
            slope=slope,
            intercept=intercept,
        )
    knots, values = _isotonic(scores, right)
    return Calibration(
        method=method,
        pairs=len(scores),
        prior=positive / len(scores),
        similarities=tuple(knots.tolist()),
        probabilities=tuple(np.clip(values, *targets).tolist()),
    )


def _isotonic(scores: Array, right: Array) -> tuple[Array, Array]:
    """Knots of the rising curve nearest to the pairs: both ends of every flat stretch."""
    levels, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    shares = np.bincount(place, weights=right) / counts
    fitted = isotonic_regression(shares, weights=counts)
    starts = np.asarray(fitted.blocks)[:-1]
    ends = np.asarray(fitted.blocks)[1:] - 1
    keep = np.unique(np.concatenate([starts, ends]))
    # Pooled in floating point, equal shares may fall by a last digit: the curve may not.
    return levels[keep], np.maximum.accumulate(fitted.x[keep])


def _logistic(scores: Array, targets: Array) -> tuple[float, float]:
    """Slope (not negative) and intercept of the logistic curve with the smallest cross-entropy."""
    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    unit = (scores - centre) / spread

    def loss(coefficients: Array) -> tuple[float, Array]:
        logits = coefficients[0] * unit + coefficients[1]
        error = expit(logits) - targets
        value = float(np.mean(np.logaddexp(0.0, logits) - targets * logits))
        return value, np.array([np.mean(error * unit), np.mean(error)])

    found = minimize(
        loss,
        np.zeros(2),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 500},
    )
    slope = float(found.x[0]) / spread
    return slope, float(found.x[1]) - slope * centre


def expected_calibration_error(probabilities: Array, same: Array, *, bins: int = 15) -> float:
    """How far the probabilities are from what came true, on average, in [0, 1].

    The pairs are put into ``bins`` bins of equal width by probability; the mean over pairs
    of the distance between a bin's mean probability and its share of right pairs.

    Source: Naeini, Cooper and Hauskrecht, Obtaining Well Calibrated Probabilities Using
    Bayesian Binning (AAAI 2015).

    >>> expected_calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), np.array([1, 1, 1, 0]))
    0.0
    >>> expected_calibration_error(np.array([0.25, 1.0]), np.array([0, 1]))
    0.125
    """
    given, right = np.asarray(probabilities, np.float64), np.asarray(same, np.float64)
    if given.ndim != 1 or given.shape != right.shape or not len(given):
        raise ValueError(f"probabilities {given.shape} and same {right.shape} must both be (n,), n > 0")
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError("probabilities must be in [0, 1]")
    place = np.minimum((given * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weights=given - right, minlength=bins)
    return float(np.abs(gaps).sum() / len(given))
