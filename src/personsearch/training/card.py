"""The model card that a run writes beside its weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from personsearch.progress import clock
from personsearch.ranking.calibration import Calibration
from personsearch.training.settings import TrainingSettings
from personsearch.types import Scene


def model_card(
    settings: TrainingSettings, scenes: Sequence[Scene], calibration: Calibration | None, *, seconds: float
) -> str:
    """Markdown: what the model is, what it was trained on, what it is and is not for."""
    people = np.concatenate([s.people for s in scenes])
    model = settings.model
    loss: str = model.network.losses.identity
    if loss == "rss":
        loss += f", K = {min(model.network.losses.k, model.identities + 1)}"
    weights = f"a moving average, decay {settings.average:g}" if settings.average else "of the last step"
    if settings.validation.keep == "best":
        weights = (
            weights.replace("of the last step", "of one step") + ", the best by searches in a held-out part"
        )
    probability = "from held-out training identities" if calibration is not None else "none"
    return f"""# Person search model ({model.trunk})

| | |
| --- | --- |
| embedding | {model.network.head.dim}-d, compared by {model.similarity} |
| training scenes | {len(scenes)} with {len(people)} people, {int((people >= 0).sum())} of them labelled |
| identities | {model.identities} trained, {settings.validation_identities} held out |
| identity loss | {loss} |
| steps | {settings.initial.steps} on crops, {settings.joint.steps} on scenes |
| time of training | {clock(seconds)} |
| weights | {weights} |
| initial weights | {settings.pretrained} |
| probabilities | {probability} |

## Intended use

Finding a person again, by clothing and general appearance, in pictures that you are entitled
to search: best within one day or event. People who change clothes are not found.

## Out of scope

Identifying strangers, surveillance of public places, decisions about a person without a human
check of every hit. Differences in accuracy between skin tones, genders and ages: not evaluated.
"""
