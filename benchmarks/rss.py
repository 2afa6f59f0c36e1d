"""RSS at thousands of classes: all C+1 scores, or only the K that each RoI has drawn?

    python benchmarks/rss.py [--classes 1000 2401 5533 20001] [--rois 128] [--k 100]

One loss forward and backward, from embeddings to the gradients of embeddings and classifier,
both ways on the same numbers; and the draw alone, by one key a class and by rejection. What
counts are the ratios: the network takes the faster way by size (``GATHER_FROM``,
``REJECTION_FROM`` of ``model/losses/rss.py``). Writes ``benchmarks/results/rss.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from personsearch.model.losses import rss

DIM = 256
RESULT = Path(__file__).parent / "results" / "rss.json"


def milliseconds(works: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """The quickest of ``rounds``, the works taking turns, so that a busy moment meets all of them."""
    best = dict.fromkeys(works, float("inf"))
    for i in range(rounds + 2):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if i >= 2:
                best[name] = min(best[name], time.perf_counter() - start)
    return {name: round(1000 * seconds, 3) for name, seconds in best.items()}


def measure(classes: int, rois: int, k: int, rounds: int) -> dict[str, Any]:
    torch.manual_seed(0)
    embeddings = torch.randn(rois, DIM, requires_grad=True)
    weight = torch.randn(classes, DIM, requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    labels = torch.randint(-1, classes, (rois,))
    labels[rois // 4 :] = classes - 1  # three quarters are background, as in the authors' batches

    def descend(loss: Callable[[], torch.Tensor]) -> None:
        for leaf in (embeddings, weight, bias):
            leaf.grad = None
        loss().backward()

    def draw(way: Callable[..., torch.Tensor]) -> torch.Tensor:
        return way(labels.clamp_min(0), classes - 1, k - 1, None)

    def gathered() -> torch.Tensor:
        return rss.rss_loss_gathered(embeddings, weight, bias, labels, k=k)

    def complete() -> torch.Tensor:
        return rss.rss_loss(embeddings @ weight.T + bias, labels, k=k)

    found = milliseconds(
        {
            "all scores": lambda: descend(complete),
            "gathered": lambda: descend(gathered),
            "draw by keys": lambda: draw(rss._draw_by_keys),
            "draw by rejection": lambda: draw(rss._draw_by_rejection),
        },
        rounds,
    )
    return {
        "classes": classes,
        "milliseconds": found,
        "all scores over gathered": round(found["all scores"] / found["gathered"], 2),
        "keys over rejection": round(found["draw by keys"] / found["draw by rejection"], 2),
        "the network gathers": rss.gathers(classes, k),
        "the network rejects": classes >= rss.REJECTION_FROM,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--classes", type=int, nargs="+", default=[1000, 2401, 4001, 5533, 20001])
    parser.add_argument("--rois", type=int, default=128)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = []
    for classes in given.classes:
        rows.append(measure(classes, given.rois, given.k, given.rounds))
        print(json.dumps(rows[-1]))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    said = {"torch": torch.__version__, "threads": given.threads, "rois": given.rois, "k": given.k}
    RESULT.write_text(json.dumps({**said, "dim": DIM, "runs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
