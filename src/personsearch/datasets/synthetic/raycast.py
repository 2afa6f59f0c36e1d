"""Ray-casting of one body: depth, solid, normal and texture place of every pixel it covers.

Every solid is met analytically in its own small window. Within one window the rays are
taken as parallel: the projection is linearised at the solid's middle, so that the error
is of second order in (solid's size / distance) and joints stay where perspective puts
them. A stretched solid is round in its own frame, where a ray stays a ray; so every
surface is one quadric F(q) = q.Sq + 2w.q + k along q = q0 + u gu + v gv + t d, and the
depth t of a pixel (u, v) solves A t^2 + 2B t + C = 0 with A constant, B linear and the
discriminant quadratic in (u, v).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from personsearch.datasets.synthetic.camera import Camera
from personsearch.datasets.synthetic.primitives import CAPSULE, FRUSTUM, Primitives
from personsearch.types import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Hits:
    """What the rays of one window met, as flat columns over the pixels that were hit.

    Attributes:
        corner: (left, top) pixel of the window, in fine pixels.
        shape: (rows, columns) of the window, in fine pixels.
        pixel: (n,) flat index into the window; hits of one material stand together.
        solid: (n,) which primitive.
        depth: (n,) metres from the camera.
        place: (n, 3) metres in the world.
        normal: (n, 3) unit, outward.
        texture: (n, 3) metres in the solid's texture frame.
    """

    corner: tuple[int, int]
    shape: tuple[int, int]
    pixel: Array
    solid: Array
    depth: Array
    place: Array
    normal: Array
    texture: Array

    def spans(self, group: Array) -> Iterator[tuple[int, slice]]:
        """Runs of hits whose solid is of one ``group`` (P,); hits are sorted by ``group``'s order."""
        changes = np.flatnonzero(np.diff(group[self.solid])) + 1
        edges = [0, *changes.tolist(), len(self.solid)]
        for start, stop in pairwise(edges):
            if start < stop:
                yield int(group[self.solid[start]]), slice(start, stop)


def bounds(solids: Primitives, camera: Camera) -> Array:
    """(P, 4) x1 y1 x2 y2 of every solid's outline in pixels, each linearised at its middle."""
    boxes = _end_bounds(solids, camera)
    return np.concatenate([boxes[..., :2].min(axis=0), boxes[..., 2:].max(axis=0)], axis=1)


def _end_bounds(solids: Primitives, camera: Camera) -> Array:
    """(2, P, 4) the same of both ends of every solid."""
    middle = solids.centres()
    jacobian = camera.jacobian(middle)
    low, high = solids.end_extents(jacobian)
    shift = camera.project(middle) - np.einsum("pkj,pj->pk", jacobian, middle)
    return np.concatenate([low + shift, high + shift], axis=2)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Rays:
    """Affine rays of every solid: pixel (u, v) from its middle, at depth t from there."""

    middle: Array  # (P, 3) world
    pixel: Array  # (P, 2) fine pixels of the middle
    right: Array  # (P, 3) metres a fine pixel
    down: Array  # (P, 3)
    ahead: Array  # (P, 3) unit
    distance: Array  # (P,)


def _rays(solids: Primitives, camera: Camera, fine: int) -> _Rays:
    middle = solids.centres()
    jacobian = camera.jacobian(middle) * fine
    gram = np.einsum("pij,pkj->pik", jacobian, jacobian)
    inverse = np.einsum("pij,pik->pjk", jacobian, np.linalg.inv(gram))
    offset = middle - camera.centre
    distance = np.linalg.norm(offset, axis=1)
    return _Rays(
        middle=middle,
        pixel=camera.project(middle) * fine,
        right=inverse[:, :, 0],
        down=inverse[:, :, 1],
        ahead=offset / distance[:, None],
        distance=distance,
    )


def _surface(square: Array, linear: Array, constant: Array, local: tuple[Array, ...]) -> Array:
    """(P, 10) A, then B/A as 1 u v, then the discriminant / A^2 as 1 u v uu vv uv."""
    q0, gu, gv, d = local
    sd, su, sv = square * d, square * gu, square * gv
    a = np.sum(sd * d, axis=1)
    a = np.where(np.abs(a) < 1e-6, 1e-6, a)
    slope = square * q0 + linear
    b = np.stack([np.sum(x, axis=1) for x in (slope * d, gu * sd, gv * sd)])
    c = np.stack(
        [
            np.sum((slope + linear) * q0, axis=1) + constant,
            2 * np.sum(slope * gu, axis=1),
            2 * np.sum(slope * gv, axis=1),
            np.sum(su * gu, axis=1),
            np.sum(sv * gv, axis=1),
            2 * np.sum(su * gv, axis=1),
        ]
    )
    squares = np.stack([b[0] ** 2, 2 * b[0] * b[1], 2 * b[0] * b[2], b[1] ** 2, b[2] ** 2, 2 * b[1] * b[2]])
    return np.concatenate([a[None], b / a, (squares - a * c) / a**2]).T


def _surfaces(solids: Primitives, local: tuple[Array, ...]) -> tuple[Array, Array, Array, Array]:
    """Coefficients of first ball, last ball and cone, and the cone's (P, 2) valid range of y."""
    n = len(solids)
    length, first, last = solids.length, solids.first, solids.last
    one, zero = np.ones((n, 3)), np.zeros(n)
    at_end = np.stack([zero, -length, zero], axis=1)
    ball = _surface(one, 0 * one, -(first**2), local)
    other = _surface(one, at_end, length**2 - last**2, local)
    taper = (first - last) / np.maximum(length, 1e-6)
    open_ = solids.kind == FRUSTUM
    sine = np.where(open_, taper, np.clip(taper, -0.99, 0.99))
    cosine2 = np.where(open_, 1.0, 1 - sine**2)
    square = np.stack([cosine2, -(sine**2), cosine2], axis=1)
    cone = _surface(square, np.stack([zero, sine * first, zero], axis=1), -(first**2), local)
    span = np.stack([np.where(open_, 0, first * sine), np.where(open_, length, length + last * sine)], axis=1)
    return ball, other, cone, span


def _root(c: Array, u: Array, v: Array, sign: float = -1.0) -> Array:
    """Depth of a surface over the window; NaN where the ray passes it by."""
    found: Array = np.multiply.outer(c[9] * v + c[5], u)
    found += c[7] * u * u + c[4]
    found += (v * (c[8] * v + c[6]))[:, None]
    np.sqrt(found, out=found)
    if sign < 0:
        np.negative(found, out=found)
    found -= c[2] * u + c[1]
    found -= (c[3] * v)[:, None]
    return found


def cast(solids: Primitives, camera: Camera, fine: int, window: tuple[int, int, int, int]) -> Hits:
    """Meet ``solids`` with the rays of ``window`` (x1, y1, x2, y2 in fine pixels).

    Args:
        solids: in world metres, before the camera.
        camera: whose picture.
        fine: fine pixels a pixel, along each side (supersampling).
        window: fine pixels; may reach beyond the picture.
    """
    rays = _rays(solids, camera, fine)
    unstretch = solids.unstretch
    turn = [np.einsum("pij,pj->pi", unstretch, x) for x in (rays.middle - solids.start, rays.right)]
    turn += [np.einsum("pij,pj->pi", unstretch, x) for x in (rays.down, rays.ahead)]
    local = tuple(turn)
    x1, y1, x2, y2 = window
    depth = np.full((y2 - y1, x2 - x1), np.inf, np.float32)
    solid = np.full(depth.shape, -1, np.int16)
    surfaces = tuple(x.astype(np.float32) for x in _surfaces(solids, local))
    axis_y = np.stack([x[:, 1] for x in local], axis=1).astype(np.float32)
    ends = _end_bounds(solids, camera) * fine
    lows = np.clip(np.floor(ends[..., :2] - 0.5).astype(int), (x1, y1), (x2, y2))
    highs = np.clip(np.ceil(ends[..., 2:] + 0.5).astype(int), (x1, y1), (x2, y2))
    with np.errstate(invalid="ignore", over="ignore"):
        for k in np.argsort(rays.distance).tolist():
            (left, top), (right, bottom) = lows[:, k].min(axis=0).tolist(), highs[:, k].max(axis=0).tolist()
            if left >= right or top >= bottom:
                continue
            u = np.arange(left, right, dtype=np.float32) + np.float32(0.5 - rays.pixel[k, 0])
            v = np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - rays.pixel[k, 1])
            parts = np.concatenate([lows[:, k], highs[:, k]], axis=1) - (left, top, left, top)
            t = _meet(solids, k, surfaces, axis_y[k], (u, v), parts)
            t += np.float32(rays.distance[k])
            place = slice(top - y1, bottom - y1), slice(left - x1, right - x1)
            nearer = t < depth[place]
            np.copyto(depth[place], t, where=nearer)
            np.copyto(solid[place], k, where=nearer)
    return _describe(solids, rays, local, (depth, solid), (x1, y1))


def _meet(
    solids: Primitives,
    k: int,
    surfaces: tuple[Array, ...],
    axis_y: Array,
    uv: tuple[Array, Array],
    ends: Array,
) -> Array:
    """Depth of solid ``k`` over its window, from its middle; NaN where the ray passes it by.

    ``ends`` (2, 4) bounds both ends within the window: their balls need not be tried elsewhere.
    """
    first, last, cone, span = surfaces
    u, v = uv
    if solids.length[k] == 0:
        return _root(first[k], u, v)
    flat = axis_y[1] * u + (axis_y[0] + axis_y[2] * v)[:, None]
    side = _root(cone[k], u, v)
    y = axis_y[3] * side
    y += flat
    side[~((y >= span[k, 0]) & (y <= span[k, 1]))] = np.nan
    if cone[k, 0] < 0:  # looking into the cone: the near root may lie on its mirror image
        far = _root(cone[k], u, v, 1.0)
        y = flat + axis_y[3] * far
        far[~((y >= span[k, 0]) & (y <= span[k, 1]))] = np.nan
        side = np.fmin(side, far)
    if solids.kind[k] == CAPSULE:
        for ball, (left, top, right, bottom) in zip((first, last), ends.tolist(), strict=True):
            part = side[top:bottom, left:right]
            np.fmin(part, _root(ball[k], u[left:right], v[top:bottom]), out=part)
    return side


def _describe(
    solids: Primitives,
    rays: _Rays,
    local: tuple[Array, ...],
    buffers: tuple[Array, Array],
    corner: tuple[int, int],
) -> Hits:
    """Place, normal and texture place of every pixel hit, from the depth and solid buffers."""
    depth, solid = buffers
    pixel = np.flatnonzero(solid.ravel() >= 0)
    material = solids.material.astype(np.uint8)[solid.ravel()[pixel]]
    pixel = pixel[np.argsort(material, kind="stable")]
    k = solid.ravel()[pixel].astype(np.intp)
    far = depth.ravel()[pixel]
    rows, columns = np.divmod(pixel, depth.shape[1])
    u = (columns + (corner[0] + 0.5) - rays.pixel[k, 0]).astype(np.float32)[:, None]
    v = (rows + (corner[1] + 0.5) - rays.pixel[k, 1]).astype(np.float32)[:, None]
    t = (far - rays.distance[k]).astype(np.float32)[:, None]
    turned = [np.einsum("pij,pj->pi", solids.axes, x) for x in (rays.middle - solids.origin, rays.right)]
    turned += [np.einsum("pij,pj->pi", solids.axes, x) for x in (rays.down, rays.ahead)]
    world = (rays.middle, rays.right, rays.down, rays.ahead)
    table = np.concatenate(
        [np.concatenate(parts, axis=1) for parts in zip(world, local, turned, strict=True)], axis=1
    ).astype(np.float32)
    base = np.take(table[:, :9], k, axis=0)
    for i, factor in enumerate((u, v, t), start=1):
        base += np.take(table[:, 9 * i : 9 * i + 9], k, axis=0) * factor
    normal = _normals(solids, k, base[:, 3:6])
    return Hits(
        corner=corner,
        shape=depth.shape,
        pixel=pixel,
        solid=k,
        depth=far,
        place=base[:, :3],
        normal=normal,
        texture=base[:, 6:9],
    )


def _normals(solids: Primitives, k: Array, q: Array) -> Array:
    """(n, 3) outward unit normals in the world at local points ``q`` of solids ``k``."""
    taper = (solids.first - solids.last) / np.maximum(solids.length, 1e-6)
    open_ = solids.kind == FRUSTUM
    sine = np.where(solids.length > 0, np.where(open_, taper, np.clip(taper, -0.99, 0.99)), 0)
    slope = np.where(open_, sine, sine / np.sqrt(1 - np.minimum(sine**2, 0.999)))
    limits = np.where(open_[:, None], (-np.inf, np.inf), np.stack([0 * taper, solids.length], axis=1))
    table = np.concatenate([slope[:, None], limits], axis=1).astype(np.float32)[k]
    radius = np.sqrt(q[:, 0] ** 2 + q[:, 2] ** 2)
    foot = np.clip(q[:, 1] - radius * table[:, 0], table[:, 1], table[:, 2])
    back = solids.unstretch.astype(np.float32).reshape(-1, 9)[k]
    gradient: Array = (
        q[:, 0:1] * back[:, 0:3] + (q[:, 1] - foot)[:, None] * back[:, 3:6] + q[:, 2:3] * back[:, 6:9]
    )
    gradient /= np.sqrt(np.einsum("ij,ij->i", gradient, gradient))[:, None] + np.float32(1e-9)
    return gradient
