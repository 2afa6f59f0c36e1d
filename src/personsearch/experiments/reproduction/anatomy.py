"""Figure 4 from the network itself: what runs after what on a picture, with shapes and parameters."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from personsearch import images
from personsearch.errors import InputError
from personsearch.experiments.reproduction.workshop import Workshop
from personsearch.model.inputs import input_scale
from personsearch.model.network import PersonSearchNetwork, Targets, capacity
from personsearch.model.presets import ModelSettings, build_network
from personsearch.training.train import make_plan

_LAYERS = (nn.Conv2d, nn.Linear)


@dataclass(kw_only=True)
class Block:
    """Layers of one part that run one after the other on maps of one size.

    Attributes:
        part: ``trunk``, ``map`` (what others read of the trunk), ``proposals``, ``pooling`` or ``head``.
        name: of the block, as the network calls it.
        layers: convolutions and fully connected layers, in words.
        shape: of what comes out, without the batch: (channels, rows, columns) or (numbers,).
        parameters: weights of those layers.
        parents: numbers of the blocks whose results it reads; -1 is the picture.
        key: the network's own name of its last layer.
    """

    part: str
    name: str
    key: str = ""
    layers: list[str] = field(default_factory=list)
    shape: tuple[int, ...] = ()
    parameters: int = 0
    parents: list[int] = field(default_factory=list)


def anatomy(shop: Workshop) -> dict[str, Any]:
    """The network that is trained on these data, walked on a picture of their size."""
    settings = make_plan(shop.data.scenes("train"), shop.base()).settings.model
    scene = shop.data.scenes("test")[0]
    if scene.path is None:
        raise InputError(f"picture {scene.name} is missing", hint="is the data set unpacked whole?")
    size = images.read_size(scene.path)
    return {"preset": shop.size.training, "picture": list(size), **walk(settings, size)}


def walk(settings: ModelSettings, size: tuple[int, int]) -> dict[str, Any]:
    """Blocks in the order in which they run on a picture of ``size`` (width, height), and the losses.

    The network is built and run, once as it trains and once as it describes; nothing is written down
    beforehand, so another network gives another figure.
    """
    network = build_network(settings)
    scale = input_scale(size, settings.input)
    width, height = (max(1, round(side * scale)) for side in size)
    multiple = settings.input.multiple
    padded = (-(-height // multiple) * multiple, -(-width // multiple) * multiple)
    picture = torch.zeros(1, 3, *padded, requires_grad=True)
    # A box as tall as a third of the picture, for the losses: whose, does not matter.
    box = torch.tensor([[0.3 * width, 0.3 * height, 0.5 * width, 0.7 * height]])
    losses = _losses(network, picture, (height, width), box)
    network.eval()
    with _watched(network) as seen:
        maps = network.trunk(picture)
        for name, one in maps.items():  # what everybody reads of the trunk, by the name it goes by
            shape = tuple(one.shape[1:])
            seen.append(_Layer(name=f"map.{name}", kind="", shape=shape, parameters=0, made=one.grad_fn))
        network.proposals(picture, [(height, width)], maps)
        network.head(network.pooling(maps, [box]))
    blocks = merged(seen, _lists(network))
    return {
        "trunk": settings.trunk,
        "input": [3, *padded],
        "blocks": [dataclasses.asdict(block) for block in blocks],
        "maps": {name: [one.channels, one.stride] for name, one in network.trunk.layout.items()},
        "pools": [
            {"source": pool.source, "size": list(pool.size), "kind": pool.kind}
            for pool in settings.network.pools
        ],
        "anchors": settings.network.proposals.anchors,
        "identities": settings.identities,
        "losses": losses,
        "identity_loss": settings.network.losses.identity,
        "k": network.k,
        "similarity": settings.similarity,
        "parameters": capacity(network),
    }


def _losses(
    network: PersonSearchNetwork, picture: Tensor, size: tuple[int, int], box: Tensor
) -> dict[str, list[str]]:
    """What training minimises, of two pictures with one person each, and the layers that each loss reads.

    Two, because batch norm needs company.
    """
    network.train()
    target = Targets(box, torch.zeros(1, dtype=torch.long))
    with _watched(network) as seen:
        losses = network(picture.expand(2, -1, -1, -1), [size, size], [target, target])
    return {name: [seen[i].name for i in _sources(value.grad_fn, seen)] for name, value in losses.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Layer:
    """A layer that ran; ``made`` is the step of autograd that made what came out."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    made: Any


@contextmanager
def _watched(network: PersonSearchNetwork) -> Iterator[list[_Layer]]:
    """Notes every layer with weights as it runs, and what the pooling gives."""
    seen: list[_Layer] = []
    hooks = []

    def noting(name: str, module: nn.Module) -> Any:
        def note(_: nn.Module, __: Any, out: Any) -> None:
            if isinstance(out, Tensor):
                own = sum(p.numel() for p in module.parameters(recurse=False))
                kind, shape = _kind(module), tuple(out.shape[1:])
                seen.append(_Layer(name=name, kind=kind, shape=shape, parameters=own, made=out.grad_fn))

        return note

    for name, module in network.named_modules():
        if isinstance(module, _LAYERS) or name == "pooling":
            hooks.append(module.register_forward_hook(noting(name, module)))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def _sources(step: Any, seen: list[_Layer], *, own: bool = True) -> list[int]:
    """Numbers of the layers whose results reach autograd's ``step`` with no other layer between.

    Args:
        step: of autograd.
        seen: the layers that ran.
        own: whether ``step`` itself may be a layer's; else the search begins before it.
    """
    of = {layer.made: i for i, layer in enumerate(seen) if layer.made is not None}
    found: set[int] = set()
    open_ones = [step] if own else [before for before, _ in step.next_functions]
    known: set[Any] = set()
    while open_ones:
        here = open_ones.pop()
        if here is None or here in known:
            continue
        known.add(here)
        if here in of:
            found.add(of[here])
        else:
            open_ones += [before for before, _ in here.next_functions]
    return sorted(found)


def _kind(module: nn.Module) -> str:
    if isinstance(module, nn.Conv2d):
        stride = f" /{module.stride[0]}" if module.stride[0] != 1 else ""
        return f"{module.kernel_size[0]}x{module.kernel_size[1]} conv{stride}"
    return "fc" if isinstance(module, nn.Linear) else "RoI pooling"


def _lists(network: PersonSearchNetwork) -> set[str]:
    """Children of the trunk that are lists: each entry of theirs is a block of its own."""
    return {name for name, child in network.trunk.named_children() if isinstance(child, nn.ModuleList)}


def merged(seen: list[_Layer], lists: set[str]) -> list[Block]:
    """Layers of one block together: of the trunk those of one child and one map size, else each by itself."""
    blocks: list[Block] = []
    block_of: list[int] = []
    for layer in seen:
        part, name = _place(layer.name, lists)
        last = blocks[-1] if blocks else None
        same_map = last is not None and last.shape[1:] == layer.shape[1:]
        if last is None or part != "trunk" or (last.part, last.name) != (part, name) or not same_map:
            last = Block(part=part, name=name)
            blocks.append(last)
        last.layers += [layer.kind] if layer.kind else []
        last.shape, last.key = layer.shape, layer.name
        last.parameters += layer.parameters
        block_of.append(len(blocks) - 1)
    for i, layer in enumerate(seen):
        parents = {block_of[j] for j in _sources(layer.made, seen[:i], own=False)} or {-1}
        blocks[block_of[i]].parents = sorted({*blocks[block_of[i]].parents, *parents} - {block_of[i]})
    _number(blocks)
    return blocks


def _number(blocks: list[Block]) -> None:
    """Tell blocks of one name apart: VGG16's convolutions are five blocks, one for each map size."""
    names = [(block.part, block.name) for block in blocks]
    for part, name in {name for name in names if names.count(name) > 1}:
        same = [block for block in blocks if (block.part, block.name) == (part, name)]
        for number, block in enumerate(same, 1):
            block.name = f"{name} {number}"


def _place(name: str, lists: set[str]) -> tuple[str, str]:
    """Part and block of a layer by its dotted name.

    >>> _place("trunk.stages.1.0.first.0", {"stages"}), _place("trunk.convolutions.3", {"stages"})
    (('trunk', 'stages 1'), ('trunk', 'convolutions'))
    >>> _place("proposals.network.head.conv", set()), _place("head.fc6", set()), _place("pooling", set())
    (('proposals', 'conv'), ('head', 'fc6'), ('pooling', 'pooling'))
    """
    words = name.split(".")
    if words[0] != "trunk":
        return words[0], words[-1]
    return "trunk", f"{words[1]} {words[2]}" if words[1] in lists else words[1]
