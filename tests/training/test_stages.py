"""What a batch of scenes tells the network."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from personsearch.model.presets import InputSettings
from personsearch.training.scenes import SceneBatches
from personsearch.training.settings import AugmentSettings
from personsearch.training.stages import scene_targets


def test_ignored_places_reach_the_network_apart_from_people(scenes) -> None:
    ignore = np.array([False, False, True, False])
    data = [dataclasses.replace(scenes[0], ignore=ignore), scenes[1]]
    source = InputSettings(short_side=96, long_side=128, multiple=32)
    batch = SceneBatches(data, source, AugmentSettings(), batch=2, seed=0)[0]
    targets = scene_targets(batch, torch.device("cpu"))
    assert sorted(len(t.boxes) for t in targets) == [3, 4]
    for target in targets:
        assert len(target.boxes) == len(target.people)
        if len(target.boxes) == 3:
            assert target.ignored.shape == (1, 4)
            assert target.ignored.dtype == torch.float32
        else:
            assert target.ignored is None
