"""Who appears in which picture, before anything is drawn: a few numbers a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from personsearch.datasets.synthetic.settings import MOST_LABELLED, SyntheticSettings

SPLITS = {"train": 0, "test": 1}
_SCENE, _PERSON, _TWIN, _PLAN, _PROTOCOL = range(5)

APPEARANCES = (2, 3, 4, 5, 6)
APPEARANCE_SHARES = (0.12, 0.22, 0.3, 0.22, 0.14)


def generator(settings: SyntheticSettings, split: str, kind: int, *numbers: int) -> np.random.Generator:
    """The random numbers of one thing: they depend on the seed and on what it is, on nothing else."""
    return np.random.default_rng(np.random.SeedSequence([settings.seed, SPLITS[split], kind, *numbers]))


def scene_generator(settings: SyntheticSettings, split: str, scene: int, attempt: int) -> np.random.Generator:
    """Random numbers of picture ``scene``."""
    return generator(settings, split, _SCENE, scene, attempt)


def person_generator(settings: SyntheticSettings, split: str, person: int) -> np.random.Generator:
    """Random numbers of what ``person`` looks like."""
    return generator(settings, split, _PERSON, person)


def twin_generator(settings: SyntheticSettings, split: str, person: int) -> np.random.Generator:
    """Random numbers of the bystander who is dressed much like ``person``."""
    return generator(settings, split, _TWIN, person)


def protocol_generator(settings: SyntheticSettings, query: int) -> np.random.Generator:
    """Random numbers of the query and gallery of test identity ``query``."""
    return generator(settings, "test", _PROTOCOL, query)


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who is in one picture.

    Attributes:
        people: identities that are labelled.
        hidden: for each of them, whether something is to hide about half of the body.
        twins: identities of whom an unlabelled lookalike is in the picture.
    """

    people: tuple[int, ...]
    hidden: tuple[bool, ...]
    twins: tuple[int, ...]


def plan_split(settings: SyntheticSettings, split: str) -> tuple[Cast, ...]:
    """The cast of every picture of ``split``, in order.

    Every identity appears in two to six pictures, once in each; an identity with a
    lookalike finds it in one or two pictures in which the identity is not. Time and memory grow
    linearly.
    """
    identities, scenes = settings.of_split(split)
    rng = generator(settings, split, _PLAN)
    people: list[list[int]] = [[] for _ in range(scenes)]
    hidden: list[list[bool]] = [[] for _ in range(scenes)]
    twins: list[list[int]] = [[] for _ in range(scenes)]
    for person in range(identities):
        wanted = min(int(rng.choice(APPEARANCES, p=APPEARANCE_SHARES)), scenes)
        chosen = _free_scenes(rng, people, wanted)
        hide = int(rng.integers(len(chosen))) if rng.random() < 1.5 * settings.occluded_share else -1
        for i, scene in enumerate(chosen):
            people[scene].append(person)
            hidden[scene].append(i == hide)
        if rng.random() < settings.twin_share and scenes > len(chosen):
            for _ in range(int(rng.integers(1, 3))):
                other = _scene_without(rng, chosen, twins)
                if person not in twins[other]:
                    twins[other].append(person)
    return tuple(
        Cast(people=tuple(p), hidden=tuple(h), twins=tuple(t))
        for p, h, t in zip(people, hidden, twins, strict=True)
    )


def _free_scenes(rng: np.random.Generator, people: list[list[int]], wanted: int) -> list[int]:
    """``wanted`` different scenes with room, at random; the emptiest ones when the dice fail."""
    chosen: list[int] = []
    for _ in range(40 * wanted):
        scene = int(rng.integers(len(people)))
        if scene not in chosen and len(people[scene]) < MOST_LABELLED - 2:
            chosen.append(scene)
            if len(chosen) == wanted:
                return chosen
    order = sorted(range(len(people)), key=lambda scene: (len(people[scene]), scene))
    return [*chosen, *(scene for scene in order if scene not in chosen)][:wanted]


def _scene_without(rng: np.random.Generator, chosen: list[int], twins: list[list[int]]) -> int:
    """A scene that is not in ``chosen``; one with few lookalikes where the dice find it."""
    other = next(scene for scene in range(len(twins)) if scene not in chosen)
    for _ in range(40):
        scene = int(rng.integers(len(twins)))
        if scene not in chosen and len(twins[scene]) < 2:
            return scene
    return other
