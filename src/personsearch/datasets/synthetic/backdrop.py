"""The empty place in pixels: sky or ceiling, ground with shadows, walls."""

from __future__ import annotations

import cv2
import numpy as np

from personsearch.datasets.synthetic.camera import Camera
from personsearch.datasets.synthetic.photo import Tiles
from personsearch.datasets.synthetic.planes import NEAR, fixed, outline, paint_ground, paint_plane
from personsearch.datasets.synthetic.render import Light
from personsearch.datasets.synthetic.stage import Stage, WallPlace
from personsearch.datasets.synthetic.textures import (
    GROUND_SCALE,
    Wall,
    facade,
    ground_texture,
    paint,
    poster,
    room_wall,
    roughen,
)
from personsearch.types import Array

UP = np.array([0.0, 1.0, 0.0])


def choose_light(mood: str, rng: np.random.Generator) -> Light:
    """How a place of ``mood`` is lit."""
    side, toward = float(rng.uniform(-1, 1)), float(rng.uniform(-0.9, 0.5))
    if mood == "sunny":
        direction, sun, sky = (
            (side, rng.uniform(0.6, 1.3), toward),
            rng.uniform(0.7, 0.95),
            rng.uniform(0.38, 0.5),
        )
        colour = (1.0, 0.95, 0.86)
    elif mood == "overcast":
        direction, sun, sky = (side * 0.5, 1.2, toward * 0.5), rng.uniform(0.15, 0.3), rng.uniform(0.78, 0.95)
        colour = (0.97, 0.99, 1.02)
    elif mood == "evening":
        direction, sun, sky = (
            (side * 1.4, rng.uniform(0.3, 0.6), toward),
            rng.uniform(0.5, 0.7),
            rng.uniform(0.42, 0.55),
        )
        colour = (1.06, 0.94, 0.82)
    else:
        direction, sun, sky = (side * 0.5, 1.0, toward * 0.7), rng.uniform(0.3, 0.5), rng.uniform(0.65, 0.82)
        warm = float(rng.uniform(-0.05, 0.07))
        colour = (1 + warm, 1.0, 1 - warm)
    vector = np.array(direction)
    return Light(
        direction=vector / np.linalg.norm(vector),
        sun=(np.array(colour) * sun).astype(np.float32),
        sky=(np.array([0.95, 0.98, 1.03]) * sky).astype(np.float32),
        bounce=(np.array([1.0, 0.96, 0.9]) * (0.16 + 0.18 * sky)).astype(np.float32),
    )


def draw_backdrop(
    stage: Stage,
    camera: Camera,
    shadow: Array,
    tiles: Tiles,
    rng: np.random.Generator,
    figure: Array | None = None,
) -> Array:
    """(h, w, 3) float32 display colours of the empty ``stage``.

    Args:
        stage: the place.
        camera: who looks.
        shadow: (h, w) float32, what is left of the ground's light.
        tiles: noise.
        rng: for everything that ``stage`` leaves open.
        figure: (h, w, 4) uint8 picture of somebody, to hang on the walls as a poster.
    """
    width, rows = camera.size
    image = np.empty((rows, width, 3), np.uint8)
    if stage.indoor:
        _ceiling(image, stage, camera, tiles, rng)
    else:
        _sky(image, stage, camera, tiles, rng)
    ground = ground_texture(rng, tiles, stage.ground, stage.brightness)
    paint_ground(image, camera, ground, GROUND_SCALE, stage.turn)
    if stage.road is not None:
        _road(image, stage, camera, tiles, rng)
    lit = image.astype(np.float32)
    lit *= shadow[..., None]
    image = lit.astype(np.uint8)
    for wall in stage.walls:
        _wall(image, wall, stage, camera, tiles, rng, figure)
    return image.astype(np.float32) * np.float32(1 / 255)


def _sky(image: Array, stage: Stage, camera: Camera, tiles: Tiles, rng: np.random.Generator) -> None:
    rows = len(image)
    high, low = {
        "sunny": ((96, 150, 214), (196, 216, 232)),
        "overcast": ((178, 184, 190), (214, 216, 218)),
        "evening": ((110, 118, 160), (232, 190, 160)),
    }[stage.mood]
    horizon = max(camera.horizon, 1.0)
    ramp = np.clip(np.arange(rows) / horizon, 0, 1)[:, None] * np.ones(3)
    image[:] = (np.array(high) * (1 - ramp) + np.array(low) * ramp)[:, None].astype(np.uint8)
    top = int(np.clip(horizon + 2, 2, rows))
    left = int(rng.integers(tiles.smooth.shape[1] - 512))
    clouds = tiles.smooth[:160, left : left + 512]
    part = cv2.resize(clouds, (image.shape[1], top), interpolation=cv2.INTER_LINEAR)
    amount = 0.35 if stage.mood == "sunny" else 0.12
    image[:top] = cv2.addWeighted(image[:top], 1.0, part, amount, -118 * amount)


def _ceiling(image: Array, stage: Stage, camera: Camera, tiles: Tiles, rng: np.random.Generator) -> None:
    base = paint(rng, float(rng.uniform(0.45, 0.85)), 0.03)
    image[:] = base
    texture = np.empty((128, 128, 3), np.uint8)
    texture[:] = base
    texture[::32] = [int(c * 0.85) for c in base]
    texture[:, ::32] = [int(c * 0.85) for c in base]
    if rng.random() < 0.8:
        texture[36:60, 36:92] = (250, 250, 245)
    origin = np.array([0.0, stage.ceiling, 0.0])
    along = np.array([stage.heading[0], 0, stage.heading[1]])
    across = np.array([-along[2], 0, along[0]])
    paint_plane(
        image, camera, (origin, along, across), (-80, -80, 80, 80), texture, float(rng.uniform(30, 60))
    )


def _road(image: Array, stage: Stage, camera: Camera, tiles: Tiles, rng: np.random.Generator) -> None:
    """A carriageway with kerbs, a dashed line and sometimes a crossing."""
    assert stage.road is not None
    wall = stage.walls[-1]
    near, far = stage.road
    along = np.array([wall.along[0], 0, wall.along[1]])
    inward = np.array([wall.inward[0], 0, wall.inward[1]])
    origin = np.array([wall.origin[0], 0, wall.origin[1]])
    asphalt: Array = np.empty((256, 256, 3), np.uint8)
    asphalt[:] = paint(rng, stage.brightness * float(rng.uniform(0.55, 0.75)), 0.02)
    asphalt = cv2.blur(roughen(asphalt, tiles.rough, 0.12, rng), (3, 3))
    axes = (origin, along, inward)
    stretch = (0.0, wall.length)
    kerb = np.full((4, 4, 3), min(int(stage.brightness * 300), 235), np.uint8)
    paint_plane(image, camera, axes, (stretch[0], near - 0.18, stretch[1], far + 0.18), kerb, 1.0)
    paint_plane(image, camera, axes, (stretch[0], near, stretch[1], far), asphalt, GROUND_SCALE)
    white = np.full((4, 4, 3), 205, np.uint8)
    middle = (near + far) / 2
    if rng.random() < 0.4:
        start = float(rng.uniform(0.42, 0.58)) * wall.length
        for i in range(int((far - near) / 1.0)):
            paint_plane(image, camera, axes, (start, near + 0.3 + i, start + 3.0, near + 0.8 + i), white, 1.0)
    else:
        for x in np.arange(stretch[0], stretch[1], 6.0):
            paint_plane(image, camera, axes, (x, middle - 0.07, x + 3.0, middle + 0.07), white, 1.0)


def _wall(
    image: Array,
    place: WallPlace,
    stage: Stage,
    camera: Camera,
    tiles: Tiles,
    rng: np.random.Generator,
    figure: Array | None,
) -> None:
    """Draw and lay one wall; its light depends on where it faces."""
    span = place.origin[None] + np.linspace(0, 1, 9)[:, None] * place.length * place.along[None]
    before = span[span[:, 1] > 1.0]
    near = float(np.linalg.norm(before, axis=1).min()) if len(before) else 10.0
    if abs(place.along[1]) > 0.7:
        near = max(near, 7.0)
    scale = float(np.clip(camera.focal / near, 8, 46))
    length = min(place.length, 18.0)
    wall: Wall
    if place.style == "room":
        wall = room_wall(rng, tiles, (length, place.height), scale)
    else:
        wall = facade(rng, tiles, (length, place.height), scale)
    if place.style != "far" and rng.random() < 0.35:
        wide = float(rng.uniform(0.8, 1.5))
        for x in np.arange(rng.uniform(0, 4), length - 2, rng.uniform(4, 9)):
            poster(rng, wall, (float(x), float(rng.uniform(0.5, 1.0)), wide), figure)
    tone = float(rng.uniform(0.75, 1.08)) * (0.85 if stage.mood == "evening" else 1.0)
    texture = cv2.convertScaleAbs(wall.image, alpha=tone)
    if place.style == "far":
        haze = float(np.clip(place.origin[1] / 160, 0.05, 0.5))
        texture = cv2.addWeighted(texture, 1 - haze, texture, 0.0, 205 * haze)
    origin = np.array([place.origin[0], 0.0, place.origin[1]])
    along = np.array([place.along[0], 0, place.along[1]])
    paint_plane(image, camera, (origin, along, UP), (0, 0, place.length, place.height), texture, scale)


def ground_shadow(
    camera: Camera, stage: Stage, outlines: Array, spots: list[tuple[float, float, float]]
) -> Array:
    """(h, w) float32: what is left of the ground's light under shadows.

    Args:
        camera, stage: the scene.
        outlines: (n, k, 3) points on the ground; the sun does not reach their convex hulls.
        spots: (x, z, radius) where something stands close to the ground.
    """
    width, rows = camera.size
    small = (width // 2, rows // 2)
    hard, soft = np.zeros(small[::-1], np.uint8), np.zeros(small[::-1], np.uint8)
    if len(outlines):
        before = camera.to_camera(outlines)[..., 2].min(axis=1) > NEAR
        pixels = np.clip(camera.project(outlines[before]) / 2, -4000, 4000)
        for shape in fixed(pixels):
            cv2.fillConvexPoly(hard, cv2.convexHull(shape), 255, cv2.LINE_8, 4)
    angle = np.arange(12) * (2 * np.pi / 12)
    ring = np.stack([np.cos(angle), 0 * angle, np.sin(angle)], axis=1)
    for x, z, radius in spots:
        pixels = outline(ring * radius + np.array([x, 0, z]), camera) / 2
        if len(pixels) >= 3:
            cv2.fillConvexPoly(soft, fixed(pixels), 255, cv2.LINE_8, 4)
    depth = {"sunny": 0.55, "evening": 0.4, "overcast": 0.12}.get(stage.mood, 0.14)
    edge = {"sunny": 1.0, "evening": 1.6}.get(stage.mood, 5.0)
    dark = cv2.GaussianBlur(hard, (0, 0), edge).astype(np.float32) * np.float32(depth / 255)
    near = cv2.GaussianBlur(soft, (0, 0), 2.0).astype(np.float32) * np.float32(0.42 / 255)
    left: Array = (1 - dark) * (1 - near)
    return cv2.resize(left, (width, rows), interpolation=cv2.INTER_LINEAR)


def cast_outlines(starts: Array, ends: Array, radii: Array, light: Light) -> Array:
    """(n, k, 3) points around what capsules from ``starts`` to ``ends`` (n, 3) shade on the ground."""
    d = light.direction
    side = np.cross(d, UP)
    side /= np.linalg.norm(side) + 1e-9
    over = np.cross(side, d)
    angle = np.arange(8) * (2 * np.pi / 8)
    ring = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * over
    points = np.stack([starts, ends], axis=1)[:, :, None] + ring * radii[:, None, None, None]
    points = points.reshape(len(starts), -1, 3)
    points[..., 1] = np.maximum(points[..., 1], 0)
    ground: Array = points - d * (points[..., 1:2] / max(float(d[1]), 0.2))
    return ground
