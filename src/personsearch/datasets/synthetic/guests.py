"""Who is invited to a picture, and somebody standing in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from personsearch.datasets.synthetic.appearance import Appearance, draw_appearance, near_twin
from personsearch.datasets.synthetic.builder import Body
from personsearch.datasets.synthetic.camera import Camera
from personsearch.datasets.synthetic.plan import Cast, person_generator, twin_generator
from personsearch.datasets.synthetic.primitives import Primitives
from personsearch.datasets.synthetic.render import body_box, place_body
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.types import UNLABELLED, Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Guest:
    """Somebody to place: ``person`` UNLABELLED for bystanders; ``hidden``: behind something."""

    appearance: Appearance
    person: int
    hidden: bool = False
    twin_of: int = UNLABELLED

    @property
    def must(self) -> bool:
        """Whether the picture makes no sense without this guest."""
        return self.person != UNLABELLED or self.twin_of != UNLABELLED


@dataclass(frozen=True, eq=False, kw_only=True)
class Standing:
    """Somebody placed: solids in the world, ground (x, z), outline in pixels (not clipped)."""

    guest: Guest
    body: Body
    solids: Primitives
    position: tuple[float, float]
    box: Array


def stand(guest: Guest, body: Body, spot: tuple[float, float], facing: float, camera: Camera) -> Standing:
    """``guest`` at ground ``spot``, turned by ``facing``."""
    solids = place_body(body, spot, facing)
    return Standing(guest=guest, body=body, solids=solids, position=spot, box=body_box(solids, camera))


def appearance_of(settings: SyntheticSettings, split: str, person: int) -> Appearance:
    """What an identity looks like, in every picture."""
    return draw_appearance(person_generator(settings, split, person))


def guests_of(settings: SyntheticSettings, split: str, cast: Cast, rng: np.random.Generator) -> list[Guest]:
    """Everybody invited to a picture: the labelled, the lookalikes, then the bystanders."""
    guests = [
        Guest(appearance=appearance_of(settings, split, person), person=person, hidden=hidden)
        for person, hidden in zip(cast.people, cast.hidden, strict=True)
    ]
    for person in cast.twins:
        twin = near_twin(appearance_of(settings, split, person), twin_generator(settings, split, person))
        guests.append(Guest(appearance=twin, person=UNLABELLED, twin_of=person))
    others = int(rng.poisson(max(settings.bystanders * 1.16 - len(cast.twins), 0)))
    guests += [Guest(appearance=draw_appearance(rng), person=UNLABELLED) for _ in range(min(others, 14))]
    return guests


def inside_share(box: Array, size: tuple[int, int]) -> float:
    """Share of ``box`` (4,) that lies in a picture of ``size``.

    >>> inside_share(np.array([-10, 0, 10, 50.0]), (640, 480))
    0.5
    """
    return covered(box, np.array([0.0, 0.0, *size]))


def covered(far: Array, near: Array) -> float:
    """Share of the box ``far`` (4,) that lies in the box ``near``.

    >>> covered(np.array([0, 0, 10, 10.0]), np.array([5, 0, 20, 10.0]))
    0.5
    """
    w = min(far[2], near[2]) - max(far[0], near[0])
    h = min(far[3], near[3]) - max(far[1], near[1])
    return float(max(w, 0) * max(h, 0) / ((far[2] - far[0]) * (far[3] - far[1])))
