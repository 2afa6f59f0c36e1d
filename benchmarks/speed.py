"""How fast is each preset beside torchvision's detectors, and what share of the machine does it use?

    python benchmarks/speed.py [--model RUN ...] [--presets compact vgg16 ...] [--picture 640x480]

Pictures a second, peak memory and share of the matrix-multiply peak. Gallery pass: one decoded
picture to boxes, scores and embeddings, as ``Searcher.detect`` does it. Training step: forward,
backward and an SGD step on a batch of made-up pictures with 6 people each. Each is measured in a
process of its own; the machine must be quiet. torchvision's detectors see the input size of the
``compact`` preset (``--like`` another). ``--model`` measures the gallery pass of trained
weights: an untrained network hands on as many boxes as it may, a trained one those of people. Of
torchvision's detectors, whose weights cannot be had everywhere, ``--teach ROOT`` trains the small
one for 150 steps on a generated data set, so that its proposals, too, are those of people;
its weights are kept in ``--taught FILE`` for the next time.
``convolutions`` is the share of the peak within the convolutions' own time, by torch's profiler.
Writes ``benchmarks/results/speed.json``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from personsearch.model import presets
from personsearch.model.checkpoint import load_searcher
from personsearch.model.folding import fold_norms
from personsearch.model.inputs import input_scale
from personsearch.model.network import Targets, capacity
from personsearch.model.searcher import NetworkSearcher
from personsearch.types import Picture

RESULT = Path(__file__).parent / "results" / "speed.json"
PRESETS = ("compact", "vgg16", "resnet50", "oim", "seqnet")
TORCHVISION = ("fasterrcnn_mobilenet_v3_large_fpn", "fasterrcnn_resnet50_fpn")
IDENTITIES = 5532


def quickest(work: Callable[[], Any], seconds: float) -> tuple[float, float, int]:
    """(quickest, median, rounds) of as many rounds as fit, three at least, after one to warm up."""
    work()
    taken: list[float] = []
    while len(taken) < 3 or sum(taken) < seconds:
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken), float(np.median(taken)), len(taken)


def matmul_peak() -> float:
    """GFLOP/s of the best float32 matrix product of a few shapes."""
    best = 0.0
    for n in (768, 1024, 1536):
        a, b = torch.randn(n, n), torch.randn(n, n)
        best = max(best, 2 * n**3 / quickest(lambda a=a, b=b: a @ b, 0.5)[0] / 1e9)
    return best


def gflop(work: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 1e9


def in_convolutions(work: Callable[[], Any], peak: float, rounds: int = 20) -> dict[str, float]:
    """Seconds that a pass spends in its convolutions, and the share of the peak that they reach.

    The quickest of the rounds, and the best of ``peak``, measured before, and the peaks before and after
    them: a machine that was busy for a moment must change neither.
    """
    with FlopCounterMode(display=False) as counter:
        work()
    flop = sum(n for op, n in counter.get_flop_counts()["Global"].items() if "convolution" in str(op)) / 1e9
    names = ("aten::mkldnn_convolution", "aten::_slow_conv2d_forward", "aten::thnn_conv2d")
    before, taken = matmul_peak(), []
    for _ in range(rounds):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
            work()
        rows = [row for row in profiler.key_averages() if row.key in names]
        taken.append(sum(row.self_cpu_time_total for row in rows) / 1e6)
    best, peak = min(taken), max(peak, before, matmul_peak())
    return {
        "gflop": round(flop, 2),
        "seconds": round(best, 4),
        "median": round(float(np.median(taken)), 4),
        "rounds": rounds,
        "matmul gflop/s": round(peak, 1),
        "share of peak": round(flop / best / peak, 2) if best else 0.0,
    }


def made_up(width: int, height: int) -> Picture:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (height // 20 + 1, width // 20 + 1, 3), dtype=np.uint8)
    pixels = coarse.repeat(20, axis=0).repeat(20, axis=1)[:height, :width].astype(np.int64)
    noisy = np.clip(pixels + rng.integers(-20, 20, pixels.shape), 0, 255)
    return Picture(noisy.astype(np.uint8), name="made up")


def settings_of(name: str) -> presets.ModelSettings:
    """The preset; large ones with free norms, because there are no ImageNet weights to keep."""
    return dataclasses.replace(getattr(presets, name)(), identities=IDENTITIES)


def gallery_pass(searcher: NetworkSearcher, picture: Picture, seconds: float) -> dict[str, Any]:
    """The whole pass, and its parts on their own, with the share of the peak each reaches."""
    peak = matmul_peak()
    best, median, rounds = quickest(lambda: searcher.detect(picture), seconds)
    network = searcher.network
    with torch.inference_mode():
        images, sizes, _ = searcher._input(picture)
        maps = network.trunk(images)
        proposals, _ = network.proposals(images, sizes, maps)
        head = network.head
        pooled = network.pooling(maps, proposals)
        parts: dict[str, Callable[[], Any]] = {
            "input": lambda: searcher._input(picture),
            "trunk": lambda: network.trunk(images),
            "proposals": lambda: network.proposals(images, sizes, maps),
            "pooling": lambda: network.pooling(maps, proposals),
            "head": lambda: head(pooled, classify=head.person is None),
        }
        table = {}
        for name, work in parts.items():
            taken, flop = quickest(work, seconds / 8)[0], gflop(work)
            table[name] = {
                "seconds": round(taken, 4),
                "gflop": round(flop, 2),
                "share of peak": round(flop / taken / peak, 2),
            }
        total = gflop(lambda: network.detect(images, sizes))
        convolutions = in_convolutions(lambda: network.detect(images, sizes), peak)
    return {
        "seconds": round(best, 4),
        "median": round(median, 4),
        "rounds": rounds,
        "pictures a second": round(1 / best, 2),
        "input": list(images.shape[2:]),
        "proposals": len(proposals[0]),
        "people kept": len(searcher.detect(picture)),
        "gflop": round(total, 2),
        "share of peak": round(total / best / peak, 2),
        "matmul gflop/s": round(peak, 1),
        "convolutions": convolutions,
        "parts": table,
    }


def scaled_size(settings: presets.ModelSettings, width: int, height: int) -> tuple[int, int]:
    """(height, width) of the padded input."""
    scale, multiple = input_scale((width, height), settings.input), settings.input.multiple
    sides = round(height * scale), round(width * scale)
    return -(-sides[0] // multiple) * multiple, -(-sides[1] // multiple) * multiple


def people(count: int, height: int, width: int) -> torch.Tensor:
    """``count`` boxes of people in a row."""
    left = torch.linspace(0.02, 0.82, count) * width
    tall = torch.full_like(left, 0.55 * height)
    return torch.stack([left, 0.3 * tall, left + 0.4 * tall, 1.3 * tall], dim=1)


def training_step(
    step: Callable[[], torch.Tensor], parameters: Any, batch: int, seconds: float
) -> dict[str, Any]:
    optimizer = torch.optim.SGD([p for p in parameters if p.requires_grad], lr=1e-5, momentum=0.9)

    def work() -> None:
        optimizer.zero_grad()
        step().backward()
        optimizer.step()

    peak = matmul_peak()
    flop = gflop(work)
    best, median, rounds = quickest(work, seconds)
    return {
        "batch": batch,
        "seconds": round(best, 3),
        "median": round(median, 3),
        "rounds": rounds,
        "pictures a second": round(batch / best, 3),
        "gflop": round(flop, 1),
        "share of peak": round(flop / best / peak, 2),
        "matmul gflop/s": round(peak, 1),
    }


def our_step(name: str, size: tuple[int, int], batch: int, seconds: float) -> dict[str, Any]:
    settings = settings_of(name)
    network = presets.build_network(settings).to(memory_format=torch.channels_last).train()
    height, width = scaled_size(settings, *size)
    images = torch.randn(batch, 3, height, width).contiguous(memory_format=torch.channels_last)
    targets = [Targets(people(6, height, width), torch.tensor([3, -1, 17, -1, -1, 99]))] * batch

    def step() -> torch.Tensor:
        losses = network(images, [(height, width)] * batch, targets)
        return torch.stack(list(losses.values())).sum()

    said = training_step(step, network.parameters(), batch, seconds)
    return {**said, "input": [height, width], "parameters": capacity(network)}


def torchvision_model(name: str, like: presets.ModelSettings) -> Any:
    from torchvision.models import detection

    source = like.input
    sides = {"min_size": source.short_side, "max_size": source.long_side}
    return getattr(detection, name)(weights=None, weights_backbone=None, num_classes=2, **sides)


def teach(model: Any, root: Path, kept: Path, steps: int = 150) -> None:
    """Show torchvision's detector generated people until its proposals are mostly of them."""
    from safetensors.torch import load_file, save_file

    from personsearch import images
    from personsearch.datasets.open import open_dataset

    if kept.exists():
        model.load_state_dict(load_file(kept))
        return
    scenes = [s for s in open_dataset("synthetic", root).scenes("train") if len(s)]
    rng = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-4, fused=True)
    model.train()
    for _ in range(steps):
        chosen = [scenes[i] for i in rng.integers(len(scenes), size=2)]
        batch = [torch.from_numpy(images.load(s.path).pixels).permute(2, 0, 1) / 255 for s in chosen]
        boxes = [torch.from_numpy(s.boxes) for s in chosen]
        targets = [{"boxes": b, "labels": torch.ones(len(b), dtype=torch.int64)} for b in boxes]
        optimizer.zero_grad()
        torch.stack(list(model(batch, targets).values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
    kept.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, kept)


def their_pass(
    name: str,
    like: presets.ModelSettings,
    pixels: np.ndarray[Any, Any],
    seconds: float,
    root: str = "",
    kept: str = "",
) -> dict[str, Any]:
    model = torchvision_model(name, like).to(memory_format=torch.channels_last)
    if root:
        teach(model, Path(root), Path(kept))
    model.eval()

    @torch.inference_mode()
    def work() -> Any:
        return model([torch.from_numpy(pixels).permute(2, 0, 1).float() / 255])

    def said() -> dict[str, Any]:
        peak, flop = matmul_peak(), gflop(work)
        best, median, rounds = quickest(work, seconds)
        return {
            "seconds": round(best, 4),
            "median": round(median, 4),
            "rounds": rounds,
            "pictures a second": round(1 / best, 2),
            "gflop": round(flop, 2),
            "share of peak": round(flop / best / peak, 2),
            "matmul gflop/s": round(peak, 1),
        }

    if root:
        proposed: list[int] = []
        model.rpn.register_forward_hook(lambda module, given, out: proposed.append(len(out[0][0])))
        found = work()
        confident = int((found[0]["scores"] > 0.5).sum())
        return {**said(), "proposals": proposed[0], "people over 0.5": confident}
    shipped = said()
    # Without weights a thousand proposals reach the head; of a trained detector's, which drop
    # weak ones, perhaps a hundred do. The truth lies between; this is the lower end.
    model.rpn._post_nms_top_n["testing"] = 100
    return {**shipped, "with 100 proposals": said()}


def their_step(
    name: str, like: presets.ModelSettings, size: tuple[int, int], batch: int, seconds: float
) -> dict[str, Any]:
    """As many layers learn as with ImageNet weights: stem and first stage stay."""
    model = torchvision_model(name, like).to(memory_format=torch.channels_last).train()
    if "resnet" in name:
        for part in ("conv1", "bn1", "layer1"):
            getattr(model.backbone.body, part).requires_grad_(False)
    width, height = size
    images = [torch.rand(3, height, width) for _ in range(batch)]
    targets = [{"boxes": people(6, height, width), "labels": torch.ones(6, dtype=torch.int64)}] * batch

    def step() -> torch.Tensor:
        return torch.stack(list(model(images, targets).values())).sum()

    return training_step(step, model.parameters(), batch, seconds)


def shown(job: dict[str, Any]) -> Picture:
    """The picture of gallery passes: a photo where one was given, else made-up patches."""
    if not job["photo"]:
        return made_up(*job["size"])
    from personsearch import images

    return images.load(Path(job["photo"]))


def one(job: dict[str, Any]) -> dict[str, Any]:
    """A single measurement, in this process."""
    torch.manual_seed(0)
    torch.set_num_threads(job["threads"])
    size, seconds, name = tuple(job["size"]), job["seconds"], job["name"]
    if job["what"] in ("their pass", "their taught pass"):
        taught = job["teach"] if job["what"] == "their taught pass" else ""
        found = their_pass(name, settings_of(job["like"]), shown(job).pixels, seconds, taught, job["taught"])
    elif job["what"] == "their step":
        found = their_step(name, settings_of(job["like"]), size, job["batch"], seconds)
    elif job["what"] == "step":
        found = our_step(name, size, job["batch"], seconds)
    else:
        if job["what"] == "trained pass":
            searcher = load_searcher(name, "cpu", precision=job["precision"])
        else:
            settings = settings_of(name)
            network = fold_norms(presets.build_network(settings))
            searcher = NetworkSearcher(
                network, settings, fingerprint="untrained", device="cpu", precision=job["precision"]
            )
        found = gallery_pass(searcher, shown(job), seconds)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {**found, "peak mebibytes": peak}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--presets", nargs="*", default=list(PRESETS))
    parser.add_argument("--model", nargs="*", default=[], help="trained model folders: their gallery pass")
    parser.add_argument("--photo", default="", help="a picture for them; made-up patches otherwise")
    parser.add_argument("--teach", default="", help="generated data for torchvision's small detector")
    parser.add_argument(
        "--taught", default="runs/benchmark/taught.safetensors", help="its weights are kept here"
    )
    parser.add_argument("--picture", default="640x480")
    parser.add_argument("--like", default="compact", help="whose input size torchvision's detectors see")
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"), help="of gallery passes")
    parser.add_argument("--batch", type=int, default=2, help="pictures a training step; 0 for no steps")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--out", type=Path, default=RESULT)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        print(json.dumps(one(json.loads(given.job))))
        return
    wanted = [("pass", name) for name in given.presets] + [("trained pass", name) for name in given.model]
    wanted += [("their pass", name) for name in TORCHVISION]
    if given.teach:
        wanted.append(("their taught pass", TORCHVISION[0]))
    if given.batch:
        wanted += [("step", name) for name in given.presets] + [("their step", name) for name in TORCHVISION]
    results: dict[str, Any] = {}
    for what, name in wanted:
        job = {
            "what": what,
            "name": name,
            "size": [int(side) for side in given.picture.split("x")],
            "like": given.like,
            "photo": given.photo,
            "teach": given.teach,
            "taught": given.taught,
            "precision": given.precision,
            "batch": given.batch,
            "seconds": given.seconds,
            "threads": given.threads,
        }
        command = [sys.executable, __file__, "--job", json.dumps(job)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        results[f"{what}: {Path(name).name}"] = json.loads(done.stdout)
        print(json.dumps({f"{what}: {Path(name).name}": results[f"{what}: {Path(name).name}"]}), flush=True)
    said = {
        "torch": torch.__version__,
        "processor": platform.processor() or platform.machine(),
        "threads": given.threads,
        "load before": os.getloadavg()[0],
        "picture": given.picture,
        "precision": given.precision,
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps({**said, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
