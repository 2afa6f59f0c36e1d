"""The processes that train together, their device and precision. One process is a team of one.

Every process takes its share of each step's batch; gradients are summed, so that all take the
same step. Written here rather than wrapped around the network: stage 1 uses only some of the
network's parts, and what nobody used must keep its weights, without decay.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, distributed, nn

from personsearch.errors import PersonSearchError, UsageError
from personsearch.model.searcher import choose_device
from personsearch.training.settings import Precision

T = TypeVar("T")


@dataclass(frozen=True)
class Team:
    """Who trains.

    Attributes:
        accelerator: precision, gradient scaling, processes.
        device: of this process.
    """

    accelerator: Accelerator
    device: torch.device

    @property
    def count(self) -> int:
        """How many processes there are."""
        return int(self.accelerator.num_processes)

    @property
    def index(self) -> int:
        """Which of them this is."""
        return int(self.accelerator.process_index)

    @property
    def leads(self) -> bool:
        """Whether this is the one that writes."""
        return self.index == 0

    def led(self, act: Callable[[], T]) -> T | None:
        """What ``act`` gives in the leading process, None in the others, which wait for its end.

        Raises:
            PersonSearchError: the leader's; the others raise it too.
        """
        if self.count == 1:
            return act()
        result, failure = None, None
        if self.leads:
            try:
                result = act()
            except PersonSearchError as error:
                failure = error
            except BaseException:
                self._tell(("", "the leading process failed"))
                raise
        said = self._tell(None if failure is None else (str(failure), failure.hint))
        if failure is not None:
            raise failure
        if said is not None:
            raise PersonSearchError(*said)
        return result

    def _tell(self, word: tuple[str, str] | None) -> tuple[str, str] | None:
        """The leader's word, to everybody."""
        words = [word]
        distributed.broadcast_object_list(words, src=0)
        return words[0]

    def any(self, mine: bool) -> bool:
        """Whether any process says yes."""
        if self.count == 1:
            return mine
        votes = torch.tensor([float(mine)], device=self.device)
        distributed.all_reduce(votes)
        return bool(votes.item())

    def part_at_exit(self) -> None:
        """Let go of each other when this program ends; for after a whole run.

        The thread that carried out the last exchange gives its tensors back under Python's lock. If Python
        has begun to end by then the process aborts, and torchrun takes a finished run for a failed one. Who
        fails does not wait here for the others, who may wait for it.
        """
        if self.count > 1:
            atexit.unregister(_part)  # of an earlier run
            atexit.register(_part)

    def sum_gradients(self, network: nn.Module, values: Tensor) -> Tensor:
        """Add up gradients over all processes, in place; and ``values``, which are returned.

        A parameter without a gradient anywhere keeps none: it is not stepped, nor decayed. Batch
        norms' running statistics become the mean of everybody's.
        """
        if self.count == 1:
            return values
        learning = [p for p in network.parameters() if p.requires_grad]
        used = torch.tensor([p.grad is not None for p in learning], device=self.device, dtype=torch.float32)
        norms = [b for m in network.modules() for b in _statistics(m)]
        parts = [*(torch.zeros_like(p) if p.grad is None else p.grad for p in learning), *norms]
        flat = torch.cat([used, *(part.detach().float().flatten() for part in parts)])
        distributed.all_reduce(flat)
        counts = flat[: len(used)].tolist()
        rows = flat[len(used) :].split_with_sizes([part.numel() for part in parts])
        for parameter, row, count in zip(learning, rows, counts, strict=False):
            if count:
                total = row.view_as(parameter).to(parameter.dtype)
                if parameter.grad is None:
                    parameter.grad = torch.empty_like(parameter)
                parameter.grad.copy_(total)
        for buffer, row in zip(norms, rows[len(learning) :], strict=True):
            buffer.copy_(row.view_as(buffer) / self.count)
        # In double precision, which not every device has, but all that several processes train on.
        total = values.to(self.device)
        distributed.all_reduce(total)
        return total.cpu()


def _part() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _statistics(module: nn.Module) -> list[Tensor]:
    """Running statistics that a step changes."""
    if not (isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training):
        return []
    return [b for b in (module.running_mean, module.running_var) if b is not None]


def gather_team(device: str, precision: Precision) -> Team:
    """The processes that ``torchrun`` started, or this one alone, and what they compute on.

    Raises:
        InputError: the device is not to be had.
        UsageError: the precision is not to be had on it, or one device is named for several processes.
    """
    chosen = choose_device(device)
    name = choose_precision(precision, chosen)
    # Accelerate keeps the first run's device and precision for as long as the process lives.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(cpu=chosen.type == "cpu", mixed_precision=name)
    if accelerator.num_processes > 1:
        if chosen.index is not None:
            raise UsageError(
                f"{accelerator.num_processes} processes cannot all train on {device}",
                hint="say --device cuda: each process takes its own",
            )
        return Team(accelerator, accelerator.device)
    if chosen.type == "cuda":
        # "cuda" alone means the current device, here and in everything that is called from here.
        chosen = torch.device("cuda", torch.cuda.current_device() if chosen.index is None else chosen.index)
        torch.cuda.set_device(chosen)
    return Team(accelerator, chosen)


def native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 in hardware (elsewhere it is emulated, and slower)."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: Mapping[str, Any] = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def choose_precision(precision: Precision, device: torch.device) -> str:
    """Accelerate's name of the precision: ``"no"`` (fp32), ``"bf16"`` or ``"fp16"``.

    Raises:
        UsageError: fp16 on something that is no CUDA device: its gradients would have no scaler.
    """
    if precision == "auto":
        return "bf16" if native_bf16(device) else "no"
    if precision == "fp16" and device.type != "cuda":
        raise UsageError(f"fp16 trains on CUDA devices, not on {device}", hint="choose bf16 or fp32")
    return "no" if precision == "fp32" else precision
