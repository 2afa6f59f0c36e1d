"""One body as a layer: lit colours, coverage and outline, in its own window of the picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from personsearch.datasets.synthetic.builder import Body
from personsearch.datasets.synthetic.camera import Camera
from personsearch.datasets.synthetic.cloth import surface_colour
from personsearch.datasets.synthetic.primitives import Primitives
from personsearch.datasets.synthetic.raycast import Hits, bounds, cast
from personsearch.types import Array

FINE_BELOW = 140
"""People lower than this many pixels are ray-cast at twice the resolution; others get soft edges."""


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


def render_body(body: Body, solids: Primitives, camera: Camera, light: Light, folds: Array) -> Layer:
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
    fine = 2 if bottom - top < FINE_BELOW else 1
    hits = cast(solids, camera, fine, (left * fine, top * fine, right * fine, bottom * fine))
    colour = _lit(body, solids, hits, light, folds)
    rows, columns = hits.shape
    flat = np.zeros((rows * columns, 4), np.float32)
    flat[hits.pixel, :3] = colour
    flat[hits.pixel, 3] = 1
    image: Array = flat.reshape(rows, columns, 4)
    if fine > 1:
        image = cv2.resize(image, (columns // fine, rows // fine), interpolation=cv2.INTER_AREA)
    else:
        image = cv2.GaussianBlur(image, (3, 3), 0.55)
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
    t = hits.texture
    base = np.empty((len(t), 3), np.float32)
    traits = np.array([(m.rough, m.gloss, m.soft) for m in body.materials], np.float32)
    rough, gloss, soft = traits[solids.material[hits.solid]].T
    for i, span in hits.spans(solids.material):
        base[span] = surface_colour(body.materials[i], t[span])
    n = _softened(hits, soft)
    size = len(folds)
    a = ((t[:, 0] + 0.7 * t[:, 2] + 0.3 * t[:, 1]) * 230).astype(np.int32) & (size - 1)
    b = (t[:, 1] * 120).astype(np.int32) & (size - 1)
    wrinkle = folds[b, a] * rough
    facing = n @ light.direction.astype(np.float32)
    facing += wrinkle * 1.2
    np.maximum(facing, 0, out=facing)
    up = 0.5 + 0.5 * n[:, 1]
    open_ = _hollow(hits) * (1 + 0.3 * wrinkle)
    for c in range(3):  # sun, sky from above, light from the ground below
        base[:, c] *= (
            facing * light.sun[c] + up * (light.sky[c] - light.bounce[c]) + light.bounce[c]
        ) * open_
    shiny = np.flatnonzero(gloss)
    if len(shiny):
        half = light.direction + np.array([0, 0.1, -1.0])
        half /= np.linalg.norm(half)
        shine = np.clip(n[shiny] @ half.astype(np.float32), 0, 1) ** 24 * gloss[shiny]
        base[shiny] += shine[:, None] * light.sun
    return base


def _softened(hits: Hits, soft: Array) -> Array:
    """(n, 3) unit normals, cloth smoothed over the seams of the solids below it."""
    rows, columns = hits.shape
    image = np.zeros((rows * columns, 3), np.float32)
    image[hits.pixel] = hits.normal
    reach = max(3, rows // 26) | 1
    mean: Array = cv2.blur(image.reshape(rows, columns, 3), (reach, reach)).reshape(-1, 3)[hits.pixel]
    mean /= np.sqrt(np.einsum("ij,ij->i", mean, mean))[:, None] + np.float32(1e-6)
    mean -= hits.normal
    mean *= soft[:, None]
    mean += hits.normal
    return mean


def _hollow(hits: Hits) -> Array:
    """(n,) how open every pixel is: 1, less where its surroundings are nearer to the camera."""
    rows, columns = hits.shape
    image = np.zeros((rows * columns, 2), np.float32)
    image[hits.pixel, 0] = hits.depth
    image[hits.pixel, 1] = 1
    reach = max(3, rows // 14) | 1
    mean = cv2.blur(image.reshape(rows, columns, 2), (reach, reach)).reshape(-1, 2)[hits.pixel]
    behind = np.clip(hits.depth - mean[:, 0] / mean[:, 1], 0, 0.12)
    result: Array = 1 - 4.0 * behind
    return result
