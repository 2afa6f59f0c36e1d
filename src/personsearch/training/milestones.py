"""What happens at some steps of stage 2: weights are kept, and held-out people are looked for."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from torch import nn

from personsearch.model.checkpoint import save_model
from personsearch.model.network import PersonSearchNetwork
from personsearch.model.searcher import NetworkSearcher
from personsearch.training.folder import BEST
from personsearch.training.settings import TrainingSettings
from personsearch.training.snapshots import save_snapshot
from personsearch.training.validation import HeldOut, search_held_out
from personsearch.types import Scene

log = logging.getLogger(__name__)


class JointMilestones:
    """Snapshots and validations of a run, and which weights were the best.

    Nothing here draws chance or changes weights: a run with milestones descends like one without,
    and one that was killed at a milestone does it again to the same end.

    Args:
        out: the run folder.
        settings: of the run.
        scenes: all training scenes, those held out among them.
        held_out: whom validation looks for; None for no validation.
        device: where the network is.
    """

    def __init__(
        self,
        out: Path,
        settings: TrainingSettings,
        scenes: Sequence[Scene],
        held_out: HeldOut | None,
        device: str,
    ) -> None:
        self.out, self.settings, self.scenes = out, settings, scenes
        self.held_out, self.device = held_out, device
        self.best: tuple[float, int] | None = None

    def _validates(self, done: int) -> bool:
        every = self.settings.validation.every
        at_end = done == self.settings.joint.steps
        return self.held_out is not None and done > 0 and (at_end or (every > 0 and done % every == 0))

    def due(self, done: int) -> bool:
        """Whether weights are kept or people looked for after ``done`` steps."""
        return done in self.settings.snapshots or self._validates(done)

    def reach(self, done: int, network: nn.Module) -> list[dict[str, Any]]:
        """Do both, as far as they are due; the validation's line for the log."""
        joint = cast(PersonSearchNetwork, network)
        if done in self.settings.snapshots:
            save_snapshot(self.out, done, joint, self.settings.model)
        return [self._validate(done, joint)] if self._validates(done) else []

    def _validate(self, done: int, network: PersonSearchNetwork) -> dict[str, Any]:
        assert self.held_out is not None
        begun = time.perf_counter()
        searcher = NetworkSearcher(
            network, self.settings.model, fingerprint=f"step-{done}", device=self.device
        )
        scores = search_held_out(searcher, self.scenes, self.held_out, self.out / "validation.npz")
        found = {"mAP": round(scores.mean_ap, 5), "top1": round(scores.top(1), 5)}
        # Not the rounded one: of two equals to five digits the earlier would win in one run only.
        if self.best is None or scores.mean_ap > self.best[0]:
            self.best = (scores.mean_ap, done)
            save_model(self.out / BEST, network, self.settings.model)
        log.info("validation after %d steps: mAP %.3f, top-1 %.3f", done, found["mAP"], found["top1"])
        return {"validation": found, "seconds": round(time.perf_counter() - begun, 3)}

    def state(self) -> dict[str, Any]:
        """The best so far."""
        return {} if self.best is None else {"best": list(self.best)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from :meth:`state`."""
        if "best" in state:
            value, step = state["best"]
            self.best = (float(value), int(step))
