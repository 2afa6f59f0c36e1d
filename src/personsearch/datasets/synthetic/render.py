"""One body as a layer: lit colours, coverage and outline, in its own window of the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from personsearch.datasets.synthetic.body import Body
from personsearch.datasets.synthetic.camera import Camera
from personsearch.datasets.synthetic.cloth import surface_colour
from personsearch.datasets.synthetic.primitives import Primitives
from personsearch.datasets.synthetic.raycast import Hits, bounds, cast
from personsearch.types import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Light:
    """How a place is lit, in linear light: direction to the sun, and colours of sun, sky and ground."""

    direction: Array
    sun: Array
    sky: Array
    bounce: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """Something to paste: display colours (h, w, 3) float32 in [0, 1], coverage (h, w), at (left, top).

    The window may reach beyond the picture; ``distance`` (metres along the ground) orders layers.
    """

    corner: tuple[int, int]
    colour: Array
    coverage: Array
    distance: float


def place_body(body: Body, position: tuple[float, float], facing: float) -> Primitives:
    """The body's solids in the world: standing at ground (x, z), turned by ``facing`` radians.

    Facing 0 looks away from the camera, pi/2 to the right.
    """
    c, s = math.cos(facing), math.sin(facing)
    rotation = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return body.solids.moved(rotation, np.array([position[0], 0.0, position[1]]))


def body_box(solids: Primitives, camera: Camera) -> Array:
    """(4,) x1 y1 x2 y2 of the whole outline, before occlusion, not clipped."""
    boxes = bounds(solids, camera)
    return np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])


def render_body(
    body: Body, solids: Primitives, camera: Camera, light: Light, folds: Array
) -> Layer:
    """Ray-cast and light one placed body.

    Args:
        body: for its materials.
        solids: the body's solids in the world (:func:`place_body`).
        camera, light: the scene's.
        folds: (n, n) tile of noise about 0, for wrinkles and weave.
    """
    box = body_box(solids, camera)
    left, top = math.floor(box[0]) - 1, math.floor(box[1]) - 1
    right, bottom = math.ceil(box[2]) + 1, math.ceil(box[3]) + 1
    fine = 2 if bottom - top < 300 else 1
    hits = cast(solids, camera, fine, (left * fine, top * fine, right * fine, bottom * fine))
    colour = _lit(body, solids, hits, light, folds)
    rows, columns = hits.shape
    flat = np.zeros((rows * columns, 4), np.float32)
    flat[hits.pixel, :3] = colour
    flat[hits.pixel, 3] = 1
    image = flat.reshape(rows, columns, 4)
    if fine > 1:
        image = cv2.resize(image, (columns // fine, rows // fine), interpolation=cv2.INTER_AREA)
    else:
        image = cv2.blur(image, (2, 2), anchor=(0, 0))
    coverage = image[..., 3]
    pixels = image[..., :3] / np.maximum(coverage, 1e-3)[..., None]
    return Layer(
        corner=(left, top),
        colour=np.sqrt(np.clip(pixels, 0, 1)),
        coverage=coverage,
        distance=float(np.median(solids.start[:, 2])),
    )


def _lit(body: Body, solids: Primitives, hits: Hits, light: Light, folds: Array) -> Array:
    """(n, 3) float32 linear colours of the pixels hit."""
    material = solids.material[hits.solid]
    base = np.empty((len(material), 3), np.float32)
    rough = np.zeros(len(material), np.float32)
    gloss = np.zeros(len(material), np.float32)
    for i in np.unique(material):
        mask = material == i
        base[mask] = surface_colour(body.materials[i], hits.texture[mask])
        rough[mask] = body.materials[i].rough
        gloss[mask] = body.materials[i].gloss
    n = hits.normal
    size = len(folds)
    t = hits.texture
    a = ((t[:, 0] + t[:, 2]) * 420).astype(np.int32) % size
    b = (t[:, 1] * 260).astype(np.int32) % size
    wrinkle = folds[b, a] * rough
    facing = np.clip(n @ light.direction.astype(np.float32) + wrinkle * 1.2, 0, None)
    up = (0.5 + 0.5 * n[:, 1])[:, None]
    shade = facing[:, None] * light.sun + up * light.sky + (1 - up) * light.bounce
    shade *= (1 + wrinkle)[:, None]
    shade *= _hollow(hits)[:, None]
    base *= shade
    if gloss.any():
        half = light.direction + np.array([0, 0.1, -1.0])
        half /= np.linalg.norm(half)
        shine = np.clip(n @ half.astype(np.float32), 0, 1) ** 24 * gloss
        base += shine[:, None] * light.sun
    return base


def _hollow(hits: Hits) -> Array:
    """(n,) how open every pixel is: 1, less where its surroundings are nearer to the camera."""
    rows, columns = hits.shape
    depth = np.full(rows * columns, np.nan, np.float32)
    depth[hits.pixel] = hits.depth
    image = depth.reshape(rows, columns)
    inside = (~np.isnan(image)).astype(np.float32)
    reach = max(3, rows // 14) | 1
    mean = cv2.blur(np.nan_to_num(image), (reach, reach))
    count = cv2.blur(inside, (reach, reach))
    near = (mean / np.maximum(count, 1e-3)).ravel()[hits.pixel]
    behind = np.clip(hits.depth - near, 0, 0.12)
    return 1 - 4.0 * behind
