"""What searching costs: time of a picture side by side, memory, and the claim of 40 times."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from personsearch import images
from personsearch.baselines.open import Where, open_searcher
from personsearch.baselines.two_stage import Detector
from personsearch.errors import InputError
from personsearch.experiments.assembled import Stopwatch, timed_scenes
from personsearch.experiments.baseline_table import COSTS
from personsearch.experiments.reproduction.records import interval_record, number
from personsearch.experiments.reproduction.workshop import OURS, Workshop
from personsearch.experiments.timing import ROUNDS
from personsearch.model.network import capacity
from personsearch.model.presets import ModelSettings, build_network
from personsearch.model.searcher import NetworkModel, choose_device
from personsearch.ranking.bootstrap import mean_interval
from personsearch.types import Array, Detections, Scene

MEASURED = ("ours", "deep+idnet", "deep+bow", "acf+bow")


def speed_settings(shop: Workshop) -> dict[str, Any]:
    """On what it was measured."""
    chosen = choose_device(shop.asked.device)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else chosen.type
    return {"timed": shop.size.timed, "device": name, "rounds": ROUNDS}


class _Looking:
    """What a detector finds in the pictures that are timed, and in no others."""

    def __init__(self, detector: Detector, scenes: Sequence[Scene]) -> None:
        self._seen = {
            scene.name: detector.detect(images.load(_file(scene), name=scene.name)) for scene in scenes
        }

    def detections(self, name: str) -> Detections:
        """The people in the picture called ``name``."""
        return self._seen[name]


def speed(shop: Workshop) -> dict[str, Any]:
    """How many times faster our network is than Deep and then IDNet on everybody whom Deep found (5.3).

    The same pictures, already decoded; the ratio is of the sums, its interval over pictures. The times are
    those of table 2: whichever of the two stages comes first measures them.
    """
    scenes = _scenes(shop)
    deep, idnet = shop.detector("deep"), shop.embedder("idnet")
    seen = _Looking(deep, scenes)
    watch = Stopwatch(
        shop.features / COSTS,
        scenes,
        {"deep": seen},
        dataset=shop.data.name,
        device=shop.asked.device,
        progress=shop.progress,
    )
    people = [len(seen.detections(scene.name)) for scene in scenes]
    asked = {
        OURS: watch.detecting(shop.ours),
        "find": watch.detecting(deep),
        "describe": watch.describing("deep", deep, idnet),
    }
    times = watch.times(asked)
    joint_ms, pair_ms = times[OURS], times["find"] + times["describe"]
    return {
        **ratio(pair_ms, joint_ms, shop.seed),
        "joint_ms": number(float(joint_ms.mean())),
        "pair_ms": number(float(pair_ms.mean())),
        "joint": _spread(joint_ms, shop.seed),
        "pair": _spread(pair_ms, shop.seed),
        "people_a_picture": number(float(np.mean(people))),
        "threads": torch.get_num_threads(),
        **speed_settings(shop),
    }


def _spread(each: Array, seed: int) -> dict[str, float | None]:
    """Mean milliseconds with the interval over pictures."""
    return interval_record(mean_interval(each, np.random.default_rng(seed)))


def ratio(slow: Array, quick: Array, seed: int, *, draws: int = 2000) -> dict[str, Any]:
    """``slow`` over ``quick``, sums over pictures, with its bootstrap interval over pictures."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(slow), size=(draws, len(slow)))
    drawn = slow[rows].sum(axis=1) / quick[rows].sum(axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return {
        "ratio": number(float(slow.sum() / quick.sum())),
        "low": number(float(low)),
        "high": number(float(high)),
        "n": len(slow),
    }


def _scenes(shop: Workshop) -> tuple[Scene, ...]:
    """Pictures spread over the test half."""
    return tuple(timed_scenes(shop.data.scenes("test"), shop.size.timed))


def _file(scene: Scene) -> Path:
    if scene.path is None:
        raise InputError(f"picture {scene.name} is missing", hint="is the data set unpacked whole?")
    return scene.path


def cost(shop: Workshop) -> dict[str, Any]:
    """Parameters of the networks, and the memory that each method needs in a process of its own."""
    files = [(scene.name, str(_file(scene))) for scene in _scenes(shop)[:5]]
    rows = {}
    for method in shop.progress(MEASURED, "memory of methods", total=len(MEASURED)):
        name = str(shop.our_folder) if method == OURS else method
        rows[method] = peak_memory(name, shop.parts, shop.asked.device, files)
    return {"memory_mib": rows, "parameters": _parameters(shop)}


def _parameters(shop: Workshop) -> dict[str, int]:
    """Weights of the networks as they are trained: a searcher folds its norms away, figure 4 shows them."""
    found = {OURS: trained_weights(shop.ours.settings)}
    for name, part in (("deep", shop.detector("deep")), ("idnet", shop.embedder("idnet"))):
        if isinstance(part, NetworkModel):
            found[name] = trained_weights(part.settings)
    return found


def trained_weights(settings: ModelSettings) -> int:
    """How many weights a network of these settings has before its norms are folded into its layers."""
    with torch.device("meta"):
        return capacity(build_network(settings))["all"]


def peak_memory(name: str, parts: Path, device: str, files: list[tuple[str, str]]) -> float | None:
    """MiB that opening a searcher and looking at a few pictures adds to a process with everything imported.

    On a GPU it is that of the card. None where the system does not tell (Windows).
    """
    if sys.platform == "win32" and choose_device(device).type != "cuda":
        return None
    # A process of its own: the largest memory of this one was long since reached in training.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_look, args=(theirs, name, parts, device, files))
    process.start()
    theirs.close()
    try:
        found = ours.recv()
    except EOFError:
        found = None
    process.join()
    return None if found is None else number(float(found))


def _look(answer: Any, name: str, parts: Path, device: str, files: list[tuple[str, str]]) -> None:
    """In the other process: open, look, answer."""
    pictures = [images.load(file, name=said) for said, file in files]
    before = _resident()
    searcher = open_searcher(name, Where(parts=parts, device=device))
    for picture in pictures:
        searcher.detect(picture)
    if choose_device(device).type == "cuda":
        answer.send(torch.cuda.max_memory_allocated() / 2**20)
    else:
        answer.send(_resident() - before)


def _resident() -> float:
    """Largest resident memory of this process so far, MiB."""
    if sys.platform == "linux":
        # Not ru_maxrss: a child process inherits its parent's there, through fork and exec.
        lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
        return int(kilobytes) / 1024
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / (2**20 if sys.platform == "darwin" else 1024)
