"""Things in the way and around: cars, bins, benches, tables, posts, trees, pillars, mannequins."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from personsearch.datasets.synthetic.appearance import Appearance, cloth_colour, draw_appearance
from personsearch.datasets.synthetic.body import build_body
from personsearch.datasets.synthetic.camera import Camera
from personsearch.datasets.synthetic.mesh import Face, box_at, draw_faces, round_at, turned
from personsearch.datasets.synthetic.photo import Tiles
from personsearch.datasets.synthetic.pose import draw_pose
from personsearch.datasets.synthetic.render import Layer, Light, place_body, render_body
from personsearch.types import Array

LOW_OUTDOOR = ("car", "hedge", "railing", "bench", "planter", "stall")
LOW_INDOOR = ("table", "counter", "planter", "railing", "trolley")
UPRIGHT_OUTDOOR = ("tree", "column", "kiosk", "wall-end")
UPRIGHT_INDOOR = ("column", "wall-end", "display")
DECOR_OUTDOOR = ("post", "lamp", "bin", "bollard", "tree", "bench", "car", "mannequin", "sign", "hydrant")
DECOR_INDOOR = ("bin", "planter", "post", "mannequin", "column", "table", "sign", "display")


@dataclass(frozen=True, kw_only=True)
class Thing:
    """An object: (width, height, depth) metres at ground (x, z), turned by ``turn`` radians."""

    kind: str
    position: tuple[float, float]
    size: tuple[float, float, float]
    turn: float
    seed: int

    @property
    def radius(self) -> float:
        """Metres around its middle that it takes."""
        return 0.5 * math.hypot(self.size[0], self.size[2])

    @property
    def distance(self) -> float:
        """Where it stands among the layers."""
        return self.position[1]


USUAL = {
    "car": (4.2, 1.45, 1.75),
    "hedge": (2.2, 0.95, 0.6), "railing": (2.4, 1.0, 0.08), "bench": (1.6, 0.8, 0.5),
    "planter": (0.9, 1.0, 0.5), "stall": (1.8, 0.95, 0.7), "table": (1.2, 0.76, 0.7),
    "counter": (1.8, 1.05, 0.6),
    "trolley": (0.6, 1.0, 0.9), "tree": (0.35, 5.0, 0.35), "column": (0.5, 4.0, 0.5),
    "kiosk": (1.2, 2.5, 1.2),
    "wall-end": (0.6, 3.2, 0.3), "display": (0.8, 2.0, 0.15), "post": (0.1, 2.2, 0.1),
    "lamp": (0.12, 5.0, 0.12),
    "bin": (0.45, 0.95, 0.45), "bollard": (0.2, 0.95, 0.2), "mannequin": (0.4, 1.8, 0.4),
    "sign": (0.6, 2.4, 0.08),
    "hydrant": (0.25, 0.8, 0.25),
}  # fmt: skip


def draw_thing(thing: Thing, camera: Camera, light: Light, tiles: Tiles) -> Layer | None:
    """``thing`` as a layer; None when none of it is in sight."""
    rng = np.random.default_rng(thing.seed)
    if thing.kind == "mannequin":
        return _mannequin(thing, camera, light, tiles, rng)
    layer = draw_faces(_faces(thing, rng), camera, light, thing.distance)
    if layer is not None and thing.kind in ("tree", "hedge", "planter"):
        return _leaves(layer, thing, camera, light, rng)
    return layer


def _faces(thing: Thing, rng: np.random.Generator) -> list[Face]:
    """Flat faces of everything but leaves and mannequins."""
    w, h, d = thing.size
    place, turn = thing.position, thing.turn
    colour = np.array(cloth_colour(rng, 0.35))
    grey = np.full(3, rng.uniform(0.2, 0.7)) * rng.uniform(0.95, 1.05, 3)
    wood = np.array([0.5, 0.36, 0.24]) * rng.uniform(0.6, 1.3)

    def at(x: float, z: float) -> tuple[float, float]:
        point = turned(np.array([[x, z]]), place, turn)[0]
        return float(point[0]), float(point[1])

    def block(
        x: float, z: float, size: tuple[float, float], span: tuple[float, float], tint: Array
    ) -> list[Face]:
        return box_at(at(x, z), size, span, turn, tint)

    if thing.kind == "car":
        return _car(thing, colour)
    if thing.kind in ("bench", "table", "stall", "counter", "trolley"):
        return _furniture(thing, block, (wood, grey, colour))
    if thing.kind == "railing":
        faces = block(0, 0, (w, d), (h - 0.06, h), grey) + block(0, 0, (w, d * 0.6), (0.12, 0.16), grey)
        for x in np.arange(-w / 2 + 0.05, w / 2, 0.13):
            faces += block(x, 0, (0.035, 0.03), (0.0, h), grey)
        return faces
    if thing.kind == "planter":
        return block(0, 0, (w, d), (0, 0.45 * h), grey)
    if thing.kind == "hedge":
        return block(0, 0, (w * 0.9, d * 0.8), (0, 0.8 * h), np.array([0.15, 0.22, 0.1]))
    if thing.kind == "tree":
        return round_at(place, w / 2, (0, min(h, 4.0)), np.array([0.33, 0.27, 0.21]), 0.7)
    if thing.kind in ("kiosk", "wall-end", "display"):
        faces = block(0, 0, (w, d), (0, h), grey if thing.kind == "wall-end" else colour)
        if thing.kind != "wall-end":
            faces += block(
                0, -d / 2 - 0.01, (w * 0.84, 0.02), (0.5 * h, 0.93 * h), np.array(cloth_colour(rng))
            )
            faces += block(
                0, -d / 2 - 0.02, (w * 0.5, 0.02), (0.55 * h, 0.7 * h), np.array(cloth_colour(rng))
            )
        return faces
    if thing.kind == "sign":
        return round_at(place, 0.035, (0, h), grey) + block(0, -0.03, (w, 0.03), (h - 0.7, h - 0.05), colour)
    if thing.kind == "lamp":
        return round_at(place, w / 2, (0, h), grey * 0.6, 0.6) + round_at(
            place, 0.11, (0, 0.5), grey * 0.6, 0.7
        )
    if thing.kind in ("bin", "hydrant"):
        return round_at(place, w / 2 * 0.85, (0, h * 0.9), colour, 1.15) + round_at(
            place, w / 2, (h * 0.9, h), grey * 0.5
        )
    if thing.kind == "column":
        return round_at(place, w / 2, (0, h), grey) + round_at(place, w * 0.58, (0, 0.25), grey * 0.8)
    return round_at(place, w / 2, (0, h), grey if thing.kind == "post" else grey * 0.5)


def _furniture(thing: Thing, block: object, tints: tuple[Array, Array, Array]) -> list[Face]:
    w, h, d = thing.size
    wood, grey, colour = tints
    assert callable(block)
    if thing.kind == "bench":
        faces = block(0, 0, (w, d), (0.42, 0.48), wood) + block(0, d / 2, (w, 0.05), (0.55, h), wood)
        for x in (-w / 2 + 0.1, w / 2 - 0.1):
            faces += block(x, 0, (0.06, d), (0, 0.42), grey * 0.5)
        return list(faces)
    if thing.kind == "table":
        faces = block(0, 0, (w, d), (h - 0.05, h), wood)
        for x in (-w / 2 + 0.06, w / 2 - 0.06):
            for z in (-d / 2 + 0.06, d / 2 - 0.06):
                faces += block(x, z, (0.05, 0.05), (0, h - 0.05), grey * 0.5)
        return list(faces) + list(block(0.1 * w, 0, (0.3, 0.25), (h, h + 0.18), colour))
    if thing.kind == "trolley":
        return list(
            block(0, 0, (w, d), (0.35, h), grey) + block(0, 0, (w * 0.8, d * 0.8), (h, h + 0.12), colour)
        )
    faces = block(0, 0, (w, d), (0, h - 0.06), colour) + block(0, 0, (w + 0.1, d + 0.1), (h - 0.06, h), wood)
    if thing.kind == "stall":
        for x in np.linspace(-w / 2 + 0.15, w / 2 - 0.15, 5):
            faces += block(x, 0, (0.22, 0.4), (h, h + 0.1), colour[::-1] * (0.7 + 0.1 * abs(x)))
    return list(faces)


def _car(thing: Thing, colour: Array) -> list[Face]:
    """A saloon: a side outline pushed across, windows a little outside, wheels."""
    length, height, width = thing.size
    body = np.array(
        [
            [-0.5, 0.2],
            [-0.5, 0.5],
            [-0.47, 0.58],
            [-0.25, 0.64],
            [0.26, 0.64],
            [0.46, 0.58],
            [0.5, 0.48],
            [0.5, 0.2],
        ]
    )
    cabin = np.array([[-0.36, 0.62], [-0.24, 0.97], [-0.02, 1.0], [0.14, 0.96], [0.27, 0.62]])
    glass = np.array([0.13, 0.16, 0.19])
    faces: list[Face] = []

    def push(outline: Array, tint: Array, half: float) -> None:
        sides = []
        for z in (-half, half):
            ground = turned(
                np.stack([outline[:, 0] * length, np.full(len(outline), z)], axis=1),
                thing.position,
                thing.turn,
            )
            sides.append(np.stack([ground[:, 0], outline[:, 1] * height, ground[:, 1]], axis=1))
        a, b = sides
        n = len(outline)
        faces.extend((np.array([a[i], a[(i + 1) % n], b[(i + 1) % n], b[i]]), tint) for i in range(n))
        faces.extend((side, tint) for side in sides)

    push(cabin, colour, width * 0.42)
    push(body, colour, width * 0.5)
    inner = cabin.mean(axis=0) + (cabin - cabin.mean(axis=0)) * np.array([0.86, 0.72])
    push(inner, glass, width * 0.43)
    angle = np.arange(14) * (2 * math.pi / 14)
    for x in (-0.31, 0.31):
        for radius, tint, half in (
            (0.33, np.array([0.06, 0.06, 0.07]), 0.505),
            (0.19, np.array([0.5, 0.5, 0.52]), 0.51),
        ):
            wheel = np.stack(
                [x + np.cos(angle) * radius / length, (0.33 + np.sin(angle) * radius) / height], axis=1
            )
            push(wheel, tint, width * half)
    return faces


def _leaves(trunk: Layer, thing: Thing, camera: Camera, light: Light, rng: np.random.Generator) -> Layer:
    """``trunk`` with foliage: many lit discs, dark ones first."""
    w, h, d = thing.size
    x, z = thing.position
    if thing.kind == "tree":
        centre, spread, count, size = (x, h * 0.78, z), (1.5, h * 0.22, 1.2), 150, 0.32
    elif thing.kind == "hedge":
        centre, spread, count, size = (x, h * 0.5, z), (w / 2, h * 0.42, d / 2), 130, 0.12
    else:
        centre, spread, count, size = (x, h * 0.68, z), (w / 2, h * 0.26, d / 2), 60, 0.11
    unit = rng.standard_normal((count, 3))
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    if thing.kind == "hedge":
        unit = rng.uniform(-1, 1, (count, 3))
    points = unit * rng.uniform(0.55, 1, (count, 1)) * np.array(spread)
    c, s = math.cos(thing.turn), math.sin(thing.turn)
    points = np.stack(
        [points[:, 0] * c - points[:, 2] * s, points[:, 1], points[:, 0] * s + points[:, 2] * c], axis=1
    )
    places = points + np.array(centre)
    if camera.to_camera(places)[:, 2].min() < 0.4:
        return trunk
    pixels = camera.project(places)
    radius = size * camera.focal / camera.to_camera(places)[:, 2]
    reach = float(radius.max())
    left, top = trunk.corner
    bottom, right = top + trunk.coverage.shape[0], left + trunk.coverage.shape[1]
    width, rows = camera.size
    x1 = int(max(min(left, pixels[:, 0].min() - reach), -20))
    y1 = int(max(min(top, pixels[:, 1].min() - reach), -20))
    x2 = int(min(max(right, pixels[:, 0].max() + reach), width + 20))
    y2 = int(min(max(bottom, pixels[:, 1].max() + reach), rows + 20))
    if x2 - x1 < 2 or y2 - y1 < 2 or left < x1 or top < y1 or right > x2 or bottom > y2:
        return trunk
    colour: Array = np.zeros((y2 - y1, x2 - x1, 3), np.float32)
    coverage = np.zeros((y2 - y1, x2 - x1), np.float32)
    colour[top - y1 : bottom - y1, left - x1 : right - x1] = trunk.colour
    coverage[top - y1 : bottom - y1, left - x1 : right - x1] = trunk.coverage
    green = np.array([0.2, 0.3, 0.12]) * rng.uniform(0.8, 1.4) + rng.normal(0, 0.02, 3)
    brightness = np.clip(unit @ light.direction, -0.4, 1) * 0.5 + 0.75 + rng.normal(0, 0.12, count)
    tint = np.sqrt(float(light.sun[1] + light.sky[1]))
    for i in np.argsort(brightness - 0.3 * (points[:, 2] > 0)):
        at = np.round((pixels[i] - (x1, y1)) * 16).astype(int)
        r = int(radius[i] * rng.uniform(0.6, 1) * 16)
        cv2.circle(
            colour,
            tuple(at.tolist()),
            r,
            (green * brightness[i] * tint).clip(0, 1).tolist(),
            -1,
            cv2.LINE_8,
            4,
        )
        cv2.circle(coverage, tuple(at.tolist()), r, 1.0, -1, cv2.LINE_8, 4)
    soft = cv2.blur(coverage, (3, 3))
    colour = cv2.blur(colour * coverage[..., None], (3, 3)) / np.maximum(soft, 1e-3)[..., None]
    return Layer(corner=(x1, y1), colour=colour, coverage=soft, distance=trunk.distance)


def mannequin_look(rng: np.random.Generator) -> Appearance:
    """A shop's dummy: dressed, hairless, of one pale or dark plastic."""
    level = float(rng.choice([0.88, 0.75, 0.2]))
    plastic = (level, level, level * 0.97)
    person = draw_appearance(rng)
    return replace(
        person, skin=plastic, hair=plastic, hair_style="bald", beard=False, glasses=False, hat="none",
        bag="none", shoes=plastic, sole=plastic, height=1.78, scarf=None,
    )  # fmt: skip


def _mannequin(thing: Thing, camera: Camera, light: Light, tiles: Tiles, rng: np.random.Generator) -> Layer:
    body = build_body(mannequin_look(rng), draw_pose(rng, walking=0.0))
    materials = tuple(replace(m, rule="plain", gloss=0.3) if m.rule == "face" else m for m in body.materials)
    body = replace(body, materials=materials)
    return render_body(body, place_body(body, thing.position, thing.turn), camera, light, tiles.folds)


def figure_picture(tiles: Tiles, light: Light, rng: np.random.Generator) -> Array:
    """(h, w, 4) uint8 picture of somebody, as an advertiser would show them."""
    camera = Camera(size=(200, 260), focal=400, height=1.0, pitch=0.0, roll=0.0)
    body = build_body(draw_appearance(rng), draw_pose(rng))
    layer = render_body(
        body, place_body(body, (0.0, 3.2), math.pi + float(rng.normal(0, 0.5))), camera, light, tiles.folds
    )
    both = np.concatenate([layer.colour, layer.coverage[..., None]], axis=2)
    return (both * 255).astype(np.uint8)
