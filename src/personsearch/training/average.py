"""A moving average of the weights while they descend: steadier than the last step's, at no cost in search."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of everything in a network's state that is a number.

    Early on the average follows faster, as an average of few steps should. Running statistics of
    batch norms are averaged like the weights that they belong to; counters and the like are the
    network's own.

    Args:
        network: where the average starts.
        decay: share that a step keeps.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.values = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def step(self, network: nn.Module) -> None:
        """Take in the weights after one more step."""
        self.steps += 1
        share = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in network.state_dict().items():
            mine = self.values[name]
            if value.is_floating_point():
                mine.lerp_(value, share)
            else:
                mine.copy_(value)

    @contextmanager
    def inside(self, network: nn.Module) -> Iterator[None]:
        """The network with the average's weights; afterwards with its own again."""
        own = {name: value.detach().clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.values)
        try:
            yield
        finally:
            network.load_state_dict(own)

    def state(self) -> dict[str, int | dict[str, Tensor]]:
        """For the run's state."""
        return {"steps": self.steps, "values": self.values}

    def restore(self, state: dict[str, int | dict[str, Tensor]]) -> None:
        """Go on from :meth:`state`."""
        steps, values = state["steps"], state["values"]
        assert isinstance(steps, int)
        assert isinstance(values, dict)
        self.steps = steps
        for name, value in values.items():
            self.values[name].copy_(value)
