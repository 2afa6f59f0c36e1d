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
from personsearch.datasets.synthetic.primitives import FRUSTUM, Primitives
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
        local: (n, 3) place in the solid's own frame, where cross-sections are round.
        normal: (n, 3) unit, outward.
        texture: (n, 3) metres in the solid's texture frame.
    """

    corner: tuple[int, int]
    shape: tuple[int, int]
    pixel: Array
    solid: Array
    depth: Array
    local: Array
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
    middle = solids.centres()
    jacobian = camera.jacobian(middle)
    low, high = solids.extents(jacobian)
    shift = camera.project(middle) - np.einsum("pkj,pj->pk", jacobian, middle)
    return np.concatenate([low + shift, high + shift], axis=1)


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


def _maps(surfaces: tuple[Array, ...], axis_y: Array, distance: Array) -> Array:
    """(P, 3, 7, 3) float32: polynomials in a pixel's (v, u), degrees 0 to 2, of what a window needs.

    The seven: discriminants of cone, first and last ball; minus B plus the distance of the
    same (so that depth is this less the root of the former); and the part of y on the axis,
    from the middle of its valid range, that does not depend on the depth.
    """
    first, last, cone, span = surfaces
    maps = np.zeros((len(cone), 3, 7, 3))
    for i, c in enumerate((cone, first, last)):
        maps[:, 0, i] = c[:, [4, 5, 7]]
        maps[:, 1, i, :2] = c[:, [6, 9]]
        maps[:, 2, i, 0] = c[:, 8]
        maps[:, 0, 3 + i, :2] = -c[:, [1, 2]]
        maps[:, 0, 3 + i, 0] += distance
        maps[:, 1, 3 + i, 0] = -c[:, 3]
    maps[:, 0, 6, :2] = axis_y[:, :2]
    maps[:, 0, 6, 0] -= axis_y[:, 3] * distance + span.mean(axis=1)
    maps[:, 1, 6, 0] = axis_y[:, 2]
    return maps.astype(np.float32)


_BALL, _OPEN, _ALL = [1, 4], [0, 3, 6], [0, 1, 2, 3, 4, 5, 6]


def _powers(start: int, stop: int, middle: float) -> Array:
    """(3, n) float32: 1, x, x^2 of the pixel centres from ``start`` to ``stop``, from ``middle``."""
    powers = np.empty((3, stop - start), np.float32)
    powers[0] = 1
    powers[1] = np.arange(start, stop)
    powers[1] += np.float32(0.5 - middle)
    np.multiply(powers[1], powers[1], out=powers[2])
    return powers


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
    surfaces = _surfaces(solids, local)
    axis_y = np.stack([x[:, 1] for x in local], axis=1)
    maps = _maps(surfaces, axis_y, rays.distance)
    half = np.diff(surfaces[3], axis=1)[:, 0] / 2
    mirror = surfaces[2][:, 0] < 0
    slope = axis_y[:, 3].astype(np.float32)
    boxes = bounds(solids, camera) * fine
    lows = np.clip(np.floor(boxes[:, :2] - 0.5).astype(int), (x1, y1), (x2, y2)).tolist()
    highs = np.clip(np.ceil(boxes[:, 2:] + 0.5).astype(int), (x1, y1), (x2, y2)).tolist()
    middles = rays.pixel.tolist()
    with np.errstate(invalid="ignore", over="ignore"):
        for k in np.argsort(rays.distance).tolist():
            (left, top), (right, bottom) = lows[k], highs[k]
            if left >= right or top >= bottom:
                continue
            used = _BALL if solids.length[k] == 0 else _OPEN if solids.kind[k] == FRUSTUM else _ALL
            across = maps[k][:, used].reshape(-1, 3) @ _powers(left, right, middles[k][0])
            found = _powers(top, bottom, middles[k][1]).T @ across.reshape(3, -1)
            t = _meet(found, len(used), right - left, (float(slope[k]), float(half[k]), bool(mirror[k])))
            place = slice(top - y1, bottom - y1), slice(left - x1, right - x1)
            nearer = t < depth[place]
            np.copyto(depth[place], t, where=nearer)
            np.copyto(solid[place], k, where=nearer)
    return _describe(solids, rays, local, (depth, solid), (x1, y1))


def _meet(found: Array, maps: int, width: int, axis: tuple[float, float, bool]) -> Array:
    """(h, width) depth of one solid over its window; NaN where the ray passes it by.

    Args:
        found: (h, maps * width) the evaluated maps of :func:`_maps`, side by side; overwritten.
        maps: how many: 2 for a ball, 3 for a frustum, 7 for a capsule.
        width: of the window.
        axis: change of y on the axis with depth, half its valid range, and whether the ray
            runs inside the cone's angle, where the near root may lie on its mirror image.
    """
    surfaces = maps // 2
    split = surfaces * width
    root = np.sqrt(found[:, :split], out=found[:, :split])
    t: Array = np.subtract(found[:, split : 2 * split], root)
    if maps == 2:
        return t
    slope, half, mirror = axis
    flat = found[:, 2 * split :]
    side = t[:, :width]
    far = found[:, split : split + width] + root[:, :width] if mirror else None
    _keep(side, flat, slope, half)
    if far is not None:
        _keep(far, flat, slope, half)
        np.fmin(side, far, out=side)
    for i in range(1, surfaces):
        np.fmin(side, t[:, i * width : (i + 1) * width], out=side)
    return side


def _keep(side: Array, flat: Array, slope: float, half: float) -> None:
    """Set ``side`` to NaN where it is met outside the valid part of the axis, in place."""
    y = side * np.float32(slope)
    y += flat
    np.abs(y, out=y)
    np.copyto(side, np.float32(np.nan), where=y > half)


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
    tables = [np.concatenate(pair, axis=1).astype(np.float32) for pair in zip(local, turned, strict=True)]
    base = np.take(tables[0], k, axis=0)
    for table, factor in zip(tables[1:], (u, v, t), strict=True):
        part = np.take(table, k, axis=0)
        part *= factor
        base += part
    normal = _normals(solids, k, base[:, :3])
    return Hits(
        corner=corner,
        shape=depth.shape,
        pixel=pixel,
        solid=k,
        depth=far,
        local=base[:, :3],
        normal=normal,
        texture=base[:, 3:6],
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
