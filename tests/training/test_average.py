"""The moving average of the weights, by hand and in a run."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from personsearch.training.average import WeightAverage


def one(value: float) -> nn.BatchNorm1d:
    network = nn.BatchNorm1d(1)
    with torch.no_grad():
        network.weight.fill_(value)
        network.running_mean.fill_(10 * value)
        network.num_batches_tracked.fill_(int(value))
    return network


def test_three_steps_by_hand() -> None:
    """Decay 0.5, but (1 + n) / (10 + n) while that is less: 2/11, 3/12, 4/13."""
    average = WeightAverage(one(0.0), 0.5)
    wanted = 0.0
    for n, value in enumerate((11.0, 5.0, 2.0), start=1):
        average.step(one(value))
        decay = (1 + n) / (10 + n)
        wanted = decay * wanted + (1 - decay) * value
        assert average.values["weight"].item() == pytest.approx(wanted)
        assert average.values["running_mean"].item() == pytest.approx(10 * wanted)
        assert average.values["num_batches_tracked"].item() == int(value)  # counted, not averaged
    late = WeightAverage(one(0.0), 0.5)
    late.steps = 1000
    late.step(one(8.0))
    assert late.values["weight"].item() == 4.0


def test_inside_and_out_again() -> None:
    network = one(1.0)
    average = WeightAverage(network, 0.9)
    average.step(one(5.0))
    with torch.no_grad():
        network.weight.fill_(7.0)
    with average.inside(network):
        assert network.weight.item() == pytest.approx(average.values["weight"].item())
    assert network.weight.item() == 7.0

    def failing() -> None:
        with average.inside(network):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert network.weight.item() == 7.0


def test_a_state_goes_on() -> None:
    first, second = WeightAverage(one(0.0), 0.9), WeightAverage(one(3.0), 0.9)
    first.step(one(2.0))
    second.restore(first.state())
    for average in (first, second):
        average.step(one(5.0))
    assert first.steps == second.steps == 2
    assert all(torch.equal(first.values[name], second.values[name]) for name in first.values)
