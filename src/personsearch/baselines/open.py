"""A searcher by the name that people type: a model's folder, or ``DETECTOR+EMBEDDER``.

A part is ``gt``, ``hog``, ``torchvision:NAME``, ``timm:NAME`` or ``onnx:FILE``; one of the trained kinds
(``acf``, ``deep``, ``euclidean``, ``kissme``, ``bow``, ``idnet``), which lies in the folder that
``personsearch baselines train`` wrote; or the path of any folder with a part or a model in it.
Which class a name stands for is written out below: nothing is built from a string.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from personsearch.baselines.ground_truth import GroundTruth
from personsearch.baselines.parts import CONFIG
from personsearch.baselines.two_stage import Detector, TwoStage
from personsearch.errors import InputError, UsageError
from personsearch.ranking.calibration import Calibration
from personsearch.types import Embedder, Scene, Searcher

GT, HOG = "gt", "hog"
TRAINED_DETECTORS = ("acf", "deep")
TRAINED_EMBEDDERS = ("euclidean", "kissme", "bow", "idnet")
TRAINED = (*TRAINED_DETECTORS, *TRAINED_EMBEDDERS)
FILES = ("onnx", "torchvision", "timm")
"""What stands before a colon."""
PARTS = Path("baselines")
"""Where trained parts lie, unless somebody says otherwise."""


class NamedSearcher(Searcher, Protocol):
    """A searcher that a name opened."""

    @property
    def name(self) -> str:
        """How people call it."""
        ...

    @property
    def calibration(self) -> Calibration | None:
        """From similarity to probability, where it has one."""
        ...


@dataclass(frozen=True, kw_only=True)
class Where:
    """Where parts are found, and where they run.

    Attributes:
        parts: the folder of the trained kinds.
        device: see :func:`personsearch.model.searcher.choose_device`.
        scenes: what ``gt`` knows; None where nothing is annotated.
    """

    parts: Path = PARTS
    device: str = "auto"
    scenes: Sequence[Scene] | None = None


def open_searcher(name: str | Path, where: Where = Where()) -> NamedSearcher:
    """The searcher called ``name``: a joint model's folder, or a detector and an embedder with ``+``.

    Raises:
        UsageError: ``name`` is a part alone, is misspelt, or wants ``gt`` without annotation.
        InputError: a part is not there or is damaged, or the device is not to be had.
    """
    name = str(name)
    pair = split_pair(name)
    if pair is not None:
        detector, embedder = pair
        return TwoStage(open_detector(detector, where), open_embedder(embedder, where), name=name)
    folder = Path(name)
    if not folder.is_dir() and _is_part(name):
        raise _alone(name, name)
    if _kind_in(folder) is not None:
        raise _alone(name, _kind_in(folder) or "")
    from personsearch.model.checkpoint import load_searcher

    return load_searcher(folder, where.device)


def split_pair(name: str) -> tuple[str, str] | None:
    """Detector and embedder of ``DETECTOR+EMBEDDER``; None for a name of one model.

    A folder may have a plus in its name: then exactly one way to split must make sense.

    Raises:
        UsageError: one side is empty, or the name can be split in several ways.

    >>> split_pair("acf+bow"), split_pair("runs/model"), split_pair("onnx:a.onnx+timm:resnet18")
    (('acf', 'bow'), None, ('onnx:a.onnx', 'timm:resnet18'))
    """
    if "+" not in name or Path(name).is_dir():
        return None
    splits = [(name[:i], name[i + 1 :]) for i, letter in enumerate(name) if letter == "+"]
    if len(splits) > 1:
        splits = [pair for pair in splits if all(_is_part(side) or Path(side).exists() for side in pair)]
    if len(splits) != 1:
        how = "can be read in several ways" if splits else "names no detector and embedder"
        raise UsageError(f"{name!r} {how}", hint="write DETECTOR+EMBEDDER, such as acf+bow")
    if not all(splits[0]):
        raise UsageError(
            f"{name!r} lacks one side of the plus", hint="write DETECTOR+EMBEDDER, as in acf+bow"
        )
    return splits[0]


def open_detector(name: str, where: Where = Where()) -> Detector:
    """The detector called ``name``; a joint model serves as one.

    Raises:
        UsageError: there is no such name, it finds nobody, or it is ``gt`` without annotation.
        InputError: it is not there, or is damaged.
    """
    word, _, rest = name.partition(":")
    if name == GT:
        if where.scenes is None:
            raise UsageError(
                "gt needs annotated pictures: it finds nobody in others",
                hint="use it with `personsearch evaluate --dataset ...`, or choose hog, acf or deep",
            )
        return GroundTruth(where.scenes)
    if name == HOG:
        from personsearch.baselines.hog import HogDetector

        return HogDetector()
    if word == "torchvision" and rest:
        from personsearch.baselines.torchvision_detector import load_torchvision

        return load_torchvision(rest, where.device)
    if word == "onnx" and rest:
        from personsearch.baselines.onnx_parts import load_onnx_detector

        return load_onnx_detector(Path(rest), where.device)
    part = None if word == "timm" and rest else _trained(name, where)
    if not isinstance(part, Detector):
        raise UsageError(
            f"{name} describes people, but does not find them",
            hint=f"write DETECTOR+EMBEDDER, as in acf+{name}",
        )
    return part


def open_embedder(name: str, where: Where = Where()) -> Embedder:
    """The embedder called ``name``; a joint model serves as one.

    Raises:
        UsageError: there is no such name, or it describes nobody.
        InputError: it is not there, or is damaged.
    """
    word, _, rest = name.partition(":")
    if word == "timm" and rest:
        from personsearch.baselines.timm_embedder import load_timm

        return load_timm(rest, where.device)
    if word == "onnx" and rest:
        from personsearch.baselines.onnx_parts import load_onnx_embedder

        return load_onnx_embedder(Path(rest), where.device)
    finder = name in (GT, HOG) or (word == "torchvision" and rest)
    part = None if finder else _trained(name, where)
    if not isinstance(part, Embedder):
        raise UsageError(
            f"{name} finds people, but does not describe them",
            hint=f"write DETECTOR+EMBEDDER, as in {name}+bow",
        )
    return part


def _trained(name: str, where: Where) -> Any:
    """The part of a trained kind, or in the folder of that path."""
    if name in TRAINED:
        folder = where.parts / name
        if not (folder / CONFIG).is_file():
            raise InputError(
                f"there is no trained {name} in {where.parts}",
                hint=f"personsearch baselines train --only {name} --root DATA --out {where.parts}; "
                "or say where with --parts",
            )
    elif Path(name).is_dir():
        folder = Path(name)
    else:
        return _no_part(name)
    kind = _kind_in(folder)
    if kind is None:
        from personsearch.model.checkpoint import load_model

        return load_model(folder, where.device)
    if kind not in _LOADERS:
        raise InputError(
            f"{folder} holds a part of kind {kind!r}, which is unknown",
            hint="use the version of personsearch that wrote it",
        )
    return _LOADERS[kind](folder)


def _load_acf(folder: Path) -> Any:
    from personsearch.baselines.acf.detector import load_acf

    return load_acf(folder)


def _load_reid(folder: Path) -> Any:
    from personsearch.baselines.reid.load import load_descriptor

    return load_descriptor(folder)


_LOADERS: dict[str, Callable[[Path], Any]] = {
    "acf": _load_acf,
    "dense-euclidean": _load_reid,
    "dense-kissme": _load_reid,
    "bow": _load_reid,
}


def _kind_in(folder: Path) -> str | None:
    """The kind of part in ``folder``; None for a model's folder, and for none at all."""
    try:
        values = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # whoever loads it says what is wrong
    kind = values.get("kind") if isinstance(values, dict) else None
    return kind if isinstance(kind, str) else None


def _is_part(name: str) -> bool:
    """Whether ``name`` is a part by its form alone."""
    word, colon, rest = name.partition(":")
    return name in (GT, HOG, *TRAINED) or bool(word in FILES and colon and rest)


def _alone(name: str, kind: str) -> UsageError:
    """What is said of a part where a searcher is needed."""
    word = kind.partition(":")[0]
    if word in (*TRAINED_EMBEDDERS, "timm", "dense-euclidean", "dense-kissme"):
        what, pair = "describes people, but does not find them", f"acf+{name}"
    elif word in (GT, HOG, *TRAINED_DETECTORS, "torchvision"):
        what, pair = "finds people, but describes nobody", f"{name}+bow"
    else:
        what, pair = "is one part, which cannot search alone", f"{name}+bow or acf+{name}"
    return UsageError(f"{name} {what}", hint=f"write DETECTOR+EMBEDDER, as in {pair}")


def _no_part(name: str) -> Any:
    known = [GT, HOG, *TRAINED, *(f"{word}:" for word in FILES)]
    near = difflib.get_close_matches(name.lower(), known, 1)
    raise UsageError(
        f"there is no detector or embedder called {name!r}, and no folder of that path",
        hint=f"did you mean {near[0]}?" if near else f"one of: {', '.join(known)}, or a path",
    )
