"""torchvision's detectors, trained on COCO by others: only with weights that lie here already."""

from __future__ import annotations

import difflib
import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import torch
from torch import nn
from torchvision import models

from personsearch.baselines.keeping import KeepRules, keep_best
from personsearch.errors import InputError, UsageError
from personsearch.files import sha256_of
from personsearch.model.searcher import choose_device
from personsearch.types import Detections, Picture

PERSON = "person"
# Theirs have suppressed boxes of one class already.
KEEP = KeepRules(nms=None)


class TorchvisionDetector:
    """A detector of torchvision's, of whose classes only people are kept.

    Args:
        network: with its weights.
        person: the class.
        fingerprint: of name and weights.
        name: as ``torchvision:NAME``.
        device: see :func:`personsearch.model.searcher.choose_device`.
    """

    def __init__(
        self, network: nn.Module, person: int, *, fingerprint: str, name: str, device: str = "auto"
    ) -> None:
        self.device = choose_device(device)
        self.network = network.to(self.device).eval()
        self.person = person
        self.fingerprint = fingerprint
        self.name = name

    @torch.inference_mode()
    def detect(self, picture: Picture) -> Detections:
        """Everybody in the picture, best score first; embeddings of length 0."""
        pixels = torch.from_numpy(np.ascontiguousarray(picture.pixels)).to(self.device)
        (found,) = self.network([pixels.permute(2, 0, 1).float() / 255])
        people = found["labels"] == self.person
        boxes, scores = found["boxes"][people].cpu().numpy(), found["scores"][people].cpu().numpy()
        return keep_best(boxes, scores, picture.size, KEEP)


def load_torchvision(name: str, device: str = "auto") -> TorchvisionDetector:
    """The detector that torchvision calls ``name``, e.g. ``fasterrcnn_resnet50_fpn``.

    Its default weights are taken from torch's hub cache (``$TORCH_HOME/hub/checkpoints``); nothing
    is ever downloaded.

    Raises:
        UsageError: torchvision has no such detector, or it knows no people.
        InputError: the weights are not here, or are not those of this network.
    """
    known = models.list_models(module=models.detection)
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise UsageError(
            f"torchvision has no detector called {name!r}",
            hint=f"did you mean {near[0]}?" if near else f"one of: {', '.join(known)}",
        )
    weights: Any = next(iter(models.get_model_weights(name)))
    categories = list(weights.meta["categories"])
    if PERSON not in categories:
        raise UsageError(f"torchvision's {name} knows no people", hint="choose another detector")
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(weights.url).path).name
    if not file.is_file():
        raise InputError(
            f"the weights of torchvision's {name} are not here: {file} is missing",
            hint=f"nothing is downloaded unasked; fetch {weights.url} and put it there",
        )
    network = models.get_model(name, weights=None, weights_backbone=None, num_classes=len(categories))
    try:
        network.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except Exception as error:  # of pickle, zipfile or torch: whatever a damaged file does
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{file} does not hold the weights of {name}: {reason}", hint="was it fetched whole?"
        ) from error
    digest = hashlib.sha256(f"torchvision\n{name}\n{sha256_of(file)}\n".encode())
    return TorchvisionDetector(
        network,
        categories.index(PERSON),
        fingerprint=digest.hexdigest(),
        name=f"torchvision:{name}",
        device=device,
    )
