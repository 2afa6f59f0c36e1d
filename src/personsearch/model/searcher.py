"""A trained network as a ``Searcher``: arrays outside, tensors inside."""

from __future__ import annotations

import numpy as np
import torch

from personsearch.boxes import clip
from personsearch.errors import InputError
from personsearch.model.inputs import box_factors, input_scale, normalised, padded_batch, resized
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.presets import ModelSettings
from personsearch.ranking.calibration import Calibration
from personsearch.types import Array, Detections, Picture, Similarity


class NetworkSearcher:
    """Finds and describes people with a :class:`PersonSearchNetwork`.

    Args:
        network: with its weights.
        settings: what the network was built from.
        fingerprint: of its model folder.
        name: how people call it.
        calibration: from similarity to probability, where the model has one.
        device: ``"auto"`` takes CUDA where there is one.
    """

    def __init__(
        self,
        network: PersonSearchNetwork,
        settings: ModelSettings,
        *,
        fingerprint: str,
        name: str = "",
        calibration: Calibration | None = None,
        device: str = "auto",
    ) -> None:
        self.device = choose_device(device)
        self.network = network.to(self.device).to(memory_format=torch.channels_last).eval()
        self.settings = settings
        self.fingerprint = fingerprint
        self.name = name
        self.calibration = calibration

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.settings.network.head.dim

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

    @torch.inference_mode()
    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, dim) float32 raw embeddings of the people in ``boxes`` (n, 4), picture pixels."""
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        if not len(boxes):
            return np.zeros((0, self.dim), np.float32)
        # "Not larger" rather than "smaller or equal": a NaN would pass that, and crash the pooling.
        inside = clip(boxes, picture.size)
        if not np.isfinite(boxes).all() or not (inside[:, 2:] > inside[:, :2]).all():
            raise InputError(
                f"a box has no area inside {picture.name or 'the picture'}, "
                f"which is {picture.size[0]}x{picture.size[1]}",
                hint="give x,y,w,h in pixels of the upright picture, with w, h > 0",
            )
        images, _, factors = self._input(picture)
        scaled = torch.from_numpy(boxes * factors).to(self.device)
        return self.network.describe(images, [scaled]).cpu().numpy()

    @torch.inference_mode()
    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, best score first; boxes in picture pixels."""
        images, sizes, factors = self._input(picture)
        (seen,) = self.network.detect(images, sizes)
        boxes = clip(seen.boxes.cpu().numpy() / factors, picture.size)
        return Detections(boxes, seen.scores.cpu().numpy(), seen.embeddings.cpu().numpy())


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
