"""What searching costs: time of a picture side by side, memory, and the claim of 40 times."""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from personsearch import images
from personsearch.baselines.open import Where, open_searcher
from personsearch.errors import InputError
from personsearch.experiments.reproduction.records import number
from personsearch.experiments.reproduction.workshop import OURS, Workshop
from personsearch.model.network import capacity
from personsearch.model.searcher import choose_device
from personsearch.types import Array, Picture, Scene

ROUNDS = 3
"""How often each picture is looked at by each method; the quickest counts, as the others were disturbed."""
MEASURED = ("ours", "deep+idnet", "deep+bow", "acf+bow")


def speed_settings(shop: Workshop) -> dict[str, Any]:
    """On what it was measured."""
    chosen = choose_device(shop.asked.device)
    name = torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else chosen.type
    return {"timed": shop.size.timed, "device": name}


def speed(shop: Workshop) -> dict[str, Any]:
    """How many times faster our network is than Deep and then IDNet on everybody whom Deep found (5.3).

    The same pictures, one after the other with both, already decoded; the ratio is of the sums, its
    interval over pictures.
    """
    pictures = _pictures(shop)
    deep, idnet, ours = shop.detector("deep"), shop.embedder("idnet"), shop.ours
    boxes = [deep.detect(picture).boxes for picture in pictures]

    def both(picture: Picture) -> object:
        found = deep.detect(picture).boxes
        return idnet.embed(picture, found) if len(found) else None

    joint_ms = np.array([_quickest(ours.detect, picture) for picture in pictures])
    pair_ms = np.array([_quickest(both, picture) for picture in pictures])
    return {
        **ratio(pair_ms, joint_ms, shop.seed),
        "joint_ms": number(float(joint_ms.mean())),
        "pair_ms": number(float(pair_ms.mean())),
        "people_a_picture": number(float(np.mean([len(one) for one in boxes]))),
        "threads": torch.get_num_threads(),
        **speed_settings(shop),
    }


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


def _quickest(work: Callable[[Picture], object], picture: Picture) -> float:
    """Milliseconds that ``work`` takes with a picture."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work(picture)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def _scenes(shop: Workshop) -> tuple[Scene, ...]:
    """Pictures spread over the test half."""
    scenes = shop.data.scenes("test")
    return scenes[:: max(1, len(scenes) // shop.size.timed)][: shop.size.timed]


def _pictures(shop: Workshop) -> list[Picture]:
    return [images.load(_file(scene), name=scene.name) for scene in _scenes(shop)]


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
    found = {OURS: capacity(shop.ours.network)["all"]}
    for name, part in (("deep", shop.detector("deep")), ("idnet", shop.embedder("idnet"))):
        network = getattr(part, "network", None)
        if network is not None:
            found[name] = capacity(network)["all"]
    return found


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
