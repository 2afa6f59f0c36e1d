"""The ray-caster against arithmetic by hand, and against a slow one that knows no quadrics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.datasets.synthetic.camera import Camera
from personsearch.datasets.synthetic.primitives import CAPSULE, FRUSTUM, Primitives
from personsearch.datasets.synthetic.raycast import bounds, cast
from personsearch.types import Array

FAR = Camera(size=(80, 80), focal=4000.0, height=1.0, pitch=0.0, roll=0.0)
"""So far away (100 m) that rays are as good as parallel: 40 pixels a metre."""


def solid(
    start: Array,
    frame: Array,
    *,
    stretch: tuple[float, float, float] = (1, 1, 1),
    length: float = 0.0,
    radii: tuple[float, float] = (1, 1),
    kind: int = CAPSULE,
) -> Primitives:
    return Primitives(
        start=np.array([start], float),
        frame=np.array([frame], float),
        stretch=np.array([stretch], float),
        length=np.array([length]),
        first=np.array([radii[0]]),
        last=np.array([radii[1]]),
        kind=np.array([kind]),
        material=np.array([0]),
        origin=np.array([start], float),
        axes=np.array([frame], float),
    )


def random_frame(rng: np.random.Generator) -> Array:
    q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return q


def slow_distance(one: Primitives, points: Array) -> Array:
    """(n,) signed: negative inside the solid, in its own stretched frame; from the definition only.

    A tapered capsule is the union of all balls along its axis: 150 of them are tried. A
    frustum is the discs whose radius falls linearly.
    """
    q = (points - one.start[0]) @ one.frame[0].T / one.stretch[0]
    length, a, b = one.length[0], one.first[0], one.last[0]
    if one.kind[0] == FRUSTUM:
        share = np.clip(q[:, 1] / length, 0, 1)
        side = np.hypot(q[:, 0], q[:, 2]) - (a + (b - a) * share)
        return np.maximum(side, np.maximum(-q[:, 1], q[:, 1] - length))
    steps = np.linspace(0, 1, 150 if length else 1)
    gaps = np.hypot(np.hypot(q[:, :1], q[:, 2:]), q[:, 1:2] - steps * length) - (a + (b - a) * steps)
    return gaps.min(axis=1)


def slow_depth(one: Primitives, x: float, y: float) -> float:
    """Depth at pixel (x, y) by walking along the true ray in small steps; infinite for a miss."""
    ray = np.array([(x - 40) / FAR.focal, -(y - 40) / FAR.focal, 1.0])
    ray /= np.linalg.norm(ray)
    t = np.linspace(98.7, 101.3, 900)
    inside = np.flatnonzero(slow_distance(one, FAR.centre + t[:, None] * ray) < 0)
    return float(t[inside[0]]) if len(inside) else np.inf


def test_a_ball_by_hand() -> None:
    camera = Camera(size=(200, 200), focal=1000.0, height=1.0, pitch=0.0, roll=0.0)
    ball = solid(np.array([0, 1.0, 100.0]), np.eye(3), stretch=(2, 3, 1))
    assert bounds(ball, camera)[0] == pytest.approx([80, 70, 120, 130])
    hits = cast(ball, camera, 1, (70, 60, 130, 140))
    image = np.zeros(hits.shape)
    image.ravel()[hits.pixel] = hits.depth
    assert image[40, 30] == pytest.approx(99.0, abs=0.01)  # its near side, one metre before its middle
    assert (image[40] > 0).sum() == 40
    assert (image[:, 30] > 0).sum() == 60
    middle = np.flatnonzero(hits.pixel == 40 * 60 + 30)[0]
    assert hits.normal[middle] == pytest.approx([0, 0, -1], abs=0.05)


@pytest.mark.parametrize("kind", ["ball", "capsule", "frustum", "along the view"])
def test_agrees_with_a_slow_caster(kind: str) -> None:
    rng = np.random.default_rng(len(kind))
    for _ in range(2):
        frame = random_frame(rng)
        if kind == "along the view":
            frame = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
            one = solid(np.array([0, 1.0, 100.0]), frame, length=0.6, radii=(0.3, 0.6))
        elif kind == "ball":
            one = solid(np.array([0.1, 1.1, 100.0]), frame, stretch=(0.4, 0.7, 0.25))
        else:
            shape = FRUSTUM if kind == "frustum" else CAPSULE
            one = solid(
                np.array([0.1, 0.9, 100.0]),
                frame,
                stretch=(1, 1, 0.6),
                length=0.8,
                radii=(0.45, 0.2),
                kind=shape,
            )
        hits = cast(one, FAR, 1, (0, 0, 80, 80))
        image = np.full((80, 80), np.inf)
        image.ravel()[hits.pixel] = hits.depth
        places = [(x, y) for x in range(3, 80, 8) for y in range(3, 80, 8)]
        slow = np.array([slow_depth(one, x + 0.5, y + 0.5) for x, y in places])
        fast = np.array([image[y, x] for x, y in places])
        seen = np.isfinite(slow) & np.isfinite(fast)
        assert seen.sum() > 5
        if kind == "frustum":  # the fast one has no lids, so a ray may enter where the slow one meets a lid
            inside = np.isfinite(fast) <= np.isfinite(slow)
            assert inside.all()
            assert np.mean(np.abs(slow[seen] - fast[seen]) < 0.01) > 0.5
            assert (fast[seen] > slow[seen] - 0.01).all()
        else:
            assert (np.isfinite(slow) == np.isfinite(fast)).mean() > 0.98
            apart = np.abs(slow[seen] - fast[seen])
            assert np.median(apart) < 0.005
            assert apart.max() < 0.05  # where a ray grazes, a step along it is a long way down


def test_normals_point_where_the_solid_grows() -> None:
    rng = np.random.default_rng(5)
    one = solid(
        np.array([0.1, 0.9, 100.0]), random_frame(rng), stretch=(1, 1, 0.6), length=0.8, radii=(0.45, 0.2)
    )
    hits = cast(one, FAR, 1, (0, 0, 80, 80))
    rows = rng.choice(len(hits.pixel), 40, replace=False)
    normal = hits.normal[rows].astype(float)
    place = one.start[0] + (hits.local[rows].astype(float) * one.stretch[0]) @ one.frame[0]
    step = 1e-3
    slopes = [
        (slow_distance(one, place + step * e) - slow_distance(one, place - step * e)) / (2 * step)
        for e in np.eye(3)
    ]
    slow = np.stack(slopes, axis=1)
    slow /= np.linalg.norm(slow, axis=1)[:, None]
    assert np.median(np.sum(slow * normal, axis=1)) > 0.999
    assert np.sum(slow * normal, axis=1).min() > 0.97


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_bounds_are_the_outline(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = solid(
        np.array([rng.uniform(-0.2, 0.2), rng.uniform(0.8, 1.2), 100.0]),
        random_frame(rng),
        stretch=(1, 1, rng.uniform(0.4, 1)),
        length=rng.uniform(0.2, 0.8),
        radii=(rng.uniform(0.1, 0.3), rng.uniform(0.1, 0.3)),
    )
    hits = cast(one, FAR, 2, (-80, -80, 240, 240))
    rows, columns = np.divmod(hits.pixel, 320)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 2 - 40
    assert bounds(one, FAR)[0] == pytest.approx(box, abs=1.05)
    assert (bounds(one, FAR)[0][:2] <= box[:2] + 0.6).all()
    assert (bounds(one, FAR)[0][2:] >= box[2:] - 0.6).all()


def test_the_nearer_solid_wins() -> None:
    near = solid(np.array([0, 1.0, 99.0]), np.eye(3), stretch=(0.3, 0.3, 0.3))
    far = solid(np.array([0, 1.0, 100.0]), np.eye(3), stretch=(0.6, 0.6, 0.6))
    both = Primitives(
        **{name: np.concatenate([getattr(far, name), getattr(near, name)]) for name in vars(far)}
    )
    hits = cast(both, FAR, 1, (0, 0, 80, 80))
    image = np.full(6400, -1)
    image[hits.pixel] = hits.solid
    image = image.reshape(80, 80)
    assert image[40, 40] == 1
    assert image[40, 40 + 18] == 0
    assert image[0, 0] == -1
