"""An ONNX file opened by ONNX Runtime: its one picture input, its outputs, and running it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

from personsearch.baselines.onnx_settings import OnnxInput
from personsearch.errors import InputError, PersonSearchError, UsageError
from personsearch.files import sha256_of
from personsearch.model.export_folder import needed
from personsearch.model.onnx_searcher import execution_providers
from personsearch.types import Array

_TYPES: dict[str, type[np.floating[Any]]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


@dataclass(frozen=True, eq=False, kw_only=True)
class OnnxGraph:
    """An open ONNX file.

    Attributes:
        file: it.
        outside: the files that hold weights of it, sorted.
        session: ONNX Runtime's.
        input: the name of its input.
        dtype: of the input.
        batch: pictures a run takes; None where that is open.
        size: (height, width) of the input; None for a side that is open.
        outputs: names of the outputs, with their shapes (None for what is open).
        metadata: what its exporter wrote.
    """

    file: Path
    outside: tuple[Path, ...]
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
        """Hex digest of the file, of the files with weights of it, and of the settings."""
        # Each by itself: bytes that move from one file into the next are other weights.
        content = " ".join(sha256_of(file) for file in (self.file, *self.outside))
        said = json.dumps(asdict(settings), sort_keys=True)
        return hashlib.sha256(f"onnx\n{content}\n{said}\n".encode()).hexdigest()


def open_graph(file: Path | str, device: str = "auto") -> OnnxGraph:
    """Open an ONNX file that takes pictures.

    Args:
        file: it; weights may lie in other files of its folder.
        device: see :func:`personsearch.model.onnx_searcher.execution_providers`.

    Raises:
        UsageError: ONNX or ONNX Runtime is not installed.
        InputError: there is no such file, it is damaged, its weights lie outside its folder, it does
            not take pictures as floats, or the device is not to be had.
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
    providers = execution_providers(device)
    outside = outside_files(file)
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = torch.get_num_threads()
    try:
        session = runtime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # ONNX Runtime has a class of error for every status
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise _damaged(file, reason) from error
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
        outside=outside,
        session=session,
        input=one.name,
        dtype=_TYPES[one.type],
        batch=shape[0],
        size=(shape[2], shape[3]),
        outputs={output.name: _shape(output.shape) for output in session.get_outputs()},
        metadata=dict(session.get_modelmeta().custom_metadata_map),
    )


def outside_files(file: Path) -> tuple[Path, ...]:
    """The files that hold weights of the ONNX file ``file``, as it names them itself; sorted.

    Raises:
        UsageError: the package onnx is not installed.
        InputError: ``file`` is damaged, or names a file that is not in its folder or below.
    """
    onnx = needed("onnx")
    try:
        model = onnx.load(str(file), format="protobuf", load_external_data=False)
    except Exception as error:  # protobuf's, whose class depends on its implementation
        raise _damaged(file, (str(error).strip().splitlines() or [type(error).__name__])[0]) from error
    external = [one for one in _tensors(model) if one.data_location == onnx.TensorProto.EXTERNAL]
    places = {entry.value for one in external for entry in one.external_data if entry.key == "location"}
    for place in sorted(places):
        if Path(place).is_absolute() or ".." in Path(place).parts:
            raise InputError(
                f"{file} has weights at {place}, outside its folder",
                hint="export it with its weights beside it",
            )
        if not (file.parent / place).is_file():
            raise InputError(
                f"{file} has weights in {place}, which is missing", hint="copy that file beside it, too"
            )
    return tuple(file.parent / place for place in sorted(places))


def _tensors(message: Any) -> Iterator[Any]:
    """Every ``TensorProto`` anywhere in a protobuf ``message``: graphs, subgraphs, functions, attributes."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for one in [value] if hasattr(value, "ListFields") else value:
                yield from _tensors(one)


def _damaged(file: Path, reason: str) -> InputError:
    return InputError(f"{file} is no ONNX file that can be run: {reason}", hint="export it again")


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
