"""Things with flat faces: lit, sorted and filled as polygons."""

from __future__ import annotations

import math

import cv2
import numpy as np

from personsearch.datasets.synthetic.camera import Camera
from personsearch.datasets.synthetic.planes import fixed, outline
from personsearch.datasets.synthetic.render import Layer, Light
from personsearch.types import Array

Face = tuple[Array, Array]
"""(k, 3) corners in order, and (3,) display colour."""


def prism(footprint: Array, low: float, high: float, colour: Array, taper: float = 1.0) -> list[Face]:
    """A standing prism over ``footprint`` (k, 2) in x and z, its top ``taper`` times as wide."""
    middle = footprint.mean(axis=0)
    top2 = middle + (footprint - middle) * taper
    bottom = np.insert(footprint, 1, low, axis=1)
    top = np.insert(top2, 1, high, axis=1)
    k = len(footprint)
    faces = [(np.array([bottom[i], bottom[(i + 1) % k], top[(i + 1) % k], top[i]]), colour) for i in range(k)]
    return [*faces, (top, colour)]


def box_at(
    place: tuple[float, float],
    size: tuple[float, float],
    span: tuple[float, float],
    turn: float,
    colour: Array,
) -> list[Face]:
    """A box of ``size`` (x, z) metres from ``span[0]`` to ``span[1]`` high, turned about its middle."""
    w, d = size[0] / 2, size[1] / 2
    return prism(turned(np.array([[-w, -d], [w, -d], [w, d], [-w, d]]), place, turn), *span, colour)


def round_at(
    place: tuple[float, float], radius: float, span: tuple[float, float], colour: Array, taper: float = 1.0
) -> list[Face]:
    """A cylinder or cone stump of 14 faces."""
    a = np.arange(14) * (2 * math.pi / 14)
    ring = np.stack([np.cos(a), np.sin(a)], axis=1) * radius + np.array(place)
    return prism(ring, *span, colour, taper)


def turned(points: Array, place: tuple[float, float], turn: float) -> Array:
    """Ground points (n, 2) turned by ``turn`` and moved to ``place``."""
    c, s = math.cos(turn), math.sin(turn)
    result: Array = points @ np.array([[c, s], [-s, c]]) + np.array(place)
    return result


def draw_faces(faces: list[Face], camera: Camera, light: Light, distance: float) -> Layer | None:
    """All faces, far to near, as one layer; None when none of it is before the camera."""
    shapes = []
    for corners, colour in faces:
        centre = corners.mean(axis=0)
        away = centre - camera.centre
        (ax, ay, az), (bx, by, bz) = (corners[1] - corners[0]).tolist(), (corners[2] - corners[1]).tolist()
        normal = np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
        normal /= math.sqrt(float(normal @ normal)) + 1e-9
        if normal @ away > 0:
            normal = -normal
        points = outline(corners, camera)
        if len(points) < 3:
            continue
        facing = max(float(normal @ light.direction), 0.0)
        up = 0.5 + 0.5 * normal[1]
        lit = np.asarray(colour) ** 2 * (facing * light.sun + up * light.sky + (1 - up) * light.bounce)
        shapes.append((float(away @ away), points, np.sqrt(np.clip(lit, 0, 1))))
    if not shapes:
        return None
    everything = np.concatenate([shape[1] for shape in shapes])
    width, rows = camera.size
    left, top = np.floor(np.clip(everything.min(axis=0), -20, (width, rows))).astype(int) - 1
    right, bottom = np.ceil(np.clip(everything.max(axis=0), 0, (width + 20, rows + 20))).astype(int) + 1
    if right - left < 2 or bottom - top < 2:
        return None
    image = np.zeros((bottom - top, right - left, 3), np.float32)
    coverage = np.zeros((bottom - top, right - left), np.float32)
    for _, points, colour in sorted(shapes, key=lambda shape: -shape[0]):
        at = fixed(points - (left, top))
        cv2.fillPoly(image, [at], colour.tolist(), cv2.LINE_8, 4)
        cv2.fillPoly(coverage, [at], 1.0, cv2.LINE_8, 4)
    soft = cv2.blur(coverage, (3, 3))
    image = cv2.blur(image, (3, 3)) / np.maximum(soft, 1e-3)[..., None]
    return Layer(corner=(int(left), int(top)), colour=image, coverage=soft, distance=distance)
