"""What a GPU computes beside the processor, and how fast: parity, pictures a second, hours of the presets.

    python benchmarks/gpu.py --model RUN --data ROOT [--only parity accuracy speed hours]

``parity``: the same weights on both, asked the same, in float32 and in bfloat16, as an export is compared
with its network (``personsearch.model.export_parity``); and losses and gradients of one training step of
each stage, for which both are given the same draws. ``accuracy``: the benchmark's figures of that model on
the card. ``speed``: gallery pass and training step of each preset beside torchvision's detectors at the
same input size, with the share of the matrix-multiply peak that the same card reached in the same
process. Device time is waited for before every reading of the clock. A gallery pass is one decoded
picture at a time, as ``Searcher.detect`` has it. ``hours``: what ``train --dry-run`` says of the presets
on the data in ROOT (generated; ``personsearch dataset make``).

Writes ``benchmarks/results/gpu.json`` after each part; what failed is in there, and the exit code says so.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speed import IDENTITIES, gflop, made_up, people, scaled_size, settings_of, torchvision_model

from personsearch import images
from personsearch.datasets.open import open_dataset
from personsearch.experiments.benchmark import Protocol, run_benchmark
from personsearch.files import write_json
from personsearch.model import presets
from personsearch.model.checkpoint import load_searcher
from personsearch.model.export_parity import Tolerances, compare
from personsearch.model.folding import fold_norms
from personsearch.model.network import Targets
from personsearch.model.searcher import NetworkSearcher
from personsearch.training.presets import preset as training_preset
from personsearch.training.sanity import dry_run

RESULT = Path(__file__).parent / "results" / "gpu.json"
PRESETS = {"compact": 4, "vgg16": 2, "oim": 2, "resnet50": 5, "seqnet": 5}
"""And how many scenes a training step of theirs has."""
STEPS = ("compact", "resnet50", "vgg16")
HOURS = ("vgg16", "vgg16-authors", "oim", "seqnet", "resnet50")
CARD = "cuda"


def timed(work: Callable[[], Any], seconds: float) -> tuple[float, float, int]:
    """(quickest, median, rounds), the device waited for each time, after three rounds to warm up."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    taken: list[float] = []
    while len(taken) < 5 or sum(taken) < seconds:
        begun = time.perf_counter()
        work()
        torch.cuda.synchronize()
        taken.append(time.perf_counter() - begun)
    return min(taken), float(np.median(taken)), len(taken)


def peaks() -> dict[str, float]:
    """TFLOP/s of a large matrix product of each kind (float32 without and with TF32)."""
    found = {}
    for name, kind, loose in (
        ("fp32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bf16", torch.bfloat16, False),
    ):
        n = 8192
        torch.backends.cuda.matmul.allow_tf32 = loose
        a, b = (torch.randn(n, n, device=CARD, dtype=kind) for _ in range(2))
        best = timed(lambda a=a, b=b: a @ b, 0.3)[0]
        found[name] = round(2 * n**3 / best / 1e12, 1)
    torch.backends.cuda.matmul.allow_tf32 = False
    return found


@contextlib.contextmanager
def same_draws(seed: int) -> Iterator[None]:
    """Permutations and uniform numbers come from the processor, so that every device has the same."""
    source = torch.Generator().manual_seed(seed)
    kept = torch.randperm, torch.rand, torch.randint

    def here(function: Callable[..., Any]) -> Callable[..., Any]:
        def drawn(*args: Any, device: Any = None, generator: Any = None, **more: Any) -> Any:
            return function(*args, generator=source, **more).to(device or "cpu")

        return drawn

    torch.randperm, torch.rand, torch.randint = (here(function) for function in kept)
    try:
        yield
    finally:
        torch.randperm, torch.rand, torch.randint = kept


def batch_of(name: str, scenes: int, size: tuple[int, int], device: str) -> tuple[Any, Any, Any]:
    height, width = scaled_size(settings_of(name), *size)
    source = torch.Generator().manual_seed(1)
    pictures = torch.randn(scenes, 3, height, width, generator=source).to(device)
    labels = torch.tensor([3, -1, 17, -1, -1, 99], device=device)
    targets = [Targets(people(6, height, width).to(device), labels)] * scenes
    return pictures.contiguous(memory_format=torch.channels_last), [(height, width)] * scenes, targets


def one_step(
    name: str, device: str, precision: str, joint: bool
) -> tuple[dict[str, float], dict[str, torch.Tensor]]:
    """Losses and gradients of a first step; no dropout, whose draws are made inside of kernels."""
    torch.manual_seed(0)
    settings = settings_of(name)
    head = dataclasses.replace(settings.network.head, dropout=0.0)
    settings = dataclasses.replace(settings, network=dataclasses.replace(settings.network, head=head))
    network = presets.build_network(settings).to(memory_format=torch.channels_last).train()
    network.to(device)
    given = batch_of(name, 2, (640, 480), device)
    with same_draws(2), torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
        losses = network(*given, joint)
    torch.stack([value.float() for value in losses.values()]).sum().backward()
    gradients = {
        n: p.grad.detach().cpu().double() for n, p in network.named_parameters() if p.grad is not None
    }
    return {n: float(v.detach()) for n, v in losses.items()}, gradients


def step_parity(name: str, joint: bool) -> dict[str, Any]:
    """Stage 2 also depends on which of nearly equal proposals come first; stage 1 takes given boxes."""
    said: dict[str, Any] = {}
    losses, gradients = one_step(name, "cpu", "fp32", joint)
    for precision in ("fp32", "bf16"):
        theirs, other = one_step(name, CARD, precision, joint)
        both = [(torch.cat([g[n].flatten() for n in gradients])) for g in (gradients, other)]
        said[precision] = {
            "losses on the processor": {n: round(v, 6) for n, v in losses.items()},
            "losses on the card": {n: round(v, 6) for n, v in theirs.items()},
            "gradient, relative difference": float((both[0] - both[1]).norm() / both[0].norm()),
            "gradient, cosine": float(torch.dot(*both) / both[0].norm() / both[1].norm()),
        }
    return said


def parity(model: Path, data: Path, count: int) -> dict[str, Any]:
    scenes = open_dataset("synthetic", data).scenes("test")
    pictures = [images.load(s.path, name=s.name) for s in scenes[:: max(1, len(scenes) // count)]]
    ours = load_searcher(model, "cpu")
    said: dict[str, Any] = {"fingerprint": ours.fingerprint}
    for precision in ("fp32", "bf16"):
        theirs = load_searcher(model, CARD, precision=precision)
        found = compare(ours, theirs, pictures)
        said[f"pass, {precision}"] = {
            **found.to_json(),
            "complaints at export's tolerances": found.complaints(Tolerances()),
        }
    for name in STEPS:
        said[f"stage 1, {name}"] = step_parity(name, joint=False)
        said[f"stage 2, {name}"] = step_parity(name, joint=True)
    return said


def accuracy(model: Path, data: Path) -> dict[str, Any]:
    """What the benchmark says of the same model on the card: the measure of bfloat16 that matters."""
    said: dict[str, Any] = {}
    dataset = open_dataset("synthetic", data)
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("fp32", "bf16"):
            searcher = load_searcher(model, CARD, precision=precision)
            begun = time.perf_counter()
            found = run_benchmark(searcher, dataset, Protocol(gallery_size=50), Path(folder) / precision)
            said[precision] = {
                **{name: round(interval.mean, 4) for name, interval in found.intervals.items()},
                "detection recall": round(found.detection.recall, 4),
                "seconds": round(time.perf_counter() - begun, 1),
            }
    return said


def measured(
    work: Callable[[], Any], count: int, flop: float, peak: float, seconds: float
) -> dict[str, float]:
    torch.cuda.reset_peak_memory_stats()
    best, median, rounds = timed(work, seconds)
    return {
        "pictures": count,
        "ms": round(1000 * best, 2),
        "median ms": round(1000 * median, 2),
        "rounds": rounds,
        "pictures a second": round(count / best, 1),
        "gflop": round(flop, 1),
        "share of peak": round(flop / best / 1e3 / peak, 3),
        "peak mebibytes": torch.cuda.max_memory_allocated() // 2**20,
    }


def gallery_pass(name: str, peak: dict[str, float], seconds: float) -> dict[str, Any]:
    settings = settings_of(name)
    picture = made_up(640, 480)
    said = {}
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        searcher = NetworkSearcher(
            fold_norms(presets.build_network(settings)),
            settings,
            fingerprint="untrained",
            device=CARD,
            precision=precision,
        )
        flop = gflop(lambda s=searcher: s.detect(picture))
        said[precision] = measured(lambda s=searcher: s.detect(picture), 1, flop, peak[precision], seconds)
    return said


def stepping(
    losses: Callable[[], dict[str, torch.Tensor]], parameters: Any, precision: str
) -> Callable[[], None]:
    optimizer = torch.optim.SGD([p for p in parameters if p.requires_grad], lr=1e-6, momentum=0.9)

    def work() -> None:
        optimizer.zero_grad()
        with torch.autocast(CARD, torch.bfloat16, enabled=precision == "bf16"):
            found = losses()
        torch.stack([value.float() for value in found.values()]).sum().backward()
        optimizer.step()

    return work


def training_step(name: str, scenes: int, peak: dict[str, float], seconds: float) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        network = presets.build_network(settings_of(name)).to(memory_format=torch.channels_last).train()
        network.to(CARD)
        given = batch_of(name, scenes, (640, 480), CARD)
        work = stepping(lambda n=network, g=given: n(*g), network.parameters(), precision)
        said[precision] = measured(work, scenes, gflop(work), peak[precision], seconds)
        said["input"] = list(given[0].shape[2:])
    return said


def their_step(name: str, like: str, scenes: int, peak: dict[str, float], seconds: float) -> dict[str, Any]:
    """torchvision's, at the input size of our preset ``like``; stem and first stage stay, as with ours."""
    said: dict[str, Any] = {}
    for precision in ("fp32", "bf16"):
        model = torchvision_model(name, settings_of(like)).to(memory_format=torch.channels_last).train()
        if "resnet" in name:
            for part in ("conv1", "bn1", "layer1"):
                getattr(model.backbone.body, part).requires_grad_(False)
        model.to(CARD)
        pictures = [torch.rand(3, 480, 640, device=CARD) for _ in range(scenes)]
        labels = torch.ones(6, dtype=torch.int64, device=CARD)
        targets = [{"boxes": people(6, 480, 640).to(CARD), "labels": labels}] * scenes
        work = stepping(lambda m=model, p=pictures, t=targets: m(p, t), model.parameters(), precision)
        said[precision] = measured(work, scenes, gflop(work), peak[precision], seconds)
    return said


def speed(seconds: float) -> dict[str, Any]:
    peak = peaks()
    said: dict[str, Any] = {"peak TFLOP/s": peak}
    for name, scenes in PRESETS.items():
        said[f"pass: {name}"] = gallery_pass(name, peak, seconds)
        said[f"step: {name}"] = training_step(name, scenes, peak, seconds)
        torch.cuda.empty_cache()
    for name in ("resnet50", "seqnet"):
        said[f"step: fasterrcnn_resnet50_fpn at the size of {name}"] = their_step(
            "fasterrcnn_resnet50_fpn", name, PRESETS[name], peak, seconds
        )
    return said


def hours(data: Path) -> dict[str, Any]:
    """``--dry-run`` of each preset in bf16.

    ImageNet's weights cannot be had everywhere, and without them frozen norms refuse to be trained; those
    presets are tried with batch norm, which costs a little more than a frozen one.
    """
    scenes = open_dataset("synthetic", data).scenes("train")
    said = {}
    for name in HOURS:
        settings = dataclasses.replace(training_preset(name), precision="bf16")
        if settings.model.trunk.startswith("resnet") and settings.model.trunk_options.norm == "frozen":
            options = dataclasses.replace(settings.model.trunk_options, norm="batch")
            model = dataclasses.replace(settings.model, trunk_options=options)
            settings = dataclasses.replace(settings, model=model)
        tried = dry_run(scenes, settings, device=CARD)
        said[name] = {
            "precision": tried.precision,
            "norm": settings.model.trunk_options.norm if "resnet" in settings.model.trunk else "none",
            "identities": tried.identities,
            "hours": round(sum(stage.hours for stage in tried.stages), 2),
            "stages": [dataclasses.asdict(stage) for stage in tried.stages],
        }
        torch.cuda.empty_cache()
    return said


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="trained model folder, for parity")
    parser.add_argument("--data", type=Path, required=True, help="generated data")
    parser.add_argument("--only", nargs="*", default=["parity", "accuracy", "speed", "hours"])
    parser.add_argument("--pictures", type=int, default=40, help="compared by parity")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("error: there is no CUDA device here")
    torch.backends.cudnn.allow_tf32 = False
    said: dict[str, Any] = {
        "torch": torch.__version__,
        "card": torch.cuda.get_device_name(),
        "identities": IDENTITIES,
    }
    if given.out.exists() and set(given.only) < {"parity", "accuracy", "speed", "hours"}:
        before = json.loads(given.out.read_text())
        if any(before.get(key) != value for key, value in said.items()):
            sys.exit(f"error: {given.out} is of another card or torch; choose another --out")
        said = before
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "parity": lambda: parity(given.model, given.data, given.pictures),
        "accuracy": lambda: accuracy(given.model, given.data),
        "speed": lambda: speed(given.seconds),
        "hours": lambda: hours(given.data),
    }
    failed = False
    for name in given.only:
        begun = time.perf_counter()
        try:
            said[name] = parts[name]()
        except Exception:  # the next part may still tell something; the card is lent for minutes
            said[name], failed = {"failed": traceback.format_exc()}, True
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
        given.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(given.out, said)
    print(json.dumps(said, indent=1))
    sys.exit(failed)


if __name__ == "__main__":
    main()
