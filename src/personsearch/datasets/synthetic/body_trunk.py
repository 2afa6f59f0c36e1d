"""Chest, shoulders, hips, and the garments around them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from personsearch.datasets.synthetic.appearance import Appearance
from personsearch.datasets.synthetic.builder import Builder, Material
from personsearch.datasets.synthetic.pose import Skeleton
from personsearch.datasets.synthetic.primitives import FRUSTUM
from personsearch.types import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class _Girth:
    """Half widths of the dressed trunk as shares of the height, and the garment's allowance."""

    loose: float
    waist: float
    chest: float
    hip: float


def add_trunk(build: Builder, person: Appearance, bones: Skeleton) -> None:
    """The trunk in its upper garment, and everything that hangs from the waist."""
    b = person.build
    loose = 0.004 * person.looseness
    loose += {"t-shirt": 0, "long-sleeve": 0.001, "jacket": 0.007}.get(person.upper, 0.008)
    girth = _Girth(
        loose=loose,
        waist=(0.079 if person.female else 0.084) * b + loose,
        chest=(0.086 if person.female else 0.096) * b**0.8 + loose,
        hip=(0.093 if person.female else 0.088) * b + loose * 0.5,
    )
    top = _upper_material(build, person, bones.height)
    _chest(build, person, bones, top, girth)
    _shoulders(build, bones, top, girth)
    _hips(build, person, bones, top, girth)
    _collar(build, person, bones, top)


def _upper_material(build: Builder, person: Appearance, height: float) -> int:
    zipped = person.upper in ("jacket", "hoodie", "coat") and not person.open_front
    return build.material(
        Material(
            rule="torso",
            cloth=person.top,
            measures={
                "height": height,
                "open": float(person.open_front),
                "zip": float(zipped),
                "straps": {"backpack": 1.0, "shoulder-bag": 2.0}.get(person.bag, 0.0),
                "low_neck": float(person.upper in ("t-shirt", "dress")),
            },
            extra={"inner": person.inner, "strap": person.bag_colour, "skin": person.skin},
        )
    )


def _texture(bones: Skeleton) -> tuple[Array, Array]:
    """The trunk's texture frame: y up from the waist."""
    return bones.waist, bones.trunk.T


def _waistline(bones: Skeleton) -> Array:
    line: Array = bones.waist - bones.trunk[:, 1] * 0.01 * bones.height
    return line


def _chest(build: Builder, person: Appearance, bones: Skeleton, top: int, girth: _Girth) -> None:
    """From the waist to below the shoulders; open below, so that no round end shows under a hem."""
    h, trunk, b = bones.height, bones.trunk, person.build
    ahead, texture = trunk[:, 2], _texture(bones)
    depth = 0.66 + 0.12 * (b - 1)
    high = bones.chest - trunk[:, 1] * 0.028 * h
    low = _waistline(bones)
    mid = low + (high - low) * 0.62
    mid_r = girth.waist + (girth.chest - girth.waist) * 0.62
    radii = (mid_r * h, girth.chest * h)
    build.limb(mid, high, radii, top, front=ahead, flat=(1, depth), texture=texture)
    flank = mid + (high - low) * 0.05
    radii = (girth.waist * h, (mid_r + 0.0005) * h)
    build.limb(low, flank, radii, top, front=ahead, flat=(1, depth), kind=FRUSTUM, texture=texture)
    if person.female:
        for side in (1, -1):
            place = bones.chest + trunk @ np.array([0.036 * side * b, -0.035, 0.036]) * h
            build.ball(place, (0.037 * h, 0.036 * h, 0.028 * h), top, trunk, texture=texture)
    elif b > 1.08:
        belly = bones.waist + trunk @ np.array([0, 0.01, 0.012]) * h
        size = (0.076 * b * h, 0.085 * h, 0.062 * b * h)
        build.ball(belly, size, top, trunk, texture=texture)


def _shoulders(build: Builder, bones: Skeleton, top: int, girth: _Girth) -> None:
    """A beam from shoulder to shoulder, and the slopes from the neck."""
    h, up = bones.height, bones.trunk[:, 1]
    ahead, texture = bones.trunk[:, 2], _texture(bones)
    right, left = bones.shoulders
    middle = (right + left) / 2
    ends = [middle + (end - middle) * 0.74 - up * 0.008 * h for end in (right, left)]
    thick = (0.031 + girth.loose) * h
    build.limb(ends[0], ends[1], (thick, thick), top, front=ahead, texture=texture)
    radii = ((0.027 + girth.loose) * h, (0.024 + girth.loose) * h)
    for shoulder in bones.shoulders:
        start = bones.neck - up * 0.018 * h
        end = middle + (shoulder - middle) * 0.9 + up * 0.006 * h
        build.limb(start, end, radii, top, front=ahead, texture=texture)


def _hips(build: Builder, person: Appearance, bones: Skeleton, top: int, girth: _Girth) -> None:
    """The seat, and what hangs over it: a hem, a skirt, a coat."""
    h, up = bones.height, bones.trunk[:, 1]
    ahead, texture = bones.trunk[:, 2], _texture(bones)
    hips, low = bones.hips.mean(axis=0), _waistline(bones)
    skirt = person.lower in ("skirt", "long-skirt")
    seat = lower_material(build, person, bones, "seat")
    radii = (girth.hip * h, (girth.waist - girth.loose - 0.004) * h)
    start, end = hips - np.array([0, 0.005 * h, 0]), hips + (bones.waist - hips) * 0.5
    build.limb(start, end, radii, seat, front=ahead, flat=(1, 0.74), texture=texture)
    if person.upper in ("coat", "dress"):
        reach = 0.30 if person.upper == "coat" else 0.32
        _skirt(build, person, bones, top, (low, reach, girth.hip + 0.006, texture))
        return
    hem = -0.03 if skirt else -0.06 if person.upper == "hoodie" else -0.075
    radii = (girth.waist * h, (girth.hip + girth.loose * 0.6 + 0.003) * h)
    brim, down = low + up * 0.008 * h, bones.waist + up * hem * h
    build.limb(brim, down, radii, top, front=ahead, flat=(1, 0.72), kind=FRUSTUM, texture=texture)
    if skirt:
        reach = 0.34 if person.lower == "long-skirt" else 0.21
        _skirt(build, person, bones, seat, (low, reach, girth.hip + 0.006, texture))


def _collar(build: Builder, person: Appearance, bones: Skeleton, top: int) -> None:
    h, up = bones.height, bones.trunk[:, 1]
    ahead, texture = bones.trunk[:, 2], _texture(bones)
    if person.upper == "hoodie":
        place = bones.neck - up * 0.012 * h - ahead * 0.03 * h
        build.ball(place, (0.055 * h, 0.034 * h, 0.035 * h), top, bones.trunk, texture=texture)
    if person.upper in ("coat", "jacket"):
        low = bones.neck - up * 0.03 * h
        radii = (0.052 * h, 0.042 * h)
        build.limb(low, low + up * 0.034 * h, radii, top, front=ahead, kind=FRUSTUM, texture=texture)


def _skirt(
    build: Builder,
    person: Appearance,
    bones: Skeleton,
    material: int,
    cut: tuple[Array, float, float, tuple[Array, Array]],
) -> None:
    """Cloth hanging from the waist, wide enough for the legs in it."""
    top, reach, hip_r, texture = cut
    h = bones.height
    hem_y = top[1] - reach * h
    at_hem = []
    for hip, knee, ankle in zip(bones.hips, bones.knees, bones.ankles, strict=True):
        a, c = (hip, knee) if hem_y > knee[1] else (knee, ankle)
        at_hem.append(a + (c - a) * np.clip((a[1] - hem_y) / max(a[1] - c[1], 1e-6), 0, 1))
    legs = np.array(at_hem)
    middle = legs.mean(axis=0)
    middle[1] = hem_y
    leg_r = (0.06 * person.build**0.8 + 0.004 * person.looseness) * h
    width = max(float(np.abs(legs[:, 0] - middle[0]).max()) + leg_r, (hip_r + 0.012) * h)
    depth = max(float(np.abs(legs[:, 2] - middle[2]).max()) + leg_r, hip_r * 0.74 * h)
    ratio = float(np.clip(depth / width, 0.6, 1.6))
    hips = bones.hips.mean(axis=0)
    fullest = hips + (middle - hips) * 0.05
    around = abs(float(bones.hips[0, 0] - hips[0])) / h + 0.053 * person.build**0.8 + 0.004 * person.looseness
    hip_r = max(hip_r, (around + 0.004) / 1.05)
    top = top + bones.trunk[:, 1] * 0.008 * h
    radii = (hip_r * 0.92 * h, hip_r * 1.05 * h)
    ahead = bones.trunk[:, 2]
    upper = hip_r * 1.05 * h
    mix = 0.5 * (ratio + 0.76)
    flat = (1.0, 0.5 * (mix + 0.76))
    build.limb(top, fullest, radii, material, front=ahead, flat=flat, kind=FRUSTUM, texture=texture)
    build.limb(
        hips + np.array([0, 0.012 * h, 0]),
        middle,
        (upper * 0.98, max(width, depth / mix)),
        material,
        front=ahead,
        flat=(1, mix),
        kind=FRUSTUM,
        texture=texture,
    )


def lower_material(build: Builder, person: Appearance, bones: Skeleton, place: str) -> int:
    """What the lower garment is made of, at the ``seat`` or along a ``leg``."""
    rule = "belt" if place == "seat" and person.lower in ("trousers", "shorts") else "cloth"
    return build.material(
        Material(rule=rule, cloth=person.bottom, measures={"height": bones.height}, rough=0.12)
    )
