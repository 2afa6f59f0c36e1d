"""An exported model as a ``Searcher``, a detector or an ``Embedder``, run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from personsearch.boxes import clip
from personsearch.errors import InputError, UsageError
from personsearch.model.export_folder import GALLERY, QUERY, Manifest, needed, read_manifest
from personsearch.model.inputs import box_factors, cut, input_scale, resized
from personsearch.model.presets import InputSettings
from personsearch.model.searcher import CROPS_AT_ONCE, checked
from personsearch.ranking.calibration import Calibration
from personsearch.types import Array, Detections, Picture, Similarity


class _OnnxModel:
    """What the three kinds share: files, what stands beside them, and the way into pixels.

    Args:
        folder: of the exported files.
        manifest: what its ``export.json`` says.
        device: ``"auto"`` takes CUDA where this ONNX Runtime has it; ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        suffix: behind the files' names, before they have been checked.
    """

    def __init__(self, folder: Path, manifest: Manifest, *, device: str = "auto", suffix: str = "") -> None:
        self.manifest = manifest
        self.fingerprint = manifest.fingerprint
        self.name = f"{manifest.name} (ONNX)"
        self.calibration = None
        if manifest.calibration is not None:
            self.calibration = Calibration.from_json(manifest.calibration)
        providers = execution_providers(device)
        self._sessions = {name: _session(folder / f"{name}{suffix}", providers) for name in manifest.files}

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.manifest.dim

    @property
    def similarity(self) -> Similarity:
        """How two embeddings are to be compared."""
        return self.manifest.similarity

    def _input(self, picture: Picture) -> tuple[Array, Array]:
        """The pixels that the graph wants, and by what boxes grow on the way there."""
        rule = InputSettings(
            short_side=self.manifest.resize.short_side, long_side=self.manifest.resize.long_side
        )
        pixels = resized(picture.pixels, input_scale(picture.size, rule))
        return np.ascontiguousarray(pixels), box_factors(picture.pixels, pixels)

    def _detect(self, picture: Picture) -> Detections:
        pixels, factors = self._input(picture)
        boxes, scores, *embeddings = self._sessions[GALLERY].run(None, {"picture": pixels})
        described = embeddings[0] if embeddings else np.zeros((len(boxes), 0), np.float32)
        return Detections(clip(boxes / factors, picture.size), scores, described)


class OnnxSearcher(_OnnxModel):
    """Finds and describes people with an exported joint network."""

    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, best score first; boxes in picture pixels."""
        return self._detect(picture)

    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, dim) float32 raw embeddings of the people in ``boxes`` (n, 4), picture pixels."""
        boxes = checked(picture, boxes)
        if not len(boxes):
            return np.zeros((0, self.dim), np.float32)
        pixels, factors = self._input(picture)
        (rows,) = self._sessions[QUERY].run(None, {"picture": pixels, "boxes": boxes * factors})
        embeddings: Array = rows
        return embeddings


class OnnxDetector(_OnnxModel):
    """Finds people with an exported detector; describes nobody."""

    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, best score first; embeddings of length 0."""
        return self._detect(picture)


class OnnxEmbedder(_OnnxModel):
    """Describes people who are cut out of the picture, with an exported embedder."""

    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, dim) float32 raw embeddings of the people in ``boxes`` (n, 4), picture pixels."""
        boxes = checked(picture, boxes)
        rows = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(boxes), CROPS_AT_ONCE):
            rows += self._describe(picture.pixels, boxes[start : start + CROPS_AT_ONCE])
        return np.concatenate(rows)

    def _describe(self, pixels: Array, boxes: Array) -> list[Array]:
        crop = self.manifest.crop
        assert crop is not None
        found = [cut(pixels, b, crop.size, keep_aspect=crop.keep_aspect, margin=crop.margin) for b in boxes]
        given = {"crops": np.stack([c for c, _ in found]), "boxes": np.stack([b for _, b in found])}
        rows: list[Array] = self._sessions[QUERY].run(None, given)
        return rows


OnnxModel = OnnxSearcher | OnnxDetector | OnnxEmbedder
ONNX_KINDS: dict[str, type[OnnxModel]] = {
    "joint": OnnxSearcher,
    "detector": OnnxDetector,
    "embedder": OnnxEmbedder,
}


def open_exported(folder: Path | str, device: str = "auto") -> OnnxModel:
    """The exported searcher, detector or embedder in ``folder``, by what its ``export.json`` says.

    Raises:
        InputError: there is none, it is damaged, or the device is not to be had.
        UsageError: ONNX Runtime is not installed.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    return ONNX_KINDS[manifest.parts](folder, manifest, device=device)


def load_onnx_searcher(folder: Path | str, device: str = "auto") -> OnnxSearcher:
    """As :func:`open_exported`, of a joint network.

    Raises:
        UsageError: the model is a detector or an embedder alone.
    """
    model = open_exported(folder, device)
    if not isinstance(model, OnnxSearcher):
        raise UsageError(
            f"{folder} holds an exported {model.manifest.parts}, which cannot search alone",
            hint="export a joint model",
        )
    return model


def execution_providers(device: str) -> list[Any]:
    """ONNX Runtime's names for ``device``, the preferred first.

    Raises:
        InputError: this ONNX Runtime does not have it.
    """
    available = needed("onnxruntime").get_available_providers()
    kind, _, number = device.partition(":")
    cuda = "CUDAExecutionProvider"
    if kind == "cpu" or (kind == "auto" and cuda not in available):
        return ["CPUExecutionProvider"]
    if kind in ("auto", "cuda") and cuda in available and (number or "0").isdigit():
        return [(cuda, {"device_id": int(number or 0)}), "CPUExecutionProvider"]
    raise InputError(f"device {device!r} is not to be had by this ONNX Runtime", hint="use --device cpu")


def _session(path: Path, providers: list[Any]) -> Any:
    runtime = needed("onnxruntime")
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.enable_mem_pattern = False  # patterns of one size are of no use to pictures of all sizes
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # its own kinds share no other base
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"ONNX Runtime cannot run {path}: {reason}",
            hint="use the version of onnxruntime it was exported with",
        ) from error
