"""From a detector's outputs to boxes and scores of people: the three forms that are understood."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from personsearch.baselines.onnx_settings import OnnxDetectorSettings, sidecar_of
from personsearch.errors import InputError
from personsearch.types import Array

_SAME = 1e-3
"""A probability may pass 1 by so much, by rounding in half precision."""


def decoded(
    outputs: Mapping[str, Array], settings: OnnxDetectorSettings, size: tuple[int, ...], file: Path
) -> tuple[Array, Array]:
    """(n, 4) x1 y1 x2 y2 in pixels of the input, and (n,) scores of people.

    Args:
        outputs: by name. settings: their conventions.
        size: (height, width) of the input.
        file: whose they are, for errors.

    Raises:
        InputError: they are not of the form that the settings say.

    >>> words = dict(channels="rgb", white=1, mean=(0, 0, 0), std=(1, 1, 1), units="pixels")
    >>> yolo = OnnxDetectorSettings(
    ...     **words, output="yolo", boxes="cxcywh", classes=2, objectness=True, person=1)
    >>> one = np.array([[[10, 20, 4, 8, 0.5, 0.0, 0.75]]])  # (1, anchors, 4 + 1 + classes)
    >>> [part.tolist() for part in decoded({"out": one}, yolo, (64, 64), Path("y.onnx"))]
    [[[8.0, 16.0, 12.0, 24.0]], [0.375]]
    """
    form = {"yolo": _yolo, "rows": _rows, "boxes-scores": _boxes_scores}[settings.output]
    boxes, scores = form(outputs, settings, file)
    boxes = _corners(boxes.astype(np.float32), settings.boxes)
    if settings.units == "shares":
        boxes = boxes * np.array([size[1], size[0]] * 2, np.float32)
    return boxes, scores.astype(np.float32)


def _corners(boxes: Array, form: str) -> Array:
    """(n, 4) x1 y1 x2 y2 of boxes in another form."""
    if form == "xyxy":
        return boxes
    first, sides = boxes[:, :2], boxes[:, 2:]
    if form == "cxcywh":
        first = first - sides / 2
    return np.concatenate([first, first + sides], axis=1)


def _one_output(outputs: Mapping[str, Array], file: Path, form: str) -> Array:
    if len(outputs) != 1:
        raise InputError(
            f"{file} has outputs {', '.join(outputs)}; form {form} is one output",
            hint=f"export that one alone, or write another output form into {sidecar_of(file)}",
        )
    (one,) = outputs.values()
    if one.ndim == 3 and one.shape[0] == 1:
        one = one[0]
    if one.ndim != 2:
        raise InputError(
            f"the output of {file} has shape {one.shape}, not (1, rows, columns)",
            hint=f"form {form} is not its own; see docs/baselines.md",
        )
    return one


def _yolo(outputs: Mapping[str, Array], settings: OnnxDetectorSettings, file: Path) -> tuple[Array, Array]:
    """A box, perhaps objectness, and class scores an anchor, in rows or in columns."""
    one = _one_output(outputs, file, "yolo")
    assert settings.classes is not None
    assert settings.person is not None
    columns = 4 + int(bool(settings.objectness)) + settings.classes
    fits = [side == columns for side in one.shape]
    if fits[0] == fits[1]:
        both = "both sides are" if all(fits) else "no side is"
        raise InputError(
            f"the output of {file} has shape {one.shape}: {both} {columns}, which is 4 numbers of the box"
            f"{' and objectness' if settings.objectness else ''} and {settings.classes} classes",
            hint=f"correct classes and objectness in {sidecar_of(file)}"
            if not any(fits)
            else "such a graph cannot be told from its transpose; export it for another input size",
        )
    rows = one if fits[1] else one.T
    start = columns - settings.classes
    _check_person(settings.person, settings.classes, file)
    scores = _probabilities(rows[:, start + settings.person], settings, file)
    if settings.objectness:
        scores = scores * _probabilities(rows[:, 4], settings, file)
    return rows[:, :4], scores


def _rows(outputs: Mapping[str, Array], settings: OnnxDetectorSettings, file: Path) -> tuple[Array, Array]:
    """A box, its score and its class a row."""
    one = _one_output(outputs, file, "rows")
    if one.shape[1] != 6:
        raise InputError(
            f"the output of {file} has {one.shape[1]} columns, not the 6 of box, score and class",
            hint=f"correct output in {sidecar_of(file)}",
        )
    people = one[np.round(one[:, 5]) == settings.person]
    return people[:, :4], _probabilities(people[:, 4], settings, file)


def _boxes_scores(
    outputs: Mapping[str, Array], settings: OnnxDetectorSettings, file: Path
) -> tuple[Array, Array]:
    """Boxes and scores as outputs of their own; the class from labels, or from columns of the scores."""
    found = {role: outputs.get(settings.names.get(role, role)) for role in ("boxes", "scores", "labels")}
    boxes, scores, labels = found["boxes"], found["scores"], found["labels"]
    if boxes is None or scores is None:
        example = ", ".join(f'"{role}": "..."' for role in ("boxes", "scores", "labels"))
        raise InputError(
            f"the outputs of {file} are called {', '.join(outputs)}: which are boxes and scores?",
            hint=f'write {{"names": {{{example}}}}} into {sidecar_of(file)}',
        )
    if boxes.ndim == 3 and boxes.shape[0] == 1:  # a batch of one: of all outputs, or of none
        boxes, scores = boxes[0], scores[0] if scores.ndim else scores
        labels = labels[0] if labels is not None and labels.ndim > 1 else labels
    n = len(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.ndim not in (1, 2) or len(scores) != n:
        raise InputError(
            f"{file} answers with boxes {boxes.shape} and scores {scores.shape}, not (n, 4) and (n,)",
            hint="see docs/baselines.md for the forms",
        )
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    several = labels is not None or scores.ndim == 2
    if several and settings.person is None:
        raise InputError(
            f"{file} knows several classes", hint=f'write {{"person": NUMBER}} into {sidecar_of(file)}'
        )
    if not several and settings.person is not None:
        raise InputError(
            f"{file} has neither labels nor scores of several classes, but person is {settings.person}",
            hint=f'take "person" out of {sidecar_of(file)}, or name the labels in it',
        )
    if scores.ndim == 2:
        assert settings.person is not None
        _check_person(settings.person, scores.shape[1], file)
        scores = scores[:, settings.person]
    elif labels is not None:
        people = labels.reshape(-1) == settings.person
        boxes, scores = boxes[people], scores[people]
    return boxes, _probabilities(scores, settings, file)


def _check_person(person: int, classes: int, file: Path) -> None:
    if not 0 <= person < classes:
        raise InputError(
            f"{file} has classes 0 to {classes - 1}, and person is {person}",
            hint=f"correct it in {sidecar_of(file)}",
        )


def _probabilities(scores: Array, settings: OnnxDetectorSettings, file: Path) -> Array:
    """Scores in [0, 1], as they are or through a logistic function."""
    values = np.asarray(scores, np.float64)
    if settings.scores == "logit":
        squashed: Array = 0.5 * (1 + np.tanh(values / 2))  # the logistic function, without overflow
        return squashed
    if len(values) and (np.nanmin(values) < -_SAME or np.nanmax(values) > 1 + _SAME):
        raise InputError(
            f"{file} gives scores from {np.nanmin(values):.3g} to {np.nanmax(values):.3g}: no probabilities",
            hint=f'write {{"scores": "logit"}} into {sidecar_of(file)} if they are',
        )
    return np.clip(values, 0, 1)
