"""The re-id part: fc6, fc7, the box layer on fc7, the 256-d fc8 and the identity classifier (paper 4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from personsearch.model.losses.margin import cosine_scores


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """The re-id part; the defaults are the paper's text for VGG16.

    Attributes:
        body: from the pooled grid to a vector: ``"fc"``, two fully connected layers, or
            ``"res5"``, the last stage of the trunk's ResNet and a mean over its cells, as in OIM
            and SeqNet (wants exactly one pool, 14x14 there).
        hidden: units of fc6 and fc7.
        dim: length of the embedding (fc8).
        dropout: after fc6 and fc7.
        embedding_relu: the authors' code puts ReLU and dropout on fc8 as well; the
            paper's text does not speak of it.
        separate_score: score people by a layer of its own on fc7. The paper has none: its
            score is 1 - P(background) of the identity classifier, which unlabelled people
            never teach.
        norm_aware: score people by the length of their embedding, and leave who they are to
            its direction. Source: Chen et al., Norm-Aware Embedding (CVPR 2020), equation (1).
        cosine_scale: 0: the paper's linear classifier. Otherwise identities are scored by this
            times the cosine between embedding and the class's weights.
        normed: batch norm on fc6, fc7 and fc8, for training from scratch.
    """

    body: Literal["fc", "res5"] = "fc"
    hidden: int = 4096
    dim: int = 256
    dropout: float = 0.5
    embedding_relu: bool = False
    separate_score: bool = False
    norm_aware: bool = False
    cosine_scale: float = 0.0
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


class NormScore(nn.Module):
    """Logit of "a person" from the length of an embedding, by one learned scale and shift.

    The batch norm moves lengths, which are all positive, to where a sigmoid can part them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)

    def forward(self, embeddings: Tensor) -> Tensor:
        """(n, dim) to (n, 1)."""
        length = torch.linalg.vector_norm(embeddings.float(), dim=1, keepdim=True)
        if self.training and len(length) > 1:
            moved: Tensor = self.norm(length)
            return moved
        # In a test, and for one RoI, which has no deviation to divide by. Not by torch's batch_norm: it asks
        # whether there is anybody, which a graph for every picture cannot know.
        norm = self.norm
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        scored: Tensor = (length - norm.running_mean) * scale + norm.bias
        return scored


class ReidHead(nn.Module):
    """From a pooled vector to who it is, how it looks and where exactly it stands.

    Args:
        inside: length of a pooled vector.
        identities: C; 0 leaves the classifier away.
        settings: sizes and options. With ``dim`` 0 nobody is described: the head of a detector.
        tail: for body ``"res5"``: the stage, and how many channels it gives.
    """

    def __init__(
        self,
        inside: int,
        identities: int,
        settings: HeadSettings,
        tail: tuple[nn.Module, int] | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        width = settings.hidden if tail is None else tail[1]
        if tail is None:
            self.fc6 = nn.Linear(inside, width)
            self.fc7 = nn.Linear(width, width)
        else:
            self.res5 = tail[0]
        self.fc8 = nn.Linear(width, settings.dim) if settings.dim else None
        self.box = nn.Linear(width, 4)
        self.person: nn.Module | None = nn.Linear(width, 1) if settings.separate_score else None
        if settings.norm_aware:
            self.person = NormScore()
        linear = not settings.cosine_scale
        classified = bool(identities and settings.dim)
        self.classifier = nn.Linear(settings.dim, identities + 1, bias=linear) if classified else None
        norm = nn.BatchNorm1d if settings.normed else lambda _: nn.Identity()
        if tail is None:
            self.norm6, self.norm7 = norm(width), norm(width)
        self.norm8 = norm(settings.dim) if settings.dim else None
        nn.init.normal_(self.box.weight, std=0.001)
        nn.init.zeros_(self.box.bias)
        if self.classifier is not None:
            nn.init.normal_(self.classifier.weight, std=0.001 if linear and not settings.normed else 0.02)
        if self.classifier is not None and linear:
            nn.init.zeros_(self.classifier.bias)

    def _hidden(self, pooled: Tensor) -> Tensor:
        """(n, width): fc6 and fc7, or the mean over the cells of res5."""
        if self.settings.body == "res5":
            cells: Tensor = self.res5(pooled)
            return cells.mean(dim=(2, 3))
        rate = self.settings.dropout
        hidden = functional.relu(self.norm6(self.fc6(pooled.flatten(1))))
        hidden = functional.dropout(hidden, rate, self.training)
        hidden = functional.relu(self.norm7(self.fc7(hidden)))
        return functional.dropout(hidden, rate, self.training)

    def forward(self, pooled: Tensor, *, classify: bool = True) -> HeadOutput:
        """(n, inside) pooled vectors to the four answers; ``classify=False`` skips the identities.

        For body ``"res5"`` the pooled grids are (n, channels, rows, columns).
        """
        settings = self.settings
        hidden = self._hidden(pooled)
        if self.fc8 is None or self.norm8 is None:
            embeddings = hidden.new_zeros(len(hidden), 0)
        else:
            embeddings = self.norm8(self.fc8(hidden))
        if settings.embedding_relu:  # the authors' code; the paper's text has a linear fc8
            embeddings = functional.dropout(functional.relu(embeddings), settings.dropout, self.training)
        person = None
        if self.person is not None:
            person = self.person(embeddings if settings.norm_aware else hidden).float().squeeze(1)
        return HeadOutput(
            embeddings=embeddings.float(),
            offsets=self.box(hidden).float(),
            identities=self.classify(embeddings) if classify else None,
            person=person,
        )

    def classify(self, embeddings: Tensor) -> Tensor | None:
        """(n, C+1) scores of every class; None where there is no classifier."""
        if self.classifier is None:
            return None
        if self.settings.cosine_scale:
            return cosine_scores(embeddings, self.classifier.weight, self.settings.cosine_scale)
        scores: Tensor = self.classifier(embeddings)
        return scores.float()


def person_scores(output: HeadOutput, *, background: float = 0.0) -> Tensor:
    """(n,) probability that each RoI is a person.

    From the score layer where there is one; else 1 - P(background) over all C+1 classes,
    as the authors' code has it. With RSS that reading is permissive: training weighed the
    background against about K identities, the test against all C. ``background`` is added to
    the background's score: :func:`personsearch.model.losses.rss.log_odds` makes up for that.
    """
    if output.person is not None:
        return output.person.sigmoid()
    if output.identities is None:
        raise ValueError("without a score layer the identities must be classified")
    if not background:
        return 1.0 - torch.softmax(output.identities, dim=1)[:, -1]
    raised = torch.cat([output.identities[:, :-1], output.identities[:, -1:] + background], dim=1)
    return 1.0 - torch.softmax(raised, dim=1)[:, -1]
