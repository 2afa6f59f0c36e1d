"""An ONNX file opened by ONNX Runtime: its one picture input, its outputs, and running it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from personsearch.baselines.onnx_settings import OnnxInput
from personsearch.errors import InputError, PersonSearchError, UsageError
from personsearch.files import sha256_of
from personsearch.types import Array

_TYPES: dict[str, type[np.floating[Any]]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


@dataclass(frozen=True, eq=False, kw_only=True)
class OnnxGraph:
    """An open ONNX file.

    Attributes:
        file: it.
        session: ONNX Runtime's.
        input: the name of its input.
        dtype: of the input.
        batch: pictures a run takes; None where that is open.
        size: (height, width) of the input; None for a side that is open.
        outputs: names of the outputs, with their shapes (None for what is open).
        metadata: what its exporter wrote.
    """

    file: Path
    session: Any
    input: str
    dtype: type[np.floating[Any]]
    batch: int | None
    size: tuple[int | None, int | None]
    outputs: Mapping[str, tuple[int | None, ...]]
    metadata: Mapping[str, str]

    def run(self, images: Array) -> dict[str, Array]:
        """The outputs by name for (n, 3, h, w) ``images``.

        Raises:
            PersonSearchError: the graph fails.
        """
        try:
            answers = self.session.run(None, {self.input: np.ascontiguousarray(images, self.dtype)})
        except Exception as error:  # ONNX Runtime has a class of error for every status
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise PersonSearchError(
                f"{self.file} fails on an input of {images.shape}: {reason}",
                hint="is that the size it was made for? See its sidecar",
            ) from error
        return {name: np.asarray(one) for name, one in zip(self.outputs, answers, strict=True)}

    def fingerprint(self, settings: OnnxInput) -> str:
        """Hex digest of the file (and of its ``FILE.data``, where weights lie outside) and the settings."""
        outside = self.file.with_name(f"{self.file.name}.data")
        files = [self.file, *([outside] if outside.is_file() else [])]
        said = json.dumps(asdict(settings), sort_keys=True)
        return hashlib.sha256(f"onnx\n{sha256_of(*files)}\n{said}\n".encode()).hexdigest()


def open_graph(file: Path | str, device: str = "auto") -> OnnxGraph:
    """Open an ONNX file that takes pictures.

    Args:
        file: it; weights may lie beside it.
        device: ``"auto"`` and ``"cuda"`` run on CUDA where ONNX Runtime has it; ``"cuda"`` insists.

    Raises:
        UsageError: ONNX Runtime is not installed.
        InputError: there is no such file, it is damaged, it does not take pictures as floats, or the
            device is not to be had.
    """
    file = Path(file)
    try:
        runtime: Any = import_module("onnxruntime")
    except ImportError as error:
        raise UsageError(
            f"onnx:{file} needs the package onnxruntime", hint='pip install "personsearch[onnx]"'
        ) from error
    if not file.is_file():
        raise InputError(f"there is no file {file}", hint="give the path of an ONNX file after onnx:")
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = runtime.InferenceSession(str(file), options, providers=_providers(runtime, device))
    except Exception as error:  # ONNX Runtime has a class of error for every status
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{file} is no ONNX file that can be run: {reason}", hint="export it again"
        ) from error
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise InputError(
            f"{file} has {len(inputs)} inputs; one picture input is understood",
            hint="export it with pictures (n, 3, h, w) alone",
        )
    (one,) = inputs
    shape = _shape(one.shape)
    if one.type not in _TYPES or len(shape) != 4 or shape[1] not in (3, None):
        raise InputError(
            f"the input of {file} is {one.type} {list(one.shape)}; pictures are float (n, 3, h, w)",
            hint="export it with such an input",
        )
    return OnnxGraph(
        file=file,
        session=session,
        input=one.name,
        dtype=_TYPES[one.type],
        batch=shape[0],
        size=(shape[2], shape[3]),
        outputs={output.name: _shape(output.shape) for output in session.get_outputs()},
        metadata=dict(session.get_modelmeta().custom_metadata_map),
    )


def as_input(pictures: Array, settings: OnnxInput) -> Array:
    """(n, 3, h, w) float32 of (n, h, w, 3) uint8 RGB pictures, as ``settings`` wish.

    >>> words = dict(channels="bgr", white=1, mean=(0.0, 0.5, 0.0), std=(1.0, 0.5, 1.0))
    >>> found = as_input(np.array([[[[0, 255, 51]]]], np.uint8), OnnxInput(**words)).ravel()
    >>> [round(value, 6) for value in found.tolist()]
    [0.2, 1.0, 0.0]
    """
    values: Array = pictures.astype(np.float32) * np.float32(settings.white / 255)
    if settings.channels == "bgr":
        values = values[..., ::-1]
    values = (values - np.array(settings.mean, np.float32)) / np.array(settings.std, np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


def _shape(shape: Any) -> tuple[int | None, ...]:
    return tuple(side if isinstance(side, int) and side > 0 else None for side in shape)


def _providers(runtime: Any, device: str) -> list[str]:
    there = runtime.get_available_providers()
    wanted = device.split(":")[0]
    if wanted not in ("auto", "cpu", "cuda") or (wanted == "cuda" and "CUDAExecutionProvider" not in there):
        raise InputError(
            f"ONNX Runtime has no device {device!r} here", hint="use --device cpu, or install onnxruntime-gpu"
        )
    cuda = ["CUDAExecutionProvider"] if wanted != "cpu" and "CUDAExecutionProvider" in there else []
    return [*cuda, "CPUExecutionProvider"]
