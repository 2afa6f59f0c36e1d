"""Online instance matching against a slow transcription, one row at a time, and between processes."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.model.losses.oim import OimSettings, OimTable

IDENTITIES = 5


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Literal:
    """Equations (1)-(3) with lists: table, circular queue, one update after the other."""

    def __init__(self, config: OimSettings, dim: int) -> None:
        self.config = config
        self.table = [[0.0] * dim for _ in range(IDENTITIES)]
        self.queue = [[0.0] * dim for _ in range(config.queue)]
        self.header = 0

    def loss(self, rows, labels, normaliser: str) -> float:
        total, counted = 0.0, 0
        memory = self.table + self.queue
        for x, t in zip(rows, labels, strict=True):
            if not 0 <= t < IDENTITIES or (not self.config.count_empty and not any(self.table[t])):
                continue
            counted += 1
            x = self.unit(x)
            scores = [sum(a * b for a, b in zip(x, v, strict=True)) * self.config.scale for v in memory]
            parts = [
                math.exp(s) for s, v in zip(scores, memory, strict=True) if self.config.count_empty or any(v)
            ]
            total -= scores[t] - math.log(sum(parts))
        return total / max(counted if normaliser == "valid" else len(labels), 1)

    def update(self, rows, labels) -> None:
        for x, t in zip(rows, labels, strict=True):
            if not any(x):
                continue
            x = self.unit(x)
            if 0 <= t < IDENTITIES:
                m = self.config.momentum
                self.table[t] = self.unit(
                    [m * a + (1 - m) * b for a, b in zip(self.table[t], x, strict=True)]
                )
            elif t == -1 and self.queue:
                self.queue[self.header] = x
                self.header = (self.header + 1) % len(self.queue)

    @staticmethod
    def unit(v):
        length = math.hypot(*v)
        return [a / length for a in v]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.lists(st.integers(-1, IDENTITIES), max_size=9), min_size=1, max_size=4),
    st.integers(0, 99),
    st.sampled_from([0, 1, 3, 50]),
    st.booleans(),
    st.sampled_from(["valid", "batch"]),
)
def test_losses_and_memory_are_the_slow_ones(batches, seed, queue, count_empty, normaliser) -> None:
    """Several batches in a row: repeated people, more strangers than the queue holds, zero rows."""
    config = OimSettings(queue=queue, momentum=0.3, scale=4.0, count_empty=count_empty)
    ours, slow = OimTable(IDENTITIES, 3, config), Literal(config, 3)
    rng = generator(seed)
    for labels in batches:
        x = 3 * torch.randn(len(labels), 3, generator=rng)
        if len(labels) > 2:
            x[1] = 0
            labels = [labels[0], -1, *labels[2:]]
        value = ours(x, torch.tensor(labels, dtype=torch.int64), normaliser=normaliser)
        assert float(value) == pytest.approx(slow.loss(x.tolist(), labels, normaliser), abs=1e-4)
        slow.update(x.tolist(), labels)
        torch.testing.assert_close(ours.table, torch.tensor(slow.table))
        torch.testing.assert_close(ours.queue, torch.tensor(slow.queue).reshape(queue, 3))
        assert int(ours.header) == slow.header


def filled(queue: int = 3, **changes) -> OimTable:
    """Identities 0, 1, 2 on three axes and a stranger between two of them."""
    oim = OimTable(IDENTITIES, 3, OimSettings(queue=queue, scale=2.0, **changes))
    oim.remember(torch.eye(3), torch.tensor([0, 1, 2]))
    oim.remember(torch.tensor([[0.6, 0.8, 0.0]]), torch.tensor([-1]))
    return oim.eval()


def test_a_loss_worked_by_hand() -> None:
    """Cosines 1, 0, 0 with the table and 0.6 with the stranger; scale 2."""
    wanted = math.log(math.exp(2) + 1 + 1 + math.exp(1.2)) - 2
    value = filled()(torch.tensor([[5.0, 0, 0]]), torch.tensor([0]))
    assert float(value) == pytest.approx(wanted, rel=1e-5)
    # With empty rows counted: identities 3 and 4 and two places of the queue are four e^0 more.
    wanted = math.log(math.exp(2) + 1 + 1 + math.exp(1.2) + 4) - 2
    value = filled(count_empty=True)(torch.tensor([[5.0, 0, 0]]), torch.tensor([0]))
    assert float(value) == pytest.approx(wanted, rel=1e-5)


def test_an_update_worked_by_hand() -> None:
    """Half of east and half of north is north-east; the queue's fourth stranger takes the first's place."""
    oim = filled().train()
    oim(torch.tensor([[0.0, 9.0, 0.0]]), torch.tensor([0]))
    torch.testing.assert_close(oim.table[0], torch.tensor([0.5**0.5, 0.5**0.5, 0.0]))
    assert int(oim.header) == 1
    oim(torch.eye(3), torch.tensor([-1, -1, -1]))
    assert int(oim.header) == 1
    torch.testing.assert_close(oim.queue, torch.eye(3)[[2, 0, 1]])


def test_more_strangers_than_the_queue_holds_worked_by_hand() -> None:
    """Five into three places: the fourth and fifth take the first two, and the third is next."""
    oim = OimTable(IDENTITIES, 3, OimSettings(queue=3))
    rows = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    oim.remember(rows, torch.full((5,), -1))
    assert torch.equal(oim.queue, rows[[3, 4, 2]])
    assert int(oim.header) == 2


def test_a_person_whose_row_is_empty_fills_it_and_has_no_loss() -> None:
    oim = filled().train()
    x = torch.tensor([[0.0, 0.0, -3.0]], requires_grad=True)
    loss = oim(x, torch.tensor([4]))
    loss.backward()
    assert loss.item() == 0.0
    assert (x.grad == 0).all()
    torch.testing.assert_close(oim.table[4], torch.tensor([0.0, 0.0, -1.0]))


def test_the_gradient_is_that_of_the_value_and_others_have_none() -> None:
    oim = filled()
    x = torch.randn(5, 3, dtype=torch.float64, generator=generator(0)).requires_grad_()
    labels = torch.tensor([0, -1, IDENTITIES, 2, 3])
    assert torch.autograd.gradcheck(lambda x: oim(x, labels), (x,))
    oim(x, labels).backward()
    assert (x.grad[[1, 2, 4]] == 0).all()
    assert (x.grad[[0, 3]] != 0).any(dim=1).all()


def test_the_update_is_outside_of_the_backward_pass() -> None:
    """Backward twice, and second derivatives: the table has moved meanwhile, and nobody minds."""
    oim = filled().train()
    x = torch.randn(2, 3, dtype=torch.float64, generator=generator(1)).requires_grad_()
    labels = torch.tensor([0, -1])
    loss = oim(x, labels)
    after = oim.table.clone(), oim.queue.clone(), oim.header.clone()
    (first,) = torch.autograd.grad(loss, x, create_graph=True)
    (again,) = torch.autograd.grad(loss, x, retain_graph=True)
    assert torch.equal(first, again)
    first.square().sum().backward()
    assert torch.isfinite(x.grad).all()
    for one, other in zip(after, (oim.table, oim.queue, oim.header), strict=True):
        assert torch.equal(one, other)
    before = filled().table
    assert not torch.equal(before, oim.table)
    oim.eval()(x, labels)
    assert torch.equal(after[0], oim.table)


@pytest.mark.parametrize("labels", [[], [-1, -1], [IDENTITIES, -1]])
def test_nobody_labelled_means_no_loss_and_no_gradient(labels) -> None:
    for oim in (filled(), OimTable(IDENTITIES, 3, OimSettings())):
        x = torch.randn(len(labels), 3).requires_grad_()
        loss = oim(x, torch.tensor(labels, dtype=torch.int64))
        loss.backward()
        assert loss.item() == 0.0
        assert (x.grad == 0).all()


def test_the_memory_is_float32_under_half_precision_and_all_in_the_state() -> None:
    oim = filled().train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = oim(torch.randn(3, 3).to(torch.bfloat16), torch.tensor([0, 1, -1]))
    assert loss.dtype == oim.table.dtype == oim.queue.dtype == torch.float32
    other = OimTable(IDENTITIES, 3, OimSettings(queue=3))
    other.load_state_dict(oim.state_dict())
    assert set(oim.state_dict()) == {"table", "queue", "header"}
    assert torch.equal(other.header, oim.header)
    assert torch.equal(other.queue, oim.queue)


PROCESS = """
import sys
import torch
from torch import distributed
from personsearch.model.losses.oim import OimSettings, OimTable

folder, rank = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
oim = OimTable(5, 4, OimSettings(queue=6, scale=3.0))
given = torch.load(f"{folder}/given.pt", weights_only=True)
results = []
for rows, labels in given[rank]:
    rows.requires_grad_()
    loss = oim(rows, labels)
    loss.backward()
    results.append((loss.detach(), rows.grad))
torch.save((results, oim.state_dict()), f"{folder}/{rank}.pt")
distributed.destroy_process_group()
"""


def test_two_processes_keep_the_tables_of_one(tmp_path: Path, monkeypatch) -> None:
    """Each sees its half of every batch, of unequal lengths; the memory is that of the whole batch."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    rng = generator(3)
    labels = [([0, 1, -1, 5], [2, 0, -1]), ([0, 3, -1, -1, -1], [3, 0]), ([2, 1, -1], [0, 0, -1, -1, 5])]
    given = [
        [(torch.randn(len(pair[r]), 4, generator=rng), torch.tensor(pair[r])) for pair in labels]
        for r in (0, 1)
    ]
    torch.save(given, tmp_path / "given.pt")
    started = [subprocess.Popen([sys.executable, "-c", PROCESS, str(tmp_path), str(r)]) for r in (0, 1)]
    alone = OimTable(5, 4, OimSettings(queue=6, scale=3.0))
    wanted = []
    for (x0, y0), (x1, y1) in zip(*given, strict=True):
        rows = torch.cat([x0, x1]).requires_grad_()
        loss = alone(rows, torch.cat([y0, y1]), normaliser="batch")
        loss.backward()
        wanted.append((len(rows), loss.detach(), rows.grad))
    assert [p.wait(timeout=60) for p in started] == [0, 0]
    (first, state), (second, other) = (torch.load(tmp_path / f"{r}.pt", weights_only=True) for r in (0, 1))
    for name, value in alone.state_dict().items():
        assert torch.equal(state[name], other[name])
        assert torch.equal(state[name], value)
    for step, (count, loss, gradient) in enumerate(wanted):
        # Losses of a process are over its own rows: put together by how many had one.
        halves = [(r[step], counted(labels, step, i)) for i, r in enumerate((first, second))]
        together = sum(float(value) * n for (value, _), n in halves)
        assert together == pytest.approx(float(loss) * count, abs=1e-5)
        rows = torch.cat([g * n for (_, g), n in halves])
        torch.testing.assert_close(rows, gradient * count, atol=1e-5, rtol=1e-5)


def counted(labels, step: int, part: int) -> int:
    """How many rows of a process have a loss: people whom an earlier batch has shown."""
    seen = {label for pair in labels[:step] for half in pair for label in half}
    return sum(0 <= label < 5 and label in seen for label in labels[step][part])
