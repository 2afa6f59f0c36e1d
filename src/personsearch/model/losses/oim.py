"""Online instance matching (OIM): people against a table of everybody, and a queue of strangers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from personsearch.model.losses.softmax import Normaliser, divisor
from personsearch.model.vectors import unit


@dataclass(frozen=True, kw_only=True)
class OimSettings:
    """The table and the queue; the defaults are the paper's and its code's.

    Attributes:
        queue: unlabelled people remembered; 0 for none.
        momentum: share of a table row that an update keeps.
        scale: of the cosines, one over the temperature; 10 in the authors' code, 30 in its successors.
        count_empty: rows that nobody has filled yet count as e^0 in the softmax, as in the
            authors' code, whose tables start as zeros. Otherwise they take no part, and a
            person whose own row is empty fills it but has no loss.
    """

    queue: int = 5000
    momentum: float = 0.5
    scale: float = 10.0
    count_empty: bool = False


class OimTable(nn.Module):
    """The loss together with what it remembers, all of it buffers, so that a checkpoint holds it.

    Between processes (``torch.distributed`` initialised) every table sees the rows of all of
    them, in the order of their ranks: the tables stay equal, and equal to those of one process
    that is given the whole batch.

    Source: Xiao et al., Joint Detection and Identification Feature Learning for Person Search
    (CVPR 2017), equations (1)-(3).
    """

    table: Tensor
    queue: Tensor
    header: Tensor

    def __init__(self, identities: int, dim: int, settings: OimSettings) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("table", torch.zeros(identities, dim))
        self.register_buffer("queue", torch.zeros(settings.queue, dim))
        self.register_buffer("header", torch.zeros((), dtype=torch.int64))

    def forward(self, embeddings: Tensor, labels: Tensor, *, normaliser: Normaliser = "valid") -> Tensor:
        """Mean of ``-log`` of the share that each person's own row has; in training, then remember them.

        The table is updated here, from detached rows, after the scores were taken from a copy:
        neither the backward pass nor a second one depends on when the update happened.

        Args:
            embeddings: (n, d), of any length and precision; compared by cosine in float32.
            labels: (n,) int64. 0..C-1: identities. -1: people without one, who go to the queue.
                C: background, which is left out.
            normaliser: ``"valid"`` divides by the people who have a loss, ``"batch"`` by all rows.

        Returns:
            A scalar; 0 with a gradient of 0 when nobody has a loss.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            rows = unit(embeddings)
            loss = self._loss(rows, labels, normaliser)
            if self.training:
                self.remember(rows.detach().float(), labels)
        return loss

    def _loss(self, rows: Tensor, labels: Tensor, normaliser: Normaliser) -> Tensor:
        memory = torch.cat([self.table, self.queue]).to(rows.dtype)
        filled = memory.any(dim=1)
        counted = (labels >= 0) & (labels < len(self.table))
        if not self.settings.count_empty:
            counted &= filled[labels.clamp(0, len(self.table) - 1)]
        scores = self.settings.scale * rows[counted] @ memory.T
        if not self.settings.count_empty:
            scores = scores.masked_fill(~filled, -torch.inf)
        total = functional.cross_entropy(scores, labels[counted], reduction="sum")
        return total / divisor(labels.where(counted, -1), normaliser)

    @torch.no_grad()
    def remember(self, rows: Tensor, labels: Tensor) -> None:
        """Move the people's rows of the table, and put unlabelled people into the queue.

        Several rows of one person move the row one after the other, in their order. A row of
        length 0 says nothing and is left out.

        Args:
            rows: (n, d) float32 of length 1 (or 0). labels: (n,) as in :meth:`forward`.
        """
        told = rows.any(dim=1) & (labels < len(self.table))
        rows, labels = everybodys(rows[told], labels[told])
        people, strangers = (labels >= 0).nonzero().squeeze(1), rows[labels < 0]
        whose = labels[people]
        # The i-th row of each person in the i-th round: as one by one, for rounds never meet.
        turn = (whose[:, None] == whose[None]).tril(-1).sum(dim=1)
        for i in range(int(turn.max()) + 1 if len(turn) else 0):
            now = turn == i
            old, new = self.table[whose[now]], rows[people[now]]
            self.table[whose[now]] = unit(self.settings.momentum * old + (1 - self.settings.momentum) * new)
        if self.settings.queue and len(strangers):
            places = torch.arange(len(strangers), device=rows.device) + self.header
            last = strangers[-self.settings.queue :]
            self.queue[places[-self.settings.queue :] % self.settings.queue] = last
            self.header.copy_((self.header + len(strangers)) % self.settings.queue)


def everybodys(rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The rows and labels of all processes, by rank; one's own where there is one process.

    Each process may have another number of rows.
    """
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return rows, labels
    count = torch.tensor([len(rows)], device=rows.device)
    counts = [torch.zeros_like(count) for _ in range(distributed.get_world_size())]
    distributed.all_gather(counts, count)
    lengths = [int(c) for c in counts]
    gathered = []
    for column in (rows, labels):
        padded = column.new_zeros((max(lengths), *column.shape[1:]))
        padded[: len(column)] = column
        parts = [torch.empty_like(padded) for _ in lengths]
        distributed.all_gather(parts, padded)
        gathered.append(torch.cat([part[:n] for part, n in zip(parts, lengths, strict=True)]))
    return gathered[0], gathered[1]
