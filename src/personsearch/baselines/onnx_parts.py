"""Detectors and embedders that somebody brings as ONNX files: ``onnx:FILE``."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from personsearch.baselines.keeping import KeepRules, keep_best
from personsearch.baselines.onnx_decoding import decoded
from personsearch.baselines.onnx_session import OnnxGraph, as_input, open_graph
from personsearch.baselines.onnx_settings import (
    OnnxDetectorSettings,
    OnnxEmbedderSettings,
    check_words,
    read_settings,
    sidecar_of,
)
from personsearch.errors import InputError
from personsearch.model.inputs import cut
from personsearch.model.searcher import CROPS_AT_ONCE, checked
from personsearch.types import Array, Detections, Picture, Similarity


class OnnxDetector:
    """Finds people with an ONNX file.

    Args:
        graph: open. settings: its conventions.

    Raises:
        InputError: they contradict each other.
    """

    def __init__(self, graph: OnnxGraph, settings: OnnxDetectorSettings) -> None:
        self.graph = graph
        self.settings = settings
        self.name = f"onnx:{graph.file.name}"
        if graph.batch not in (1, None):
            raise InputError(
                f"{graph.file} takes {graph.batch} pictures at a time",
                hint="export it for one, or any number",
            )
        self.size = _size(graph, settings, (settings.short_side, settings.long_side))
        self.fingerprint = graph.fingerprint(settings)
        self._keep = KeepRules(min_score=settings.min_score, nms=settings.nms, limit=settings.limit)

    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, best score first; embeddings of length 0.

        Raises:
            InputError: the outputs are not what the sidecar says.
        """
        pixels, factors, offset = self._fitted(picture.pixels)
        outputs = self.graph.run(as_input(pixels[None], self.settings))
        boxes, scores = decoded(outputs, self.settings, pixels.shape[:2], self.graph.file)
        return keep_best((boxes - offset) / factors, scores, picture.size, self._keep)

    def _fitted(self, pixels: Array) -> tuple[Array, Array, Array]:
        """The picture as the input wants it, and (4,) factors and offset of its boxes there."""
        height, width = pixels.shape[:2]
        rules = self.settings
        if self.size is None:
            assert rules.short_side is not None
            assert rules.long_side is not None
            scale = min(rules.short_side / min(height, width), rules.long_side / max(height, width))
            new = (max(1, round(height * scale)), max(1, round(width * scale)))
            high, wide = (-(-side // rules.multiple) * rules.multiple for side in new)
            whole = (high, wide)
        else:
            whole = self.size
            scale = min(whole[0] / height, whole[1] / width)
            new = (max(1, round(height * scale)), max(1, round(width * scale)))
            new = whole if rules.fit == "stretch" else (min(new[0], whole[0]), min(new[1], whole[1]))
        small = cv2.resize(
            pixels, new[::-1], interpolation=cv2.INTER_AREA if new[0] < height else cv2.INTER_LINEAR
        )
        top, left = 0, 0
        if self.size is not None and rules.fit == "letterbox":
            top, left = (whole[0] - new[0]) // 2, (whole[1] - new[1]) // 2
        canvas = np.full((*whole, 3), rules.margin, np.uint8)
        canvas[top : top + new[0], left : left + new[1]] = small
        factors = np.array([new[1] / width, new[0] / height] * 2, np.float32)
        return canvas, factors, np.array([left, top] * 2, np.float32)


class OnnxEmbedder:
    """Describes people, cut out of the picture, with an ONNX file.

    Args:
        graph: open. settings: its conventions.

    Raises:
        InputError: they contradict each other, or the output is no vector a person.
    """

    def __init__(self, graph: OnnxGraph, settings: OnnxEmbedderSettings) -> None:
        self.graph = graph
        self.settings = settings
        self.name = f"onnx:{graph.file.name}"
        size = _size(graph, settings, ())
        assert size is not None
        self.size = size
        self.fingerprint = graph.fingerprint(settings)
        self.output = self._output()
        self.dim = self._run(np.zeros((1, *size, 3), np.uint8)).shape[1]

    @property
    def similarity(self) -> Similarity:
        """How two embeddings are to be compared."""
        return self.settings.similarity

    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, dim) float32 raw embeddings of the people in ``boxes`` (n, 4), picture pixels."""
        boxes, rules = checked(picture, boxes), self.settings
        crops = [
            cut(picture.pixels, box, self.size, keep_aspect=rules.keep_aspect, margin=rules.context)[0]
            for box in boxes
        ]
        rows = [np.zeros((0, self.dim), np.float32)]
        step = self.graph.batch or CROPS_AT_ONCE
        for start in range(0, len(crops), step):
            rows.append(self._run(np.stack(crops[start : start + step])))
        return np.concatenate(rows)

    def _run(self, crops: Array) -> Array:
        """(n, d) float32 of (n, h, w, 3) crops; a graph of a fixed batch gets it filled up."""
        n = len(crops)
        if self.graph.batch is not None and n < self.graph.batch:
            crops = np.concatenate([crops, np.repeat(crops[-1:], self.graph.batch - n, axis=0)])
        found = self.graph.run(as_input(crops, self.settings))[self.output]
        if found.ndim < 2 or len(found) != len(crops) or not found[0].size:
            raise InputError(
                f"{self.graph.file}: output {self.output} of {len(crops)} people has shape {found.shape}, "
                "which is no vector each",
                hint="export the embedding alone, (n, d)",
            )
        return found.reshape(len(crops), -1)[:n].astype(np.float32)

    def _output(self) -> str:
        """Which output is the embedding."""
        names, wanted = list(self.graph.outputs), self.settings.name
        if wanted is None and len(names) == 1:
            return names[0]
        if wanted not in names:
            said = (
                "does not say which output describes people"
                if wanted is None
                else f"has no output {wanted!r}"
            )
            raise InputError(
                f"{self.graph.file} {said}: it has {', '.join(names)}",
                hint=f'write {{"name": "{names[0]}"}} into {sidecar_of(self.graph.file)}',
            )
        return wanted


def load_onnx_detector(file: Path | str, device: str = "auto") -> OnnxDetector:
    """The detector in the ONNX file ``file``, by its sidecar and metadata.

    Raises:
        UsageError: ONNX Runtime is not installed.
        InputError: it is no such file, or something about it is not said (and what to write where).
    """
    graph = open_graph(file, device)
    return OnnxDetector(graph, read_settings(graph.file, graph.metadata, OnnxDetectorSettings))


def load_onnx_embedder(file: Path | str, device: str = "auto") -> OnnxEmbedder:
    """The embedder in the ONNX file ``file``; raises as :func:`load_onnx_detector`."""
    graph = open_graph(file, device)
    return OnnxEmbedder(graph, read_settings(graph.file, graph.metadata, OnnxEmbedderSettings))


def _size(
    graph: OnnxGraph, settings: OnnxDetectorSettings | OnnxEmbedderSettings, sides: tuple[int | None, ...]
) -> tuple[int, int] | None:
    """(height, width) of the input; None where it follows the picture (``sides`` are given)."""
    height, width = graph.size
    said = settings.size
    if said is None and None in graph.size and sides and None not in sides:
        if graph.size != (None, None):
            raise InputError(
                f"the input of {graph.file} is {height or 'open'} by {width or 'open'}: "
                "only one side is open, so it cannot follow the picture",
                hint=f'write {{"size": [HEIGHT, WIDTH]}} into {sidecar_of(graph.file)}',
            )
        return None
    if said is None:
        check_words(graph.file, ["size"] if None in graph.size else [])
        assert height is not None
        assert width is not None
        return height, width
    if min(said) < 1 or any(fixed not in (None, one) for fixed, one in zip(graph.size, said, strict=True)):
        raise InputError(
            f"{sidecar_of(graph.file)} says size {list(said)}, but the graph takes {height} by {width}",
            hint="leave size away: the graph knows it",
        )
    return said
