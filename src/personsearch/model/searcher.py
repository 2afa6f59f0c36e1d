"""A trained network as a ``Searcher``, a detector or an ``Embedder``: arrays outside, tensors inside."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch

from personsearch.boxes import clip, inside
from personsearch.errors import InputError, UsageError
from personsearch.model.inputs import box_factors, cut, input_scale, normalised, padded_batch, resized
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.presets import ModelSettings
from personsearch.ranking.calibration import Calibration
from personsearch.types import Array, Detections, Picture, Similarity

Precision = Literal["fp32", "bf16"]
CROPS_AT_ONCE = 64


class _NetworkModel:
    """A network on its device, in test mode, with what its model folder says about it.

    Args:
        network: with its weights.
        settings: what the network was built from.
        fingerprint: of its model folder.
        name: how people call it.
        calibration: from similarity to probability, where the model has one.
        device: ``"auto"`` takes CUDA where there is one.
        precision: ``"bf16"`` computes convolutions and products in bfloat16, which is faster where
            the processor has it; boxes, scores and embeddings move a little (in the third digit).
    """

    parts: str

    def __init__(
        self,
        network: PersonSearchNetwork,
        settings: ModelSettings,
        *,
        fingerprint: str,
        name: str = "",
        calibration: Calibration | None = None,
        device: str = "auto",
        precision: Precision = "fp32",
    ) -> None:
        if settings.network.parts != self.parts:
            raise UsageError(
                f"{name or 'the model'} is a network of parts {settings.network.parts!r}, not {self.parts!r}",
                hint="train or choose another model",
            )
        self.device = choose_device(device)
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()
        self.settings = settings
        self.fingerprint = fingerprint
        self.name = name
        self.calibration = calibration
        self.precision = precision

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return 0 if self.parts == "detector" else self.settings.network.head.dim

    @property
    def similarity(self) -> Similarity:
        """How two embeddings are to be compared."""
        return self.settings.similarity

    def _input(self, picture: Picture) -> tuple[torch.Tensor, list[tuple[int, int]], Array]:
        pixels = resized(picture.pixels, input_scale(picture.size, self.settings.input))
        batch, sizes = padded_batch([pixels], self.settings.input.multiple)
        images = normalised(batch.to(self.device), self.settings.input)
        factors = box_factors(picture.pixels, pixels)
        return images.contiguous(memory_format=torch.channels_last), sizes, factors

    def _computing(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    @torch.inference_mode()
    def _detect(self, picture: Picture) -> Detections:
        images, sizes, factors = self._input(picture)
        with self._computing():
            (seen,) = self.network.detect(images, sizes)
        boxes = clip(seen.boxes.cpu().numpy() / factors, picture.size)
        return Detections(boxes, seen.scores.cpu().numpy(), seen.embeddings.cpu().numpy())


class NetworkSearcher(_NetworkModel):
    """Finds and describes people with the joint network."""

    parts = "joint"

    @torch.inference_mode()
    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, dim) float32 raw embeddings of the people in ``boxes`` (n, 4), picture pixels."""
        boxes = checked(picture, boxes)
        if not len(boxes):
            return np.zeros((0, self.dim), np.float32)
        images, _, factors = self._input(picture)
        scaled = torch.from_numpy(boxes * factors).to(self.device)
        with self._computing():
            return self.network.describe(images, [scaled]).cpu().numpy()

    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, best score first; boxes in picture pixels."""
        return self._detect(picture)


class NetworkDetector(_NetworkModel):
    """Finds people with trunk and proposals alone ("Deep" of the paper's 5.1); describes nobody."""

    parts = "detector"

    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, best score first; embeddings of length 0."""
        return self._detect(picture)


class NetworkEmbedder(_NetworkModel):
    """Describes people who are cut out of the picture ("IDNet" of the paper's 5.1); finds nobody.

    One pass through the trunk for each person: what the joint network saves.
    """

    parts = "embedder"

    @torch.inference_mode()
    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, dim) float32 raw embeddings of the people in ``boxes`` (n, 4), picture pixels."""
        boxes = checked(picture, boxes)
        rows = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(boxes), CROPS_AT_ONCE):
            rows.append(self._describe(picture.pixels, boxes[start : start + CROPS_AT_ONCE]))
        return np.concatenate(rows)

    def _describe(self, pixels: Array, boxes: Array) -> Array:
        crop = self.settings.crop
        pairs = [cut(pixels, b, crop.size, keep_aspect=crop.keep_aspect, margin=crop.margin) for b in boxes]
        batch, _ = padded_batch([picture for picture, _ in pairs], self.settings.input.multiple)
        images = normalised(batch.to(self.device), self.settings.input)
        inside = [torch.from_numpy(box[None]).to(self.device) for _, box in pairs]
        images = images.contiguous(memory_format=torch.channels_last)
        with self._computing():
            return self.network.describe(images, inside).cpu().numpy()


NetworkModel = NetworkSearcher | NetworkDetector | NetworkEmbedder
KINDS: dict[str, type[NetworkModel]] = {
    "joint": NetworkSearcher,
    "detector": NetworkDetector,
    "embedder": NetworkEmbedder,
}


def checked(picture: Picture, boxes: Array) -> Array:
    """(n, 4) float32 ``boxes``, each with an area inside the picture.

    Raises:
        InputError: one has none.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    inside(boxes, picture)
    return boxes


def choose_device(device: str) -> torch.device:
    """The torch device called ``device``; ``"auto"`` is CUDA where there is one, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} is not to be had here", hint="use --device cpu") from error
    return chosen
