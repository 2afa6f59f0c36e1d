"""The re-id part: fc6, fc7, the box layer on fc7, the 256-d fc8 and the identity classifier (paper 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """The re-id part; the defaults are the paper's text for VGG16.

    Attributes:
        hidden: units of fc6 and fc7.
        dim: length of the embedding (fc8).
        dropout: after fc6 and fc7.
        embedding_relu: the authors' code puts ReLU and dropout on fc8 as well; the
            paper's text does not speak of it.
        separate_score: score people by a layer of its own on fc7. The paper has none: its
            score is 1 - P(background) of the identity classifier, which unlabelled people
            never teach.
        normed: batch norm on fc6, fc7 and fc8, for training from scratch.
    """

    hidden: int = 4096
    dim: int = 256
    dropout: float = 0.5
    embedding_relu: bool = False
    separate_score: bool = False
    normed: bool = False


class HeadOutput(NamedTuple):
    """Row i of each belongs to RoI i.

    Attributes:
        embeddings: (n, dim).
        offsets: (n, 4) box regression.
        identities: (n, C+1) classifier scores, background last; None when not asked for.
        person: (n,) logit of "a person", None without a score layer of its own.
    """

    embeddings: Tensor
    offsets: Tensor
    identities: Tensor | None
    person: Tensor | None


class ReidHead(nn.Module):
    """From a pooled vector to who it is, how it looks and where exactly it stands."""

    def __init__(self, inside: int, identities: int, settings: HeadSettings) -> None:
        super().__init__()
        self.settings = settings
        self.fc6 = nn.Linear(inside, settings.hidden)
        self.fc7 = nn.Linear(settings.hidden, settings.hidden)
        self.fc8 = nn.Linear(settings.hidden, settings.dim)
        self.box = nn.Linear(settings.hidden, 4)
        self.person = nn.Linear(settings.hidden, 1) if settings.separate_score else None
        self.classifier = nn.Linear(settings.dim, identities + 1)
        norm = nn.BatchNorm1d if settings.normed else lambda _: nn.Identity()
        self.norm6, self.norm7, self.norm8 = norm(settings.hidden), norm(settings.hidden), norm(settings.dim)
        nn.init.normal_(self.box.weight, std=0.001)
        nn.init.zeros_(self.box.bias)
        nn.init.normal_(self.classifier.weight, std=0.001 if not settings.normed else 0.02)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, pooled: Tensor, *, classify: bool = True) -> HeadOutput:
        """(n, inside) pooled vectors to the four answers; ``classify=False`` skips the identities."""
        rate = self.settings.dropout
        hidden = functional.relu(self.norm6(self.fc6(pooled)))
        hidden = functional.dropout(hidden, rate, self.training)
        hidden = functional.relu(self.norm7(self.fc7(hidden)))
        hidden = functional.dropout(hidden, rate, self.training)
        embeddings = self.norm8(self.fc8(hidden))
        if self.settings.embedding_relu:
            embeddings = functional.dropout(functional.relu(embeddings), rate, self.training)
        return HeadOutput(
            embeddings=embeddings.float(),
            offsets=self.box(hidden).float(),
            identities=self.classifier(embeddings).float() if classify else None,
            person=None if self.person is None else self.person(hidden).float().squeeze(1),
        )


def person_scores(output: HeadOutput) -> Tensor:
    """(n,) probability that each RoI is a person.

    From the score layer where there is one; else 1 - P(background) over all C+1 classes,
    as the authors' code has it. With RSS that reading is permissive: training weighed the
    background against about K identities, the test against all C.
    """
    if output.person is not None:
        return output.person.sigmoid()
    if output.identities is None:
        raise ValueError("without a score layer the identities must be classified")
    return 1.0 - torch.softmax(output.identities, dim=1)[:, -1]
