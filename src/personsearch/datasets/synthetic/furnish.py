"""Things put into a scene: what hides somebody on purpose, and what merely stands around."""

from __future__ import annotations

import math

import numpy as np

from personsearch.datasets.synthetic.appearance import draw_appearance
from personsearch.datasets.synthetic.body import build_body
from personsearch.datasets.synthetic.camera import Camera
from personsearch.datasets.synthetic.guests import Guest, Standing, covered, stand
from personsearch.datasets.synthetic.pose import draw_pose
from personsearch.datasets.synthetic.props import (
    DECOR_INDOOR,
    DECOR_OUTDOOR,
    UPRIGHT_INDOOR,
    UPRIGHT_OUTDOOR,
    USUAL,
    Thing,
)
from personsearch.datasets.synthetic.stage import Stage
from personsearch.types import UNLABELLED, Array

_SOLID_OUTDOOR = ("car", "hedge", "stall", "planter")
_SOLID_INDOOR = ("counter", "planter", "trolley", "stall")


def hide(
    one: Standing, camera: Camera, people: list[Standing], stage: Stage, rng: np.random.Generator
) -> Standing | Thing | None:
    """Somebody or something between the camera and ``one`` that covers about half of the body.

    None when whatever was tried would stand in somebody else or hide somebody else.
    """
    best: tuple[float, Standing | Thing] | None = None
    for _ in range(8):
        kind = rng.random()
        choice: Standing | Thing
        if kind < 0.45:
            choice = _somebody(one, camera, rng)
        elif kind < 0.78:
            choice = _low(one, camera, stage, rng)
        else:
            choice = _upright(one, camera, stage, rng)
        bad = _harm(choice, one, camera, people)
        if bad == 0:
            return choice
        if best is None or bad < best[0]:
            best = (bad, choice)
    return best[1] if best is not None and best[0] < 0.3 else None


def _somebody(one: Standing, camera: Camera, rng: np.random.Generator) -> Standing:
    """A bystander a step nearer, a little to one side."""
    nearer = float(rng.uniform(0.72, 0.86))
    guest = Guest(appearance=draw_appearance(rng), person=UNLABELLED)
    x, z = one.position
    shift = float(rng.choice([-1, 1]) * rng.uniform(0.05, 0.2))
    body = build_body(guest.appearance, draw_pose(rng))
    return stand(guest, body, (x * nearer + shift, z * nearer), float(rng.uniform(0, 2 * math.pi)), camera)


def _low(one: Standing, camera: Camera, stage: Stage, rng: np.random.Generator) -> Thing:
    """Something low before the legs."""
    names = _SOLID_INDOOR if stage.indoor else _SOLID_OUTDOOR
    x, z = one.position
    kind = names[int(rng.integers(len(names)))]
    width, _, depth = USUAL[kind]
    nearer = max(min(1 - (0.5 * depth + 0.55) / z, float(rng.uniform(0.7, 0.93))), 0.45)
    share = float(rng.uniform(0.5, 0.68))
    top = share * one.body.height * nearer + camera.height * (1 - nearer)
    spot = (x * nearer + float(rng.uniform(-0.2, 0.2)) * width * 0.5, z * nearer)
    return _thing(kind, spot, (width, max(top, 0.4), depth), 0.0, rng)


def _upright(one: Standing, camera: Camera, stage: Stage, rng: np.random.Generator) -> Thing:
    """Something tall before one side of the body."""
    names = UPRIGHT_INDOOR if stage.indoor else UPRIGHT_OUTDOOR
    kind = names[int(rng.integers(len(names)))]
    width, height, depth = USUAL[kind]
    x, z = one.position
    nearer = max(1 - (depth + 0.6) / z, 0.5)
    wide = (one.box[2] - one.box[0]) / camera.focal * z
    shift = float(rng.choice([-1, 1])) * max(0.5 * width / nearer - wide * float(rng.uniform(0.0, 0.12)), 0.0)
    return _thing(kind, ((x + shift) * nearer, z * nearer), (width, height, depth), 0.0, rng)


def _thing(
    kind: str,
    spot: tuple[float, float],
    size: tuple[float, float, float],
    turn: float,
    rng: np.random.Generator,
) -> Thing:
    return Thing(kind=kind, position=spot, size=size, turn=turn, seed=int(rng.integers(1 << 30)))


def thing_box(thing: Thing, camera: Camera) -> Array:
    """(4,) pixels around a thing, roughly; empty when it is not before the camera."""
    w, h, d = thing.size
    if thing.kind == "tree":
        h = min(h, 2.6)  # its crown is above the heads
    reach = thing.radius if abs(math.sin(2 * thing.turn)) > 0.2 else 0.5 * max(w, d * 0.6)
    x, z = thing.position
    corners = np.array(
        [[x + a * reach, b * h, z + c * d / 2] for a in (-1, 1) for b in (0, 1) for c in (-1, 1)]
    )
    corners = corners[camera.to_camera(corners)[:, 2] > 0.3]
    if not len(corners):
        return np.zeros(4)
    pixels = camera.project(corners)
    return np.concatenate([pixels.min(axis=0), pixels.max(axis=0)])


def _harm(new: Standing | Thing, target: Standing | None, camera: Camera, people: list[Standing]) -> float:
    """0 when ``new`` touches nobody and hides nobody but ``target``; larger the worse."""
    radius = new.radius if isinstance(new, Thing) else 0.3
    box = thing_box(new, camera) if isinstance(new, Thing) else new.box
    harm = 0.0
    for other in people:
        gap = math.hypot(new.position[0] - other.position[0], new.position[1] - other.position[1])
        need = radius if not isinstance(new, Thing) or new.kind != "car" else 1.0
        harm += 3 * max(need + 0.38 - gap, 0)
        if other is target:
            continue
        if other.position[1] > new.position[1]:
            harm += max(covered(other.box, box) - (0.2 if other.guest.must else 0.4), 0)
        elif isinstance(new, Standing):
            harm += max(covered(new.box, other.box) - 0.5, 0)
    return harm


def decorate(
    stage: Stage, camera: Camera, people: list[Standing], things: list[Thing], rng: np.random.Generator
) -> list[Thing]:
    """A few things that stand around, where they touch nobody and hide little of anybody."""
    names = DECOR_INDOOR if stage.indoor else DECOR_OUTDOOR
    added: list[Thing] = []
    far = max([one.position[1] for one in people], default=10.0)
    for _ in range(int(rng.integers(1, 8))):
        kind = names[int(rng.integers(len(names)))]
        size = tuple(float(s * rng.uniform(0.88, 1.15)) for s in USUAL[kind])
        if stage.indoor and size[1] > stage.ceiling - 0.1:
            size = (size[0], stage.ceiling, size[2])
        z = float(rng.uniform(3.0, far + (12 if not stage.indoor else 3)))
        x = float(rng.uniform(-0.55, 0.55)) * camera.size[0] / camera.focal * z
        spot, turn = np.array([x, z]), stage.turn
        if kind == "mannequin":
            turn = float(rng.uniform(0, 2 * math.pi))
            spot = _by_the_wall(spot, stage)
        elif kind == "car" and stage.road is not None:
            wall = stage.walls[-1]
            lane = stage.road[0] + (1.2 if rng.random() < 0.6 else stage.road[1] - stage.road[0] - 1.2)
            spot = spot + wall.inward * (lane - wall.clearance(spot))
        thing = _thing(kind, (float(spot[0]), float(spot[1])), (size[0], size[1], size[2]), turn, rng)
        if spot[1] < 2.0 or stage.clearance(spot) < (0.3 if kind == "mannequin" else thing.radius + 0.1):
            continue
        apart = all(
            math.dist(thing.position, t.position) > thing.radius + t.radius for t in [*things, *added]
        )
        if apart and _harm(thing, None, camera, people) == 0:
            added.append(thing)
    return added


def _by_the_wall(spot: Array, stage: Stage) -> Array:
    """``spot`` moved to just before the nearest wall, where there is one."""
    walls = [wall for wall in stage.walls if wall.style != "far"]
    if not walls:
        return spot
    wall = min(walls, key=lambda wall: abs(wall.clearance(spot)))
    return spot + wall.inward * (0.45 - wall.clearance(spot))
