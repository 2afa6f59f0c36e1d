"""timm's image models as embedders: what a network that never saw re-identification makes of people."""

from __future__ import annotations

import difflib
import hashlib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from personsearch.errors import InputError, UsageError
from personsearch.files import sha256_of
from personsearch.model.inputs import cut
from personsearch.model.searcher import CROPS_AT_ONCE, checked, choose_device
from personsearch.types import Array, Picture, Similarity


class TimmEmbedder:
    """The pooled features of an image model, of people cut out and stretched to its input.

    Args:
        network: without a classifier: (n, 3, h, w) to (n, d).
        size: (height, width) of its input.
        mean, std: of its input, for RGB in [0, 1].
        fingerprint: of name and weights.
        name: as ``timm:NAME``.
        device: see :func:`personsearch.model.searcher.choose_device`.
    """

    similarity: Similarity = "cosine"

    def __init__(
        self,
        network: nn.Module,
        *,
        size: tuple[int, int],
        mean: tuple[float, ...],
        std: tuple[float, ...],
        fingerprint: str,
        name: str,
        device: str = "auto",
    ) -> None:
        self.device = choose_device(device)
        self.network = network.to(self.device).eval()
        self.size = size
        self.mean, self.std = (
            torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in (mean, std)
        )
        self.fingerprint = fingerprint
        self.name = name
        with torch.inference_mode():
            self.dim = int(self.network(torch.zeros(1, 3, *size, device=self.device)).shape[1])

    @torch.inference_mode()
    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, dim) float32 raw embeddings of the people in ``boxes`` (n, 4), picture pixels."""
        boxes = checked(picture, boxes)
        rows = [np.zeros((0, self.dim), np.float32)]
        for start in range(0, len(boxes), CROPS_AT_ONCE):
            crops = [cut(picture.pixels, box, self.size)[0] for box in boxes[start : start + CROPS_AT_ONCE]]
            images = torch.from_numpy(np.stack(crops)).to(self.device).permute(0, 3, 1, 2).float() / 255
            rows.append(self.network((images - self.mean) / self.std).float().cpu().numpy())
        return np.concatenate(rows)


def load_timm(name: str, device: str = "auto") -> TimmEmbedder:
    """The image model that timm calls ``name``, e.g. ``resnet18.a1_in1k``, with its own weights.

    They are taken from the cache of ``huggingface_hub``; nothing is ever downloaded.

    Raises:
        UsageError: timm is not installed, or has no such model, or no weights of it.
        InputError: the weights are not here, or are not those of this network.
    """
    try:
        timm: Any = import_module("timm")
        hub: Any = import_module("huggingface_hub")
    except ImportError as error:
        raise UsageError(
            f"timm:{name} needs the package timm", hint='pip install "personsearch[timm]"'
        ) from error
    if not timm.is_model(name.split(".")[0]):
        near = difflib.get_close_matches(name, timm.list_models(), 1)
        raise UsageError(
            f"timm has no model called {name!r}",
            hint=f"did you mean {near[0]}?" if near else "see timm's list",
        )
    try:
        described = timm.get_pretrained_cfg(name)
    except RuntimeError:  # no such tag behind the dot
        described = None
    if described is None or not described.hf_hub_id:
        raise UsageError(
            f"timm has no weights for {name!r}", hint=f"see timm.list_pretrained('{name.split('.')[0]}*')"
        )
    file = _cached(hub, str(described.hf_hub_id))
    if file is None:
        raise InputError(
            f"the weights of timm's {name} are not here",
            hint="nothing is downloaded unasked; where there is a network: "
            f"hf download {described.hf_hub_id} model.safetensors",
        )
    network = timm.create_model(name, pretrained=False)
    try:
        timm.models.load_checkpoint(network, str(file))
    except Exception as error:  # of safetensors, timm or torch: whatever a damaged file does
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{file} does not hold the weights of {name}: {reason}", hint="was it fetched whole?"
        ) from error
    network.reset_classifier(0)
    _, height, width = described.input_size
    return TimmEmbedder(
        network,
        size=(height, width),
        mean=tuple(described.mean),
        std=tuple(described.std),
        fingerprint=hashlib.sha256(f"timm\n{name}\n{sha256_of(file)}\n".encode()).hexdigest(),
        name=f"timm:{name}",
        device=device,
    )


def _cached(hub: Any, repository: str) -> Path | None:
    """The weights of ``repository`` in the local cache; None where they are not."""
    found = hub.try_to_load_from_cache(repository, "model.safetensors")
    return Path(found) if isinstance(found, str) else None
