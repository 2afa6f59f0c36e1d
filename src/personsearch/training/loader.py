"""Batches on their way to the network: made ahead, in processes of their own where that is wished."""

from __future__ import annotations

import sys
import time
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from personsearch.training.team import Team


class Batches(Protocol):
    """A map-style data set whose item ``step`` is that step's whole batch."""

    def __getitem__(self, step: int) -> Any:
        """The batch of ``step``."""
        ...

    def share(self, step: int, index: int, count: int) -> Any:
        """Every ``count``-th sample of it from ``index`` on."""
        ...


class _Slice(Dataset[Any]):
    """A process's shares of some steps of ``batches``, so that a loader can prefetch them."""

    def __init__(self, batches: Batches, steps: range, index: int, count: int) -> None:
        self.batches, self.steps = batches, steps
        self.index, self.count = index, count

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, index: int) -> tuple[Any, float]:
        begun, step = time.process_time(), self.steps[index]
        if self.count == 1:
            batch = self.batches[step]
        else:
            batch = self.batches.share(step, self.index, self.count)
        # Of a loader process; without one, the training process counts its own time itself.
        return batch, time.process_time() - begun if get_worker_info() is not None else 0.0


def _sent(items: list[tuple[Any, float]]) -> tuple[Any, float]:
    """What a loader sends: the one item of its list, for a step's batch is already whole.

    Arrays go as tensors, which are shared memory: through a pipe they would be copied twice, and
    a loader whose training process was killed would wait forever for somebody to read them.
    """
    batch, seconds = items[0]
    if get_worker_info() is not None and isinstance(batch, tuple) and hasattr(batch, "_fields"):
        columns = ((_Sent(torch.from_numpy(c)) if isinstance(c, np.ndarray) else c) for c in batch)
        batch = type(batch)(*columns)
    return batch, seconds


def received(batch: Any) -> Any:
    """The batch that a loader sent."""
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(c.tensor.numpy() if isinstance(c, _Sent) else c for c in batch))
    return batch


class _Sent(NamedTuple):
    """An array on its way."""

    tensor: Tensor


def _calm(_: int) -> None:
    """A loader process computes on one thread: the others belong to the network."""
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(0)


def _start_method(spawn: bool) -> str:
    """How loader processes start.

    Not by Python's fork server, the default of newer versions: a loader notices that its training
    process was killed by the change of its parent, which there is the server.
    """
    return "spawn" if spawn or sys.platform != "linux" else "fork"


def make_loader(
    batches: Batches, steps: range, team: Team, *, workers: int = 0, spawn: bool = False
) -> DataLoader[tuple[Any, float]]:
    """Batches of ``steps`` (this process's share), made ahead by loader processes.

    Each comes with the processor seconds it cost a loader, and goes through :func:`received`.
    """
    return DataLoader(
        _Slice(batches, steps, team.index, team.count),
        batch_size=1,
        collate_fn=_sent,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_calm if workers else None,
        multiprocessing_context=_start_method(spawn) if workers else None,
    )
