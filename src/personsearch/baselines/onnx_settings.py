"""What an ONNX file does not say of itself and has to be told: how pictures go in and answers come out.

The words are those of the sidecar ``FILE.onnx.json``. Nothing that changes answers is guessed:
what neither the sidecar nor the file's own metadata says, and has no default here, is missing.
``docs/baselines.md`` describes every word.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from personsearch.errors import InputError
from personsearch.types import Similarity

METADATA = "personsearch"
"""Key of an ONNX file's metadata under which its exporter may write the sidecar's object."""


@dataclass(frozen=True, kw_only=True)
class OnnxInput:
    """How pixels become the input, (n, 3, h, w).

    Attributes:
        channels: their order.
        white: what a white pixel is before ``mean`` and ``std``: 1 or 255.
        mean, std: taken away and divided by, per channel in the order of ``channels``.
        size: (height, width), where the graph leaves them open.
    """

    channels: Literal["rgb", "bgr"]
    white: Literal[1, 255]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    size: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class OnnxDetectorSettings(OnnxInput):
    """A detector's conventions.

    Attributes:
        output: ``"boxes-scores"`` (outputs boxes, scores and perhaps labels), ``"yolo"`` (one
            output, a row or column of box, perhaps objectness, and class scores an anchor), or
            ``"rows"`` (one output, x1 y1 x2 y2 score class a row).
        boxes: their form. units: ``"pixels"`` of the input, or ``"shares"`` of its sides.
        person: number of the class; None where there is only one class and no label.
        classes: how many there are, for ``"yolo"``.
        objectness: whether each anchor has a score of its own beside its classes', for ``"yolo"``.
        scores: ``"logit"`` puts them through a logistic function.
        fit: how a picture meets an input of fixed size: ``"letterbox"`` keeps its proportions
            with margins on both sides, ``"corner"`` with margins at the right and bottom only,
            ``"stretch"`` does not keep them.
        margin: grey value of the margins.
        short_side, long_side, multiple: instead of ``size``, for graphs of open height and width: the
            picture is scaled so that its short side is the first, unless its long side would
            pass the second; sides are padded at the right and bottom to a multiple.
        names: outputs by role (``boxes``, ``scores``, ``labels``), where they are called otherwise.
        min_score, nms, limit: what is kept, as ``KeepRules`` has it.
    """

    output: Literal["boxes-scores", "yolo", "rows"]
    boxes: Literal["xyxy", "xywh", "cxcywh"]
    units: Literal["pixels", "shares"]
    person: int | None = None
    classes: int | None = None
    objectness: bool | None = None
    scores: Literal["probability", "logit"] = "probability"
    fit: Literal["letterbox", "corner", "stretch"] = "letterbox"
    margin: int = 114
    short_side: int | None = None
    long_side: int | None = None
    multiple: int = 1
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    min_score: float = 0.05
    nms: float | None = 0.5
    limit: int = 100

    def missing(self) -> list[str]:
        """Words that this form of output needs, too."""
        needed = {"yolo": ("classes", "objectness", "person"), "rows": ("person",)}.get(self.output, ())
        return [word for word in needed if getattr(self, word) is None]


@dataclass(frozen=True, kw_only=True)
class OnnxEmbedderSettings(OnnxInput):
    """An embedder's conventions.

    Attributes:
        similarity: how its vectors are to be compared.
        keep_aspect: cut a window of the input's shape around the person; otherwise the box is
            stretched to it, as re-identification does.
        context: share of a person's height kept above and below, with ``keep_aspect`` only.
        name: of the output, where there are several.
    """

    similarity: Similarity
    keep_aspect: bool = False
    context: float = 0.0
    name: str | None = None

    def missing(self) -> list[str]:
        """Nothing more."""
        return []


Settings = TypeVar("Settings", OnnxDetectorSettings, OnnxEmbedderSettings)
_EXAMPLES: Mapping[str, Any] = {
    "channels": "rgb",
    "white": 1,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "size": [640, 640],
    "output": "yolo",
    "boxes": "cxcywh",
    "units": "pixels",
    "person": 0,
    "classes": 80,
    "objectness": False,
    "similarity": "cosine",
}


def sidecar_of(file: Path) -> Path:
    """``model.onnx.json`` beside ``model.onnx``."""
    return file.with_name(f"{file.name}.json")


def read_settings(file: Path, metadata: Mapping[str, str], kind: type[Settings]) -> Settings:
    """The conventions of an ONNX file: its sidecar's words before its metadata's before the defaults.

    Args:
        file: the ONNX file.
        metadata: its own, by key.
        kind: of an embedder or of a detector.

    Raises:
        InputError: a word is missing, unknown or wrong; it says what to write into the sidecar.
    """
    side = sidecar_of(file)
    values = {**_from_metadata(file, metadata, kind), **_from_sidecar(side)}
    known = {one.name: one for one in dataclasses.fields(kind)}
    for word in values:
        if word not in known:
            near = difflib.get_close_matches(word, known, 1)
            raise InputError(
                f"{side}: {word!r} is not a convention of {_called(kind)}",
                hint=f"did you mean {near[0]!r}?" if near else f"one of: {', '.join(known)}",
            )
    needed = [
        name
        for name, one in known.items()
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    ]
    check_words(file, [name for name in needed if name not in values])
    try:
        settings = TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"{side}: {where}: {first['msg']}", hint="docs/baselines.md has every word"
        ) from error
    check_words(file, settings.missing())
    if min(settings.std) <= 0:
        raise InputError(f"{side}: std must be positive", hint="docs/baselines.md has every word")
    return settings


def check_words(file: Path, missing: list[str]) -> None:
    """Raise InputError that says what to write into the sidecar, if something is ``missing``."""
    if missing:
        example = json.dumps({word: _EXAMPLES.get(word, "...") for word in missing})
        raise InputError(
            f"{file} does not say its {', '.join(missing)}",
            hint=f"write into {sidecar_of(file)} what it was trained with, such as {example}",
        )


def _from_sidecar(side: Path) -> dict[str, Any]:
    if not side.exists():
        return {}
    try:
        values = json.loads(side.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"{side} cannot be read as JSON: {str(error).splitlines()[0]}", hint="mend it, or remove it"
        ) from error
    if not isinstance(values, dict):
        raise InputError(f"{side} is no JSON object", hint="docs/baselines.md has every word")
    return values


def _from_metadata(file: Path, metadata: Mapping[str, str], kind: type[Any]) -> dict[str, Any]:
    """What the exporter wrote: our own key, or Ultralytics' for its detectors."""
    if METADATA in metadata:
        try:
            values = json.loads(metadata[METADATA])
        except (ValueError, RecursionError) as error:
            raise InputError(f"the metadata of {file} is damaged", hint="export it again") from error
        if not isinstance(values, dict) or values.pop("kind", None) != _kind(kind):
            raise InputError(f"{file} is not {_called(kind)}", hint="its metadata says what it is")
        return values
    if metadata.get("author") == "Ultralytics" and kind is OnnxDetectorSettings:
        return _ultralytics(file, metadata)
    return {}


def _ultralytics(file: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """The conventions of Ultralytics' exports, of which the metadata says the task and the classes.

    Source: its documentation of ``export``: RGB in [0, 1], letterboxed with grey 114.
    """
    if metadata.get("task") != "detect":
        raise InputError(
            f"{file} is of Ultralytics' task {metadata.get('task')!r}, which finds no people",
            hint="export a model of task 'detect'",
        )
    try:
        names = {int(number): str(name) for number, name in ast.literal_eval(metadata["names"]).items()}
        person = next(number for number, name in names.items() if name == "person")
    except (KeyError, ValueError, SyntaxError, AttributeError, StopIteration) as error:
        raise InputError(
            f"{file} names no class 'person' in its metadata",
            hint=f'write {{"person": NUMBER, "classes": COUNT}} into {sidecar_of(file)} and its other words',
        ) from error
    finished = metadata.get("end2end") == "True" or "'nms': True" in metadata.get("args", "")
    form: dict[str, Any] = (
        {"output": "rows", "boxes": "xyxy", "nms": None}
        if finished
        else {"output": "yolo", "boxes": "cxcywh", "objectness": False, "classes": len(names)}
    )
    return {
        **form,
        "channels": "rgb",
        "white": 1,
        "mean": [0, 0, 0],
        "std": [1, 1, 1],
        "units": "pixels",
        "person": person,
    }


def _kind(kind: type[Any]) -> str:
    return "detector" if kind is OnnxDetectorSettings else "embedder"


def _called(kind: type[Any]) -> str:
    return "a detector" if kind is OnnxDetectorSettings else "an embedder"
