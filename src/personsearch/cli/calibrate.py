"""``personsearch calibrate``: probabilities of one's own, from pairs or from hits that were judged."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.cli.options import FormatOption, GalleryOption, JsonOption
from personsearch.cli.output import Answer, Printer, chosen
from personsearch.errors import InputError, ModelMismatch, UsageError

if TYPE_CHECKING:
    from personsearch.gallery.calibrating import Calibrated
    from personsearch.gallery.gallery import Gallery
    from personsearch.ranking.calibration import Calibration, Method


class MethodName(StrEnum):
    """Curves from similarity to probability."""

    AUTO = "auto"
    ISOTONIC = "isotonic"
    PLATT = "platt"


_METHODS: dict[MethodName, Method | None] = {
    MethodName.AUTO: None,
    MethodName.ISOTONIC: "isotonic",
    MethodName.PLATT: "platt",
}
PairsOption = Annotated[
    Path | None,
    typer.Option(
        "--pairs",
        help="CSV or JSON: same, and similarity or a,b (numbers of hits).",
        dir_okay=False,
        show_default=False,
    ),
]
ReviewedOption = Annotated[
    bool, typer.Option("--reviewed", help="From the hits of saved people that were judged.")
]
ResetOption = Annotated[bool, typer.Option("--reset", help="Go back to the model's calibration.")]
MethodOption = Annotated[
    MethodName, typer.Option("--method", help="Of --pairs: auto is isotonic from 300 right pairs on.")
]
ModelFolderOption = Annotated[
    Path | None,
    typer.Option(
        "--write-model",
        metavar="DIR",
        help="Also into this model's folder, for galleries to come.",
        file_okay=False,
        show_default=False,
    ),
]


def calibrate(
    gallery: GalleryOption,
    pairs: PairsOption = None,
    reviewed: ReviewedOption = False,
    reset: ResetOption = False,
    method: MethodOption = MethodName.AUTO,
    write_model: ModelFolderOption = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make probabilities and verdicts fit one's own pictures.

    From labelled pairs, or from what was said of hits (search --save-as and refine). The result is
    kept with the gallery and wins over the model's calibration, which comes back with --reset. How far
    old and new are from what was said is printed, the new one measured on what it was not fitted on.

    \b
    Examples:
      personsearch calibrate --gallery gallery --pairs pairs.csv
      personsearch calibrate --gallery gallery --reviewed --write-model model
      personsearch calibrate --gallery gallery --reset
    """
    from personsearch.gallery import calibrating
    from personsearch.gallery.gallery import Gallery

    printer = Printer(chosen(form, as_json))
    if sum((pairs is not None, reviewed, reset)) != 1:
        raise UsageError("calibrate from what?", hint="one of --pairs FILE, --reviewed, --reset")
    with Gallery.open(gallery) as opened:
        if reset:
            there = calibrating.remove_own(opened)
            record = {"schema": "personsearch.calibrate/1", "gallery": str(gallery), "reset": there}
            said = (
                "the model's calibration counts again" if there else "the model's calibration counted already"
            )
            printer(Answer(record=record, rows=[], after=[said]))
            return
        if write_model is not None:
            _check_model(opened, write_model)
        if pairs is not None:
            labelled = calibrating.read_pairs(pairs, opened)
            done = calibrating.calibrate_pairs(opened, labelled, _METHODS[method])
        else:
            done = calibrating.calibrate_reviewed(opened)
        path = calibrating.write_own(opened, done.calibration)
    if write_model is not None:
        _write_model(write_model, done.calibration)
    printer(_answer(done, path, write_model))


def _check_model(gallery: Gallery, folder: Path) -> None:
    """Raise unless the folder is that of the gallery's model."""
    from personsearch.model.checkpoint import CONFIG, WEIGHTS, fingerprint_of

    if not (folder / CONFIG).is_file() or not (folder / WEIGHTS).is_file():
        raise InputError(f"{folder} is not a model folder", hint="give a folder that `train` wrote")
    if fingerprint_of(folder) != gallery.fingerprint:
        raise ModelMismatch(
            f"{folder} is another model than that of {gallery.path}",
            hint="a calibration holds for the model whose similarities it was made from",
        )


def _write_model(folder: Path, calibration: Calibration) -> None:
    from personsearch.files import write_json
    from personsearch.model.checkpoint import CALIBRATION

    write_json(folder / CALIBRATION, calibration.to_json())


def _answer(done: Calibrated, path: Path, model: Path | None) -> Answer:
    curve = done.calibration
    record = {
        "schema": "personsearch.calibrate/1",
        "gallery": done.gallery,
        "source": done.source,
        "method": curve.method,
        "right": done.right,
        "wrong": done.wrong,
        "error_before": done.error_before,
        "error_after": done.error_after,
        "says_absent": curve.searches is not None and curve.searches.absent_below is not None,
        "file": str(path),
        "model": None if model is None else str(model),
    }
    shown = ("right", "wrong", "method", "error_before", "error_after")
    after = [f"kept in {path}; it wins over the model's calibration (--reset goes back)"]
    if not record["says_absent"]:
        after.append(
            '"likely absent" is never said by it: that takes dozens of searches for people who were there'
        )
    return Answer(record=record, rows=[{name: record[name] for name in shown}], after=after)
