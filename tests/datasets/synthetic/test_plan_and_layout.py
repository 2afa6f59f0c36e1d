"""Who appears where, and statistics of scenes that are laid out but not drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from personsearch.datasets.synthetic.guests import guests_of, inside_share
from personsearch.datasets.synthetic.layout import lay_out
from personsearch.datasets.synthetic.plan import plan_split, scene_generator
from personsearch.datasets.synthetic.presets import preset
from personsearch.datasets.synthetic.scene import whole_box
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.errors import UsageError

SCENES = 130


def test_every_identity_appears_in_two_to_six_different_pictures() -> None:
    settings = preset("demo")
    for split in ("train", "test"):
        plan = plan_split(settings, split)
        identities, scenes = settings.of_split(split)
        assert len(plan) == scenes
        assert all(len(set(cast.people)) == len(cast.people) == len(cast.hidden) for cast in plan)
        counts = np.bincount([p for cast in plan for p in cast.people], minlength=identities)
        assert counts.min() >= 2
        assert counts.max() <= 6
        assert 3.8 < counts.mean() < 4.3
        assert max(len(cast.people) for cast in plan) <= 6


def test_a_lookalike_is_never_in_its_originals_picture() -> None:
    crowded = replace(preset("demo"), test_identities=12, test_scenes=14, twin_share=1.0)
    for seed in range(5):
        plan = plan_split(replace(crowded, seed=seed), "test")
        assert all(not set(cast.twins) & set(cast.people) for cast in plan)
        assert {p for cast in plan for p in cast.twins} == set(range(12))
    settings = preset("demo")
    plan = plan_split(settings, "test")
    copied = {p for cast in plan for p in cast.twins}
    assert 0.18 < len(copied) / settings.test_identities < 0.32


def test_the_plan_of_the_test_split_knows_nothing_of_training() -> None:
    assert plan_split(preset("demo"), "test") == plan_split(preset("medium"), "test")
    assert plan_split(preset("demo"), "test") != plan_split(replace(preset("demo"), seed=1), "test")


@pytest.mark.parametrize(("people", "scenes"), [(2, 2), (1, 2), (0, 0), (40, 40)])
def test_odd_sizes_can_be_planned(people: int, scenes: int) -> None:
    settings = SyntheticSettings(train_identities=people, train_scenes=scenes)
    plan = plan_split(settings, "train")
    counts = np.bincount([p for cast in plan for p in cast.people], minlength=people)
    assert len(plan) == scenes
    assert people == 0 or counts.min() >= 2


def test_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="at least 2 scenes"):
        SyntheticSettings(train_identities=1, train_scenes=1)
    with pytest.raises(UsageError, match="do not fit"):
        SyntheticSettings(test_identities=500, test_scenes=50)
    with pytest.raises(UsageError, match="no preset"):
        preset("huge")


@dataclass
class Statistics:
    labelled: list[int] = field(default_factory=list)
    unlabelled: list[int] = field(default_factory=list)
    inside: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    clearance: list[float] = field(default_factory=list)
    cameras: list[float] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)
    things: int = 0


@pytest.fixture(scope="module")
def statistics() -> Statistics:
    settings = preset("demo")
    plan = plan_split(settings, "test")
    result = Statistics()
    for i in range(SCENES):
        rng = scene_generator(settings, "test", i, 0)
        layout = lay_out(guests_of(settings, "test", plan[i], rng), settings.size, settings.smallest, rng)
        assert sorted(one.guest.person for one in layout.people if one.guest.person >= 0) == sorted(
            plan[i].people
        )
        result.kinds.add(layout.stage.kind)
        result.cameras.append(layout.camera.pitch)
        result.things += len(layout.things)
        for k, one in enumerate(layout.people):
            box = whole_box(one.box, settings.size)
            heights = result.labelled if one.guest.person >= 0 else result.unlabelled
            heights.append(int(box[3] - box[1]))
            result.inside.append(inside_share(one.box, settings.size))
            result.clearance.append(layout.stage.clearance(np.array(one.position)))
            result.gaps += [math.dist(one.position, other.position) for other in layout.people[:k]]
    return result


def test_how_many_people_a_picture_holds(statistics: Statistics) -> None:
    assert 2.2 < len(statistics.labelled) / SCENES < 3.2
    assert 4.5 < len(statistics.unlabelled) / SCENES < 6.0


def test_how_large_they_are(statistics: Statistics) -> None:
    labelled, others = np.array(statistics.labelled), np.array(statistics.unlabelled)
    assert np.median(labelled) > 1.4 * np.median(others)
    assert np.percentile(labelled, 5) < 85
    assert np.percentile(labelled, 95) > 300
    assert others.min() >= 50
    assert np.mean(labelled >= 50) > 0.99


def test_where_they_stand(statistics: Statistics) -> None:
    assert min(statistics.gaps) > 0.3, "nobody stands in somebody else"
    assert min(statistics.clearance) > 0, "nobody stands in or behind a wall"
    assert 0.005 < np.mean(np.array(statistics.inside) < 0.98) < 0.15, "some are cut by the border"
    assert min(statistics.inside) > 0.45
    assert statistics.kinds == {"across", "along", "square", "hall", "corridor"}
    assert np.ptp(statistics.cameras) > 0.15
    assert statistics.things > SCENES
