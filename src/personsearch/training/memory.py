"""How the trunk is computed, which changes time and memory and not the result."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, distributed, nn
from torch.utils.checkpoint import checkpoint

SEGMENTS = 4
"""Into so many pieces a plain chain of layers is cut, of which only the ends are kept."""


def recompute_blocks(trunk: nn.Module) -> int:
    """Let the trunk's blocks keep only their inputs, and be computed again for the gradient.

    A long chain of plain layers (vgg16) is cut into :data:`SEGMENTS`. Names of weights stay as
    they are.

    Returns:
        How many blocks and chains there are.
    """
    pieces = _pieces(trunk)
    for piece in pieces:
        if isinstance(piece, nn.Sequential) and len(piece) > 2 * SEGMENTS:
            piece.forward = partial(_in_segments, list(piece))  # type: ignore[method-assign]
        else:
            piece.forward = _recomputed(piece.forward, piece)
    return len(pieces)


def _pieces(module: nn.Module, *, listed: bool = False) -> list[nn.Module]:
    """Blocks that stand in a chain or list, and chains of plain layers."""
    children = list(module.children())
    chain = isinstance(module, nn.Sequential)
    if not children:
        return []
    if (chain and not any(list(child.children()) for child in children)) or (listed and not chain):
        return [module]
    lists = chain or isinstance(module, nn.ModuleList)
    return [piece for child in children for piece in _pieces(child, listed=lists)]


def _recomputed(forward: Callable[..., Any], module: nn.Module) -> Callable[..., Any]:
    def again(*inputs: Any) -> Any:
        # A piece without a gradient keeps nothing anyhow: the frozen layers of a trunk.
        if not torch.is_grad_enabled() or not (
            any(isinstance(x, Tensor) and x.requires_grad for x in inputs)
            or any(p.requires_grad for p in module.parameters())
        ):
            return forward(*inputs)
        return checkpoint(
            forward, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), _once(module))
        )

    return again


def _in_segments(layers: list[nn.Module], x: Tensor) -> Tensor:
    edges = [round(i * len(layers) / SEGMENTS) for i in range(SEGMENTS + 1)]
    for first, last in itertools.pairwise(edges):
        segment = nn.Sequential(*layers[first:last])
        x = cast(Tensor, _recomputed(segment.forward, segment)(x))
    return x


@contextmanager
def _once(module: nn.Module) -> Iterator[None]:
    """Batch norms inside do not take a batch into their statistics that they have seen already."""
    norms = [
        m
        for m in module.modules()
        if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training and m.track_running_stats
    ]
    before = [(norm, norm.momentum, cast(Tensor, norm.num_batches_tracked).clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum, batches in before:
            norm.momentum = momentum
            cast(Tensor, norm.num_batches_tracked).copy_(batches)


class SynchronisedNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm over the samples of all processes, on any device.

    torch's own knows GPUs only. Processes may have different numbers of samples.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of places a sample: torch's base class leaves it to its children to refuse some."""

    def forward(self, x: Tensor) -> Tensor:
        """As the norm it stands for."""
        if not self.training:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            wide = x.float()
            axes = [0, *range(2, x.ndim)]
            count = wide.new_full((1,), wide.numel() / wide.shape[1])
            mine = torch.cat([wide.sum(axes), (wide * wide).sum(axes), count])
            total, squares, count = _summed(mine).split_with_sizes([wide.shape[1], wide.shape[1], 1])
            mean = total / count
            variance = (squares / count - mean * mean).clamp_min(0)
            if self.track_running_stats:
                self._take(mean.detach(), (variance * count / (count - 1).clamp_min(1)).detach())
            shape = (1, -1, *(1 for _ in axes[1:]))
            normed = (wide - mean.view(shape)) * torch.rsqrt(variance + self.eps).view(shape)
            return (normed * self.weight.view(shape) + self.bias.view(shape)).to(x.dtype)

    @torch.no_grad()
    def _take(self, mean: Tensor, variance: Tensor) -> None:
        """Into the running statistics."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked += 1


class _Sum(torch.autograd.Function):
    """A sum over all processes. Each of them uses it, so each one's gradient belongs to it."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        distributed.all_reduce(total)
        return total


def _summed(values: Tensor) -> Tensor:
    """Over all processes, with a gradient."""
    if not (distributed.is_initialized() and distributed.get_world_size() > 1):
        return values
    return cast(Tensor, _Sum.apply(values))


def synchronise_norms(network: nn.Module) -> None:
    """Put a :class:`SynchronisedNorm` in the place of every batch norm; names and weights stay."""
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                norm = SynchronisedNorm(
                    child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
                )
                norm.__dict__["_parameters"] = child._parameters
                norm.__dict__["_buffers"] = child._buffers
                norm.training = child.training
                setattr(module, name, norm)
