"""A pinhole camera over a ground plane.

World: metres, x right, y up, z away from the camera, ground at y = 0, camera above the
origin. Camera: x right, y down, z forward. Pixels: x right, y down, continuous.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from personsearch.types import Array


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Where the picture is taken from.

    Attributes:
        size: (width, height) in pixels.
        focal: focal length in pixels.
        height: metres above the ground.
        pitch: radians, looking down is positive.
        roll: radians, clockwise is positive.

    >>> camera = Camera(size=(640, 480), focal=500, height=1.6, pitch=0.0, roll=0.0)
    >>> camera.project(np.array([[0, 1.6, 5.0], [1, 0.0, 5.0]])).tolist()
    [[320.0, 240.0], [420.0, 400.0]]
    """

    size: tuple[int, int]
    focal: float
    height: float
    pitch: float
    roll: float

    @cached_property
    def centre(self) -> Array:
        """(3,) the camera's place in the world."""
        return np.array([0.0, self.height, 0.0])

    @cached_property
    def rotation(self) -> Array:
        """(3, 3) rows: the camera's right, down and forward in the world."""
        cp, sp, cr, sr = math.cos(self.pitch), math.sin(self.pitch), math.cos(self.roll), math.sin(self.roll)
        right, down, forward = (
            np.array([1.0, 0.0, 0.0]),
            np.array([0.0, -cp, -sp]),
            np.array([0.0, -sp, cp]),
        )
        return np.stack([cr * right + sr * down, cr * down - sr * right, forward])

    def to_camera(self, points: Array) -> Array:
        """(..., 3) world points in the camera's frame."""
        result: Array = (points - self.centre) @ self.rotation.T
        return result

    def project(self, points: Array) -> Array:
        """(..., 2) pixels of world points (..., 3); they must lie before the camera."""
        seen = self.to_camera(np.asarray(points, dtype=np.float64))
        width, height = self.size
        xy = seen[..., :2] / seen[..., 2:]
        pixels: Array = xy * self.focal + np.array([width / 2, height / 2])
        return pixels

    def jacobian(self, points: Array) -> Array:
        """(n, 2, 3) pixels a metre: derivative of :meth:`project` at world points (n, 3)."""
        seen = self.to_camera(points)
        right, down, forward = self.rotation
        z = seen[:, 2, None]
        rows = [
            (axis[None] - seen[:, i, None] / z * forward[None]) * self.focal / z
            for i, axis in enumerate((right, down))
        ]
        return np.stack(rows, axis=1)

    def ground(self, pixels: Array) -> Array:
        """(n, 3) the ground points seen at ``pixels`` (n, 2), which must lie below the horizon."""
        width, height = self.size
        rays = (
            np.concatenate(
                [
                    (np.asarray(pixels, dtype=np.float64) - np.array([width / 2, height / 2])) / self.focal,
                    np.ones((len(pixels), 1)),
                ],
                axis=1,
            )
            @ self.rotation
        )
        return self.centre + rays * (self.height / -rays[:, 1:2])

    @property
    def horizon(self) -> float:
        """Pixel row of the horizon in the middle of the picture."""
        return self.size[1] / 2 - self.focal * math.tan(self.pitch)

    def plane(self, origin: Array, along: Array, across: Array) -> Array:
        """(3, 3) homography from plane coordinates (metres along, across) to pixels."""
        width, height = self.size
        inner = np.array([[self.focal, 0, width / 2], [0, self.focal, height / 2], [0, 0, 1.0]])
        columns = np.stack([along, across, np.asarray(origin) - self.centre], axis=1)
        result: Array = inner @ self.rotation @ columns
        return result
