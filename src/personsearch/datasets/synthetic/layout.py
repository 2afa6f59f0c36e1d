"""Where everybody stands: camera, people, place and things of one scene, before anything is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from personsearch.datasets.synthetic.body import build_body
from personsearch.datasets.synthetic.camera import Camera
from personsearch.datasets.synthetic.furnish import decorate, hide
from personsearch.datasets.synthetic.guests import Guest, Standing, covered, inside_share, stand
from personsearch.datasets.synthetic.pose import draw_pose
from personsearch.datasets.synthetic.props import Thing
from personsearch.datasets.synthetic.stage import Stage, choose_stage
from personsearch.types import UNLABELLED


@dataclass(frozen=True, eq=False, kw_only=True)
class Layout:
    """One scene, ready to be drawn."""

    camera: Camera
    stage: Stage
    people: tuple[Standing, ...]
    things: tuple[Thing, ...]


def lay_out(guests: list[Guest], size: tuple[int, int], smallest: int, rng: np.random.Generator) -> Layout:
    """Choose a camera and a place, and put everybody and everything into it.

    Labelled people and lookalikes are always placed; bystanders without room stay away.
    """
    unit = size[1] / 480
    heights = [_wanted_height(guest, rng) * unit for guest in guests]
    camera = _camera(size, max(heights, default=100 * unit), rng)
    people: list[Standing] = []
    for i in sorted(range(len(guests)), key=lambda i: not guests[i].must):
        found = _place(guests[i], heights[i], camera, people, smallest, rng)
        if found is not None:
            people.append(found)
    stage = choose_stage(np.array([one.position for one in people]).reshape(-1, 2), rng)
    things: list[Thing] = []
    for one in [one for one in people if one.guest.hidden]:
        cover = hide(one, camera, people, stage, rng)
        if isinstance(cover, Standing):
            people.append(cover)
        elif cover is not None:
            things.append(cover)
    things += decorate(stage, camera, people, things, rng)
    return Layout(camera=camera, stage=stage, people=tuple(people), things=tuple(things))


def _wanted_height(guest: Guest, rng: np.random.Generator) -> float:
    """Pixels in a picture 480 high; the labelled are larger on the whole, with a wide spread."""
    if guest.person != UNLABELLED:
        tall = float(np.clip(np.exp(rng.normal(math.log(165), 0.52)), 56, 430))
    elif guest.twin_of != UNLABELLED:
        tall = float(np.clip(np.exp(rng.normal(math.log(140), 0.4)), 60, 330))
    else:
        tall = float(np.clip(np.exp(rng.normal(math.log(95), 0.42)), 52, 360))
    return tall * guest.appearance.height / 1.72


def _camera(size: tuple[int, int], tallest: float, rng: np.random.Generator) -> Camera:
    """A camera that can see somebody ``tallest`` pixels high from head to foot."""
    width, rows = size
    focal = width * float(rng.uniform(0.75, 1.35))
    kind = rng.random()
    high = (
        rng.uniform(1.4, 1.75)
        if kind < 0.55
        else rng.uniform(1.8, 3.0)
        if kind < 0.88
        else rng.uniform(3, 4.5)
    )
    height = min(float(high), 0.95 * rows * 1.75 / tallest)
    top = max((1.75 - height) / 1.75 * tallest + 0.02 * rows, -0.1 * rows)
    low = 0.975 * rows - height / 1.75 * tallest
    horizon = float(rng.uniform(max(top, low - 0.25 * rows), max(low, top + 1)))
    horizon = min(horizon, 0.5 * rows)
    return Camera(
        size=size,
        focal=focal,
        height=height,
        pitch=math.atan((rows / 2 - horizon) / focal),
        roll=float(rng.normal(0, 0.012)),
    )


def _place(
    guest: Guest,
    tall: float,
    camera: Camera,
    placed: list[Standing],
    smallest: int,
    rng: np.random.Generator,
) -> Standing | None:
    """Somewhere free for ``guest`` at about ``tall`` pixels; None when there is no room and no must."""
    width, rows = camera.size
    body = build_body(guest.appearance, draw_pose(rng))
    facing = float(rng.uniform(0, 2 * math.pi))
    best: tuple[float, Standing] | None = None
    for attempt in range(60 if guest.must else 14):
        height = max(tall * (1 - 0.004 * attempt), smallest + 3)
        foot = camera.horizon + camera.height * height / guest.appearance.height
        cut = rng.random() < 0.07
        margin = -0.12 if cut else min(0.18 * height / width, 0.3)
        x = float(rng.uniform(margin, 1 - margin)) * width
        if cut and rng.random() < 0.5:
            foot += 0.3 * height * rng.random()
        spot = camera.ground(np.array([[x, min(foot, rows * 1.6)]]))[0]
        if best is not None and _bump(float(spot[0]), float(spot[2]), placed) > 0:
            continue
        standing = stand(guest, body, (float(spot[0]), float(spot[2])), facing, camera)
        bad = _trouble(standing, camera, placed, smallest)
        if bad <= 0:
            return standing
        if best is None or bad < best[0]:
            best = (bad, standing)
    return best[1] if guest.must and best is not None else None


def _trouble(new: Standing, camera: Camera, placed: list[Standing], smallest: int) -> float:
    """0 when ``new`` can stand there; larger the worse: outside, bumping, hiding or hidden."""
    outside = 0.72 - inside_share(new.box, camera.size)
    clipped = min(new.box[3], camera.size[1]) - max(new.box[1], 0)
    head = max(-float(new.box[1]) / float(new.box[3] - new.box[1]) - 0.02, 0)
    trouble = (
        5 * max(outside, 0) + max(smallest + 1 - clipped, 0) + 3 * head + 20 * _bump(*new.position, placed)
    )
    for other in placed:
        near, far = (new, other) if new.position[1] < other.position[1] else (other, new)
        allowed = 0.22 if far.guest.must else 0.35
        trouble += max(covered(far.box, near.box) - allowed, 0)
    return float(trouble)


def _bump(x: float, z: float, placed: list[Standing]) -> float:
    """Metres by which somebody at ground (x, z) comes too near to the others, summed."""
    near = 0.0
    for one in placed:
        near += max(0.75 - math.hypot(x - one.position[0], z - one.position[1]), 0.0)
    return near
