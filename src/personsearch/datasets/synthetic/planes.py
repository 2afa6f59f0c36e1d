"""Textured planes in perspective: ground, walls and ceilings."""

from __future__ import annotations

import cv2
import numpy as np

from personsearch.datasets.synthetic.camera import Camera
from personsearch.types import Array

NEAR = 0.35
"""Metres before the camera's plane within which nothing is drawn."""


def clip_near(points: Array, camera: Camera) -> Array:
    """The polygon ``points`` (n, 3) cut to what lies at least ``NEAR`` before the camera; maybe (0, 3)."""
    depth = camera.to_camera(points)[:, 2] - NEAR
    if depth.min() > 0:
        return points
    kept: list[Array] = []
    for i in range(len(points)):
        a, b = points[i - 1], points[i]
        da, db = depth[i - 1], depth[i]
        if (da > 0) != (db > 0):
            kept.append(a + (b - a) * (da / (da - db)))
        if db > 0:
            kept.append(b)
    return np.array(kept).reshape(-1, 3)


def outline(points: Array, camera: Camera) -> Array:
    """(n, 2) pixels of a convex polygon (n, 3), cut to the picture and a margin; maybe empty."""
    kept = clip_near(points, camera)
    if len(kept) < 3:
        return np.zeros((0, 2))
    return _clip_to_picture(camera.project(kept), camera.size)


def _clip_to_picture(pixels: Array, size: tuple[int, int], margin: float = 48.0) -> Array:
    """The polygon cut at four lines ``margin`` outside the picture."""
    low, high = -margin, np.array(size) + margin
    if pixels.min() >= low and (pixels <= high).all():
        return pixels
    for axis in (0, 1):
        for sign, limit in ((1.0, low), (-1.0, -float(high[axis]))):
            inside = sign * pixels[:, axis] - limit
            kept: list[Array] = []
            for i in range(len(pixels)):
                if (inside[i - 1] > 0) != (inside[i] > 0):
                    share = inside[i - 1] / (inside[i - 1] - inside[i])
                    kept.append(pixels[i - 1] + (pixels[i] - pixels[i - 1]) * share)
                if inside[i] > 0:
                    kept.append(pixels[i])
            if len(kept) < 3:
                return np.zeros((0, 2))
            pixels = np.array(kept)
    return pixels


def fixed(points: Array) -> Array:
    """Pixels as OpenCV draws them with 4 fractional bits (its pixel centres are whole numbers)."""
    return np.round((points - 0.5) * 16).astype(np.int32)


def paint_plane(
    image: Array,
    camera: Camera,
    corners: tuple[Array, Array, Array],
    extent: tuple[float, float, float, float],
    texture: Array,
    scale: float,
) -> None:
    """Paint a repeating texture on a rectangle of a plane, in place.

    Args:
        image: (h, w, 3) uint8.
        camera: whose picture.
        corners: origin, and unit directions ``along`` and ``across`` in the world.
        extent: along from, across from, along to, across to, in metres from the origin.
        texture: (th, tw, 3) uint8; its row 0 lies at across = 0, repeated in both directions.
        scale: texture pixels a metre.
    """
    origin, along, across = corners
    a0, b0, a1, b1 = extent
    polygon = np.array([origin + a * along + b * across for a, b in ((a0, b0), (a1, b0), (a1, b1), (a0, b1))])
    points = outline(polygon, camera)
    if len(points) < 3:
        return
    width, rows = camera.size
    left, top = np.clip(np.floor(points.min(axis=0)).astype(int), 0, (width, rows))
    right, bottom = np.clip(np.ceil(points.max(axis=0)).astype(int) + 1, 0, (width, rows))
    if left >= right or top >= bottom:
        return
    plane = camera.plane(origin, along, across) @ np.diag([1 / scale, 1 / scale, 1.0])
    shift = np.array([[1, 0, -left - 0.5], [0, 1, -top - 0.5], [0, 0, 1.0]])
    warped = cv2.warpPerspective(
        texture,
        shift @ plane,
        (int(right - left), int(bottom - top)),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP,
    )
    mask = np.zeros((bottom - top, right - left), np.uint8)
    cv2.fillConvexPoly(mask, fixed(points - (left, top)), 255, cv2.LINE_8, 4)
    cv2.copyTo(warped, mask, image[top:bottom, left:right])


def paint_ground(image: Array, camera: Camera, texture: Array, scale: float, turn: float) -> None:
    """Paint the whole ground with ``texture``, softer further away as the eye sees it, in place."""
    c, s = np.cos(turn), np.sin(turn)
    along, across = np.array([c, 0, s]), np.array([-s, 0, c])
    reach = 400.0
    bands = ((0.0, 6.0, 1), (6.0, 14.0, 2), (14.0, 32.0, 4), (32.0, reach, 16))
    for near, far, smaller in bands:
        soft = texture
        if smaller > 1:
            size = (texture.shape[1] // smaller, texture.shape[0] // smaller)
            soft = cv2.resize(texture, size, interpolation=cv2.INTER_AREA)
        polygon = np.array([[-reach, 0, near], [reach, 0, near], [reach, 0, far], [-reach, 0, far]])
        points = outline(polygon, camera)
        if len(points) < 3:
            continue
        width, rows = camera.size
        top = int(np.clip(np.floor(points[:, 1].min()), 0, rows))
        bottom = int(np.clip(np.ceil(points[:, 1].max()) + 1, 0, rows))
        if top >= bottom:
            continue
        step = smaller / scale
        plane = camera.plane(np.zeros(3), along, across) @ np.diag([step, step, 1.0])
        shift = np.array([[1, 0, -0.5], [0, 1, -top - 0.5], [0, 0, 1.0]])
        size = (width, bottom - top)
        warped = cv2.warpPerspective(
            soft, shift @ plane, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        mask = np.zeros((bottom - top, width), np.uint8)
        cv2.fillConvexPoly(mask, fixed(points - (0, top)), 255, cv2.LINE_8, 4)
        cv2.copyTo(warped, mask, image[top:bottom])
