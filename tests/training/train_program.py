"""Training in processes of their own: run as files by the tests that kill it, or start several at once."""

from __future__ import annotations

import faulthandler
import os
import time

from personsearch.training import train as module
from personsearch.training.train import train


def killed(scenes, out, settings, pipe) -> None:
    """Train, and tell a pipe of every item."""

    def told(items, label, *, total=None, done=0):
        for item in items:
            pipe.send((label, done))
            yield item

    train(scenes, out, settings, device="cpu", progress=told)


def together(scenes, out, settings, rank: int, count: int, port: int) -> None:
    """Train as one of several, as torchrun would start them."""
    # One that waits for ever for the other is killed by the test: this says where it stood.
    faulthandler.dump_traceback_later(60)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(count))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    train(scenes, out, settings, device="cpu")
    faulthandler.cancel_dump_traceback_later()


def late(scenes, out, settings, rank: int, count: int, port: int) -> None:
    """The same; whoever does not lead comes a second late to what the leader may have written by then."""
    if rank:
        load, run = module.load_state, module.run_stage
        module.load_state = lambda path: (time.sleep(1), load(path))[1]
        module.run_stage = lambda *words: (run(*words), time.sleep(1))[0]
    together(scenes, out, settings, rank, count, port)


if __name__ in ("killed", "together", "late"):
    globals()[__name__](*job)  # type: ignore[name-defined]  # noqa: F821
