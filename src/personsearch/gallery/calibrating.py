"""A calibration from what people said: pairs that are labelled, or hits that were judged.

It is kept with the gallery (``own-calibration.json``) and wins over the model's, which stays beside it
and comes back when the own one is removed.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from personsearch.errors import InputError
from personsearch.files import disk_errors, sync_folder, write_json
from personsearch.gallery.description import own_calibration_file, read_calibration, read_description
from personsearch.gallery.named import NamedPeople, NamedPerson
from personsearch.gallery.reading import ReadableGallery
from personsearch.ranking.calibration import (
    Calibration,
    Method,
    SearchFit,
    expected_calibration_error,
    fit_calibration,
)
from personsearch.ranking.presence import JudgedSearch, fit_searches, hit_probabilities
from personsearch.ranking.similarity import similarities
from personsearch.types import Array

LONGEST = 1 << 28
"""Bytes of the longest file of pairs that is read."""

FEW = 300
"""Right pairs from which on an isotonic curve is the choice; with fewer a logistic one."""

WORDS = {"1": True, "true": True, "yes": True, "y": True, "0": False, "false": False, "no": False, "n": False}


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairs:
    """Pairs of which somebody says whether they are one person.

    Attributes:
        similarities: (n,) float64.
        same: (n,) bool.
    """

    similarities: Array
    same: Array


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What calibrating did.

    Attributes:
        gallery: the folder.
        source: ``"pairs"`` or ``"reviewed"``.
        calibration: the new one.
        right, wrong: pairs or hits of each kind.
        error_before: expected calibration error of the old one on them; None where there was none.
        error_after: of the new one, each half weighed by a curve that was fitted on the other half.
    """

    gallery: str
    source: Literal["pairs", "reviewed"]
    calibration: Calibration
    right: int
    wrong: int
    error_before: float | None
    error_after: float | None


def read_pairs(path: Path, gallery: ReadableGallery) -> Pairs:
    """The labelled pairs in a file: CSV with a header, a JSON array, or JSON lines.

    Each has ``same`` (1, 0, true, false, yes, no) and either ``similarity``, or ``a`` and ``b``, the numbers
    of two people in the gallery.

    Raises:
        InputError: it cannot be read, a line is not such a pair, or a number is nobody's.
    """
    try:
        if path.stat().st_size > LONGEST:
            raise InputError(f"{path} is too long for a file of pairs")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}", hint="give a CSV or JSON file"
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8", hint="save it as UTF-8") from error
    values: list[float | tuple[int, int]] = []
    same: list[bool] = []
    for line, row in _rows(text, path):
        try:
            same.append(WORDS[str(row["same"]).strip().lower()])
            if row.get("similarity") not in (None, ""):
                value = float(row["similarity"])
                if not math.isfinite(value):
                    raise ValueError(f"similarity {value}")
                values.append(value)
            else:
                values.append((int(row["a"]), int(row["b"])))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path}: pair {line} cannot be used: {type(error).__name__} at {error}",
                hint="each needs same (1 or 0), and similarity, or a and b (numbers of hits)",
            ) from error
    return Pairs(similarities=_compared(values, gallery), same=np.array(same, bool))


def _rows(text: str, path: Path) -> Iterable[tuple[int, Mapping[str, Any]]]:
    if text.lstrip()[:1] in ("[", "{"):
        try:
            whole = text.lstrip().startswith("[")
            rows = (
                json.loads(text)
                if whole
                else [json.loads(line) for line in text.splitlines() if line.strip()]
            )
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is not JSON: {error}", hint="an array, or an object a line") from error
        return enumerate(rows, 1)
    try:
        return list(enumerate(csv.DictReader(io.StringIO(text, newline=""), strict=True), 1))
    except csv.Error as error:
        raise InputError(f"{path} is not CSV: {error}", hint="similarity,same or a,b,same") from error


def _compared(values: Sequence[float | tuple[int, int]], gallery: ReadableGallery) -> Array:
    """Similarities as they are given, or those of two people of the gallery."""
    numbers = sorted({number for value in values if isinstance(value, tuple) for number in value})
    vectors = {e.detection: e.vector for e in gallery.examples(numbers)} if numbers else {}
    found = np.empty(len(values), np.float64)
    for row, value in enumerate(values):
        if isinstance(value, tuple):
            a, b = (vectors[number][None] for number in value)
            found[row] = similarities(a, b, gallery.similarity)[0, 0]
        else:
            found[row] = value
    return found


def calibrate_pairs(gallery: ReadableGallery, pairs: Pairs, method: Method | None = None) -> Calibrated:
    """A calibration from labelled pairs.

    The catch: it holds as far as the wrong pairs are like any two people of the gallery. Wrong pairs
    that were picked because they look alike make it say less than it should.

    Args:
        gallery: whose model it is.
        pairs: at least one right and one wrong.
        method: None chooses by the number of right pairs.

    Raises:
        InputError: no right or no wrong pair.
    """
    right = int(pairs.same.sum())
    way: Method = method or ("isotonic" if right >= FEW else "platt")
    curve = fit_calibration(pairs.similarities, pairs.same, method=way)
    halves = np.random.default_rng(0).permutation(len(pairs.same)) % 2 == 0
    after = None
    if all(pairs.same[part].any() and not pairs.same[part].all() for part in (halves, ~halves)):
        said = np.empty(len(halves))
        for part in (halves, ~halves):
            fit = fit_calibration(pairs.similarities[~part], pairs.same[~part], method=way)
            said[part] = fit.probability(pairs.similarities[part])
        after = expected_calibration_error(said, pairs.same)
    before, old = None, gallery.calibration
    if old is not None:
        share = min(max(right / len(pairs.same), 1e-9), 1 - 1e-9)
        before = expected_calibration_error(old.probability(pairs.similarities, prior=share), pairs.same)
    return Calibrated(
        gallery=str(gallery.path),
        source="pairs",
        calibration=curve,
        right=right,
        wrong=len(pairs.same) - right,
        error_before=before,
        error_after=after,
    )


def reviewed_searches(gallery: ReadableGallery) -> list[JudgedSearch]:
    """The judged hits of all named people, as searches by the examples that were not hits.

    Of a person who was saved by hits alone, the first right one is the example. A person of whom every
    judged hit is wrong counts as one who is not there.
    """
    people = NamedPeople(gallery.path)
    found = [_reviewed(people.load(name), gallery) for name in people.names()]
    return [search for search in found if search is not None]


def _reviewed(person: NamedPerson, gallery: ReadableGallery) -> JudgedSearch | None:
    mine = [example for example in person.examples if example.model == gallery.fingerprint]
    asked = [example for example in mine if example.right and example.detection is None]
    asked = asked or [example for example in mine if example.right][:1]
    judged = [e for e in mine if e.detection is not None and all(e is not one for one in asked)]
    if not asked or not judged:
        return None
    table = similarities(
        np.stack([e.vector for e in asked]), np.stack([e.vector for e in judged]), gallery.similarity
    )
    alike = table.astype(np.float64).mean(axis=0)
    order = np.argsort(-alike, kind="stable")
    right = np.array([example.right for example in judged], bool)[order]
    return JudgedSearch(
        similarities=alike[order], right=right, people=gallery.people, present=bool(right.any())
    )


def calibrate_reviewed(gallery: ReadableGallery) -> Calibrated:
    """The gallery's calibration, corrected by the hits that were judged in it.

    Without any calibration to correct, a logistic curve is fitted to the judged hits themselves.

    Raises:
        InputError: too little was judged: no right hit, or no wrong one.
    """
    searches = reviewed_searches(gallery)
    right = np.concatenate([np.zeros(0, bool), *(s.right for s in searches)])
    base = read_calibration(gallery.path, read_description(gallery.path).generation, own=False)
    new = _corrected(base, searches)
    after = None
    try:
        said = [_said(_corrected(base, [s for s in searches if s is not one]), one) for one in searches]
        after = expected_calibration_error(np.concatenate(said), right)
    except InputError:  # without one of them too little is left
        pass
    old = gallery.calibration
    before = None
    if old is not None and len(right):
        before = expected_calibration_error(np.concatenate([_said(old, one) for one in searches]), right)
    return Calibrated(
        gallery=str(gallery.path),
        source="reviewed",
        calibration=new,
        right=int(right.sum()),
        wrong=int((~right).sum()),
        error_before=before,
        error_after=after,
    )


def _said(calibration: Calibration, search: JudgedSearch) -> Array:
    return hit_probabilities(calibration, search.similarities, search.people)


def _corrected(base: Calibration | None, searches: Sequence[JudgedSearch]) -> Calibration:
    if base is not None:
        return fit_searches(replace(base, searches=None), searches)
    alike = np.concatenate([np.zeros(0), *(s.similarities for s in searches)])
    right = np.concatenate([np.zeros(0, bool), *(s.right for s in searches)])
    curve = fit_calibration(alike, right, method="platt")
    # Judged hits are the best of many already: what they say holds as it is, for such a gallery.
    people = max((s.people for s in searches), default=1)
    plain = float(np.log(curve.prior / (1 - curve.prior)) + np.log(people))
    return replace(curve, searches=SearchFit(slope=1.0, intercept=plain))


def write_own(gallery: ReadableGallery, calibration: Calibration) -> Path:
    """Keep a calibration with the gallery; from now on it wins over the model's."""
    path = own_calibration_file(gallery.path, read_description(gallery.path).generation)
    write_json(path, calibration.to_json())
    return path


def remove_own(gallery: ReadableGallery) -> bool:
    """Go back to the model's calibration; whether there was another one."""
    path = own_calibration_file(gallery.path, read_description(gallery.path).generation)
    there = path.is_file()
    if there:
        with disk_errors(path):
            path.unlink()
            sync_folder(path.parent)
    return there
