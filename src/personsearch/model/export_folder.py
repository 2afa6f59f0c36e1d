"""The folder of an exported model: ``gallery.onnx``, ``query.onnx`` and ``export.json``, written last.

Without ``export.json`` there is no export: it comes after the check, and names the other files by
their content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from personsearch.errors import InputError, UsageError
from personsearch.files import sha256_of
from personsearch.model.presets import CropSettings
from personsearch.types import Similarity

FORMAT = 1
MANIFEST, GALLERY, QUERY = "export.json", "gallery.onnx", "query.onnx"
OPSET = 18


@dataclass(frozen=True, kw_only=True)
class Resize:
    """How a picture is scaled before the graph sees it; nothing else is done to it.

    Attributes:
        short_side, long_side: the short side becomes the first, unless the long one would pass
            the second; both sides are rounded to whole pixels, at least 1.
        down, up: how OpenCV resamples, to smaller and to larger.
    """

    short_side: int
    long_side: int
    down: Literal["INTER_AREA"] = "INTER_AREA"
    up: Literal["INTER_LINEAR"] = "INTER_LINEAR"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What ``export.json`` says.

    Attributes:
        name, source: of the model folder, and its fingerprint.
        parts: ``"joint"`` (both passes), ``"detector"`` (gallery pass), ``"embedder"`` (query pass on crops).
        dim: length of an embedding. similarity: how two are compared.
        resize: before the gallery pass and the joint model's query pass.
        crop: how people are cut out for an embedder's query pass.
        opset: of ONNX. files: SHA-256 of each.
        calibration: of the model, as its JSON, if it has one.
        parity: what the check measured.
    """

    name: str
    source: str
    parts: Literal["joint", "detector", "embedder"]
    dim: int
    similarity: Similarity
    resize: Resize
    crop: CropSettings | None
    opset: int = OPSET
    files: dict[str, str] = field(default_factory=dict)
    calibration: dict[str, Any] | None = None
    parity: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"format": FORMAT, **asdict(self)}

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that shapes an embedding: the files, and what is done before them."""
        shaping = {
            key: value
            for key, value in self.to_json().items()
            if key in ("format", "parts", "dim", "similarity", "resize", "crop", "files")
        }
        return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()

    def properties(self, name: str) -> dict[str, str]:
        """What stands in the file ``name`` itself, for who has nothing else (``metadata_props``)."""
        pixels = "uint8 RGB, height x width x 3, upright"
        given = f"crops: n x {pixels}" if self.crop else f"picture: {pixels}, resized by personsearch.resize"
        return {
            "personsearch.format": str(FORMAT),
            "personsearch.source": self.source,
            "personsearch.pass": name.removesuffix(".onnx"),
            "personsearch.input": f"{given}; normalisation and padding are inside the graph",
            "personsearch.boxes": "float32 x1 y1 x2 y2 in pixels of the given picture",
            "personsearch.dim": str(self.dim),
            "personsearch.similarity": self.similarity,
            "personsearch.resize": json.dumps(asdict(self.resize)),
            "personsearch.crop": json.dumps(asdict(self.crop) if self.crop else None),
        }


def is_export(folder: Path) -> bool:
    """Whether ``folder`` holds a finished export."""
    return (folder / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """What ``folder/export.json`` says, its files compared with it.

    Raises:
        InputError: there is none, or it, or a file, is not what was written.
    """
    path = folder / MANIFEST
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} cannot be read", hint="export the model again") from error
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise InputError(f"{path} is not of export format {FORMAT}", hint="export the model again")
    try:
        manifest = TypeAdapter(Manifest).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{path}: {where}: {first['msg']}", hint="export the model again") from error
    unknown = sorted(set(values) - {known.name for known in fields(Manifest)})
    if unknown:
        raise InputError(f"{path}: {unknown[0]} is not a setting", hint="export the model again")
    if set(manifest.files) != set(passes(manifest.parts)):
        raise InputError(f"{path} names the wrong files", hint="export the model again")
    for name, digest in manifest.files.items():
        if not (folder / name).is_file() or sha256_of(folder / name) != digest:
            raise InputError(
                f"{folder / name} is not the file that was exported", hint="export the model again"
            )
    return manifest


def passes(parts: str) -> tuple[str, ...]:
    """The files of a model of ``parts``.

    >>> passes("joint"), passes("detector"), passes("embedder")
    (('gallery.onnx', 'query.onnx'), ('gallery.onnx',), ('query.onnx',))
    """
    return {"joint": (GALLERY, QUERY), "detector": (GALLERY,), "embedder": (QUERY,)}[parts]


_PACKAGES: dict[str, Callable[[], Any]] = {
    "onnx": lambda: import_module("onnx"),
    "onnxruntime": lambda: import_module("onnxruntime"),
    "onnxscript": lambda: import_module("onnxscript"),
}


def needed(package: str) -> Any:
    """One of the three packages that only exports need.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return _PACKAGES[package]()
    except ImportError as error:
        raise UsageError(
            f"ONNX needs the package {package}", hint="pip install 'personsearch[onnx]'"
        ) from error
