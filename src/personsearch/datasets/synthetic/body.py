"""From an identity and a pose to the solids and cloths to render.

Widths are shares of the standing height unless a name says metres. Every garment is its
own solid a little outside the body; what it hides is not modelled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from personsearch.datasets.synthetic.appearance import Appearance, Cloth, Colour
from personsearch.datasets.synthetic.pose import Pose, Skeleton, skeleton
from personsearch.datasets.synthetic.primitives import CAPSULE, FRUSTUM, Primitives
from personsearch.types import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """What a surface shows: a rule of :mod:`cloth` with its colours and measures in metres."""

    rule: str
    cloth: Cloth
    measures: dict[str, float] = field(default_factory=dict)
    extra: dict[str, Colour] = field(default_factory=dict)
    rough: float = 0.1
    gloss: float = 0.0
    soft: float = 0.8


@dataclass(frozen=True, eq=False, kw_only=True)
class Body:
    """One person in the body's frame (soles on y = 0, facing z), ready to be placed."""

    solids: Primitives
    materials: tuple[Material, ...]
    height: float


_FORWARD = np.array([0.0, 0.0, 1.0])


def cross(a: Array, b: Array) -> Array:
    """Vector product of two single vectors, without the general one's overhead."""
    ax, ay, az = a.tolist()
    bx, by, bz = b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


class _Builder:
    """Collects solids; lengths in metres."""

    def __init__(self) -> None:
        self.rows: list[tuple[Array, Array, Array, float, float, float, int, int, Array, Array]] = []
        self.materials: list[Material] = []

    def material(self, material: Material) -> int:
        self.materials.append(material)
        return len(self.materials) - 1

    def limb(
        self,
        start: Array,
        end: Array,
        radii: tuple[float, float],
        material: int,
        *,
        front: Array | None = None,
        flat: tuple[float, float] = (1.0, 1.0),
        kind: int = CAPSULE,
        texture: tuple[Array, Array] | None = None,
        along: float = 0.0,
    ) -> None:
        """A tapered solid from ``start`` to ``end``; ``along`` is the texture's y at its start."""
        axis = end - start
        length = math.sqrt(float(axis @ axis))
        axis = axis / length
        ahead = _FORWARD if front is None else front
        ahead = ahead - axis * float(ahead @ axis)
        ahead = ahead / math.sqrt(float(ahead @ ahead))
        frame = np.array([cross(axis, ahead), axis, ahead])
        origin, axes = (start - axis * along, frame) if texture is None else texture
        stretch = np.array([flat[0], 1.0, flat[1]])
        self.rows.append((start, frame, stretch, length, *radii, kind, material, origin, axes))

    def ball(
        self,
        centre: Array,
        radii: tuple[float, float, float],
        material: int,
        axes: Array,
        *,
        texture: tuple[Array, Array] | None = None,
    ) -> None:
        """An ellipsoid; ``axes`` (3, 3) columns, ``radii`` along them."""
        frame = axes.T
        origin, turned = (centre, frame) if texture is None else texture
        row = (centre, frame, np.array(radii), 0.0, 1.0, 1.0, CAPSULE, material, origin, turned)
        self.rows.append(row)

    def done(self, height: float) -> Body:
        columns = [np.array(column, dtype=np.float64) for column in zip(*self.rows, strict=True)]
        names = (
            "start", "frame", "stretch", "length", "first", "last", "kind", "material", "origin", "axes",
        )  # fmt: skip
        fields = dict(zip(names, columns, strict=True))
        fields["kind"] = fields["kind"].astype(np.int64)
        fields["material"] = fields["material"].astype(np.int64)
        return Body(solids=Primitives(**fields), materials=tuple(self.materials), height=height)


def build_body(person: Appearance, pose: Pose) -> Body:
    """The solids of ``person`` in ``pose``."""
    bones = skeleton(pose, person.height, width=person.build**0.5, child=person.child)
    build = _Builder()
    _head(build, person, bones)
    _trunk(build, person, bones)
    _arms(build, person, bones)
    _legs(build, person, bones)
    _bag(build, person, bones)
    return build.done(person.height)


def _plain(colour: Colour) -> Cloth:
    return Cloth(first=colour)


def _head(build: _Builder, person: Appearance, bones: Skeleton) -> None:
    h, skull, head = bones.height, bones.skull, bones.head
    size = h * (1.16 if person.child else 1.0)
    skin = build.material(Material(rule="plain", cloth=_plain(person.skin), rough=0.03, gloss=0.08, soft=0.25))
    face = build.material(
        Material(
            rule="face",
            cloth=Cloth(first=person.skin, second=person.hair),
            measures={
                "size": size,
                "bald": float(person.hair_style == "bald"),
                "beard": float(person.beard),
                "glasses": float(person.glasses),
            },
            rough=0.03,
            gloss=0.08,
            soft=0.0,
        )
    )
    hair = build.material(Material(rule="hair", cloth=_plain(person.hair), rough=0.25, gloss=0.15, soft=0.4))
    neck_r = 0.03 * h * person.build**0.3
    build.limb(bones.neck - bones.trunk[:, 1] * 0.035 * h, head, (neck_r * 1.1, neck_r), skin)
    build.ball(head, (0.044 * size, 0.066 * size, 0.054 * size), face, skull)
    build.ball(
        head + skull @ np.array([0, -0.008, 0.053]) * size,
        (0.007 * size, 0.012 * size, 0.011 * size),
        skin,
        skull,
    )
    for side in (1, -1):
        ear = head + skull @ np.array([0.044 * side, -0.003, -0.004]) * size
        build.ball(ear, (0.006 * size, 0.015 * size, 0.01 * size), skin, skull)
    _hair(build, person, (head, skull, size), hair)
    if person.hat != "none":
        _hat(build, person, (head, skull, size))
    if person.scarf is not None:
        scarf = build.material(Material(rule="plain", cloth=_plain(person.scarf), rough=0.3))
        low = bones.neck - bones.trunk[:, 1] * 0.02 * h
        build.limb(low, low + bones.trunk[:, 1] * 0.03 * h, (0.05 * h, 0.046 * h), scarf)


def _hair(build: _Builder, person: Appearance, skull: tuple[Array, Array, float], hair: int) -> None:
    head, axes, size = skull
    style = person.hair_style

    def lump(place: tuple[float, float, float], radii: tuple[float, float, float]) -> None:
        build.ball(
            head + axes @ np.array(place) * size, (radii[0] * size, radii[1] * size, radii[2] * size), hair, axes
        )

    if style == "bald":
        return
    if style == "cropped":
        lump((0, 0.020, -0.012), (0.045, 0.051, 0.050))
        return
    lump((0, 0.022, -0.010), (0.050, 0.055, 0.056))
    if style == "short":
        lump((0, 0.002, -0.024), (0.047, 0.050, 0.042))
    if style in ("bob", "long"):
        reach = 0.07 if style == "bob" else 0.10
        lump((0, -reach * 0.42, -0.022), (0.053, reach, 0.046))
        for side in (1, -1):
            lump((0.04 * side, -reach * 0.3, 0.002), (0.014, reach * 0.7, 0.026))
    if style == "long":
        lump((0, -0.115, -0.044), (0.046, 0.085, 0.024))
    if style in ("ponytail", "bun"):
        lump((0, 0.004, -0.022), (0.047, 0.052, 0.043))
    if style == "ponytail":
        top = head + axes @ np.array([0, 0.02, -0.066]) * size
        low = head + axes @ np.array([0, -0.11, -0.085]) * size
        build.limb(top, low, (0.018 * size, 0.010 * size), hair)
    if style == "bun":
        lump((0, 0.045, -0.062), (0.024, 0.024, 0.024))


def _hat(build: _Builder, person: Appearance, skull: tuple[Array, Array, float]) -> None:
    head, axes, size = skull
    hat = build.material(Material(rule="plain", cloth=_plain(person.hat_colour), rough=0.15))

    def at(x: float, y: float, z: float) -> Array:
        place: Array = head + axes @ np.array([x, y, z]) * size
        return place

    if person.hat == "beanie":
        build.ball(at(0, 0.04, -0.006), (0.055 * size, 0.052 * size, 0.061 * size), hat, axes)
        return
    build.ball(at(0, 0.045, -0.004), (0.054 * size, 0.044 * size, 0.060 * size), hat, axes)
    if person.hat == "cap":
        build.ball(at(0, 0.030, 0.060), (0.044 * size, 0.006 * size, 0.052 * size), hat, axes)
    else:
        build.ball(at(0, 0.026, -0.002), (0.100 * size, 0.007 * size, 0.104 * size), hat, axes)


def _trunk(build: _Builder, person: Appearance, bones: Skeleton) -> None:
    h, b = bones.height, person.build
    trunk = bones.trunk
    loose = 0.004 * person.looseness + {"t-shirt": 0, "long-sleeve": 0.001, "jacket": 0.007}.get(person.upper, 0.008)
    texture = (bones.waist - trunk[:, 1] * 0.0, trunk.T)
    straps = {"backpack": 1.0, "shoulder-bag": 2.0}.get(person.bag, 0.0)
    top = build.material(
        Material(
            rule="torso",
            cloth=person.top,
            measures={
                "height": h,
                "open": float(person.open_front),
                "zip": float(person.upper in ("jacket", "hoodie", "coat") and not person.open_front),
                "straps": straps,
                "low_neck": float(person.upper in ("t-shirt", "dress")),
            },
            extra={"inner": person.inner, "strap": person.bag_colour, "skin": person.skin},
        )
    )
    hips = bones.hips.mean(axis=0)
    waist_r = (0.079 if person.female else 0.084) * b + loose
    chest_r = (0.086 if person.female else 0.096) * b**0.8 + loose
    hip_r = (0.093 if person.female else 0.088) * b + loose * 0.5
    ahead = trunk[:, 2]
    depth = 0.66 + 0.12 * (b - 1)
    chest_top = bones.chest - trunk[:, 1] * 0.028 * h
    low = bones.waist - trunk[:, 1] * 0.01 * h
    mid = low + (chest_top - low) * 0.62
    mid_r = waist_r + (chest_r - waist_r) * 0.62
    build.limb(mid, chest_top, (mid_r * h, chest_r * h), top, front=ahead, flat=(1, depth), texture=texture)
    flank = mid + (chest_top - low) * 0.05
    radii = (waist_r * h, (mid_r + 0.0005) * h)
    build.limb(low, flank, radii, top, front=ahead, flat=(1, depth), kind=FRUSTUM, texture=texture)
    right, left = bones.shoulders
    inner = 0.74
    middle = (right + left) / 2
    build.limb(
        middle + (right - middle) * inner - trunk[:, 1] * 0.008 * h,
        middle + (left - middle) * inner - trunk[:, 1] * 0.008 * h,
        ((0.031 + loose) * h, (0.031 + loose) * h),
        top,
        front=ahead,
        texture=texture,
    )
    for shoulder in bones.shoulders:
        start = bones.neck - trunk[:, 1] * 0.018 * h
        build.limb(
            start,
            middle + (shoulder - middle) * 0.9 + trunk[:, 1] * 0.006 * h,
            ((0.027 + loose) * h, (0.024 + loose) * h),
            top,
            front=ahead,
            texture=texture,
        )
    if person.female:
        for side in (1, -1):
            place = bones.chest + trunk @ np.array([0.036 * side * b, -0.035, 0.036]) * h
            build.ball(place, (0.037 * h, 0.036 * h, 0.028 * h), top, trunk, texture=texture)
    elif b > 1.08:
        belly = bones.waist + trunk @ np.array([0, 0.01, 0.012]) * h
        size = (0.076 * b * h, 0.085 * h, 0.062 * b * h)
        build.ball(belly, size, top, trunk, texture=texture)
    hem = {"coat": 0.0, "dress": 0.0}.get(person.upper, -0.075 if person.upper != "hoodie" else -0.06)
    seat = _lower_material(build, person, bones, "seat")
    build.limb(
        hips + np.array([0, -0.005, 0]) * h,
        hips + (bones.waist - hips) * 0.5,
        (hip_r * h, (waist_r - loose - 0.004) * h),
        seat,
        front=ahead,
        flat=(1, 0.74),
        texture=texture,
    )
    if person.upper in ("coat", "dress"):
        reach = 0.30 if person.upper == "coat" else 0.32
        _skirt(build, person, bones, top, (low, reach, hip_r + 0.006, texture))
    else:
        down = bones.waist + trunk[:, 1] * hem * h
        if person.lower in ("skirt", "long-skirt"):
            down = bones.waist - trunk[:, 1] * 0.03 * h
        radii = (waist_r * h, (hip_r + loose * 0.6 + 0.002) * h)
        brim = low + trunk[:, 1] * 0.008 * h
        build.limb(brim, down, radii, top, front=ahead, flat=(1, 0.72), kind=FRUSTUM, texture=texture)
    if person.lower in ("skirt", "long-skirt") and person.upper not in ("dress", "coat"):
        reach = 0.34 if person.lower == "long-skirt" else 0.21
        _skirt(build, person, bones, seat, (low, reach, hip_r + 0.006, texture))
    if person.upper == "hoodie":
        place = bones.neck - trunk[:, 1] * 0.012 * h - ahead * 0.03 * h
        build.ball(place, (0.055 * h, 0.034 * h, 0.035 * h), top, trunk, texture=texture)
    if person.upper in ("coat", "jacket"):
        collar = bones.neck - trunk[:, 1] * 0.03 * h
        up = collar + trunk[:, 1] * 0.034 * h
        build.limb(collar, up, (0.052 * h, 0.042 * h), top, front=ahead, kind=FRUSTUM, texture=texture)


def _skirt(
    build: _Builder,
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
    leg_r = 0.05 * person.build * h
    width = max(float(np.abs(legs[:, 0] - middle[0]).max()) + leg_r, (hip_r + 0.012) * h)
    depth = max(float(np.abs(legs[:, 2] - middle[2]).max()) + leg_r, hip_r * 0.74 * h)
    ratio = float(np.clip(depth / width, 0.6, 1.6))
    hips = bones.hips.mean(axis=0)
    knee_of_cloth = hips + (middle - hips) * 0.05
    top = top + bones.trunk[:, 1] * 0.008 * h
    radii = (hip_r * 0.92 * h, hip_r * 1.05 * h)
    ahead = bones.trunk[:, 2]
    build.limb(top, knee_of_cloth, radii, material, front=ahead, flat=(1, 0.76), kind=FRUSTUM, texture=texture)
    upper = hip_r * 1.05 * h
    mix = 0.5 * (ratio + 0.76)
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


def _lower_material(build: _Builder, person: Appearance, bones: Skeleton, place: str) -> int:
    rule = "belt" if place == "seat" and person.lower in ("trousers", "shorts") else "cloth"
    return build.material(
        Material(rule=rule, cloth=person.bottom, measures={"height": bones.height}, rough=0.12)
    )


def _arms(build: _Builder, person: Appearance, bones: Skeleton) -> None:
    h = bones.height
    b = person.build**0.7 * (0.92 if person.female else 1.0)
    skin = build.material(Material(rule="plain", cloth=_plain(person.skin), rough=0.04, gloss=0.05, soft=0.4))
    short = person.upper in ("t-shirt", "dress")
    loose = 0.003 * person.looseness + (0.007 if person.upper in ("jacket", "coat", "hoodie") else 0.002)
    cloth = person.top
    if cloth.pattern == "print" or (cloth.pattern == "two-tone" and short):
        cloth = Cloth(first=cloth.first)
    elif cloth.pattern == "two-tone":
        cloth = Cloth(first=cloth.second if cloth.offset > 0.5 else cloth.first)
    sleeve = build.material(Material(rule="cloth", cloth=cloth, measures={"height": h}, rough=0.12))
    for i in range(2):
        shoulder, elbow, wrist = bones.shoulders[i], bones.elbows[i], bones.wrists[i]
        bare = skin if short else sleeve
        extra = 0.0 if short else loose
        upper, fore = float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))
        radii = ((0.029 * b + extra) * h, (0.0225 * b + extra) * h)
        if short:
            reach = shoulder + (elbow - shoulder) * 0.62
            wide = ((0.0285 * b + loose) * h, (0.031 * b + loose) * h)
            build.limb(shoulder, shoulder + (elbow - shoulder) * 0.1, (wide[0], wide[0]), sleeve)
            build.limb(shoulder, reach, wide, sleeve, kind=FRUSTUM)
            build.limb(shoulder + (elbow - shoulder) * 0.3, elbow, (radii[0] * 0.93, radii[1]), bare)
        else:
            build.limb(shoulder, elbow, radii, bare)
        cuff = wrist if short else elbow + (wrist - elbow) * 0.97
        build.limb(elbow, cuff, (radii[1], (0.0155 * b + extra * 1.1) * h), bare, along=upper)
        direction = (wrist - elbow) / fore
        palm = wrist + direction * 0.036 * h
        side = np.array([1.0, 0.0, 0.0])
        across = side - direction * float(side @ direction)
        across = across / np.linalg.norm(across)
        axes = np.stack([across, direction, cross(across, direction)], axis=1)
        build.ball(palm, (0.0125 * h, 0.044 * h, 0.022 * h), skin, axes)


def _legs(build: _Builder, person: Appearance, bones: Skeleton) -> None:
    h = bones.height
    b = person.build**0.8 * (0.97 if person.female else 1.0)
    skin = build.material(Material(rule="plain", cloth=_plain(person.skin), rough=0.04, gloss=0.05, soft=0.4))
    cloth = _lower_material(build, person, bones, "leg")
    shoe = build.material(
        Material(
            rule="shoe",
            cloth=Cloth(first=person.shoes, second=person.sole),
            measures={"height": h},
            gloss=0.1,
        )
    )
    boot = build.material(Material(rule="plain", cloth=_plain(person.shoes), gloss=0.1))
    loose = 0.004 * person.looseness + 0.002
    for i in range(2):
        hip, knee, ankle = bones.hips[i], bones.knees[i], bones.ankles[i]
        length = float(np.linalg.norm(knee - hip))
        trousers = person.lower == "trousers"
        shorts = person.lower == "shorts"
        extra = loose if trousers else 0.0
        thigh = ((0.0495 * b + extra) * h, (0.034 * b + extra) * h)
        build.limb(hip, knee, thigh, cloth if trousers else skin)
        if shorts:
            hem = hip + (knee - hip) * 0.82
            wide = ((0.055 * b + loose) * h, (0.052 * b + loose) * h)
            build.limb(hip, hem, wide, cloth, kind=FRUSTUM)
        calf = knee + (ankle - knee) * 0.3
        calf_r = (0.0355 * b + extra) * h
        ankle_r = (0.0225 + extra * 1.6) * h if trousers else 0.0195 * h
        lower = cloth if trousers else skin
        build.limb(knee, calf, (thigh[1], calf_r), lower, along=length)
        down = ankle + (ankle - knee) * (0.06 if trousers and not person.boots else 0.0)
        more = length + float(np.linalg.norm(calf - knee))
        build.limb(calf, down, (calf_r, ankle_r), lower, along=more)
        if person.boots:
            top = ankle + (knee - ankle) * 0.55
            build.limb(top, ankle, (calf_r * 1.04 + 0.003 * h, max(0.029 * h, ankle_r + 0.004 * h)), boot, kind=FRUSTUM)
        _foot(build, (ankle, bones.toes[i], h), shoe)


def _foot(build: _Builder, place: tuple[Array, Array, float], shoe: int) -> None:
    ankle, ahead, h = place
    up = np.array([0.0, 1.0, 0.0]) - ahead * ahead[1]
    up = up / np.linalg.norm(up)
    axes = np.stack([cross(up, ahead), up, ahead], axis=1)
    heel = ankle - up * 0.012 * h - ahead * 0.012 * h
    toe = ankle - up * 0.024 * h + ahead * 0.086 * h
    sole = (ankle - up * 0.042 * h, axes.T)
    build.limb(heel, toe, (0.026 * h, 0.0165 * h), shoe, front=up, flat=(0.9, 1.0), texture=sole)
    middle = ankle - up * 0.031 * h + ahead * 0.03 * h
    build.ball(middle, (0.0255 * h, 0.011 * h, 0.078 * h), shoe, axes, texture=sole)


def _bag(build: _Builder, person: Appearance, bones: Skeleton) -> None:
    if person.bag == "none":
        return
    h, trunk = bones.height, bones.trunk
    bag = build.material(
        Material(rule="bag" if person.bag == "backpack" else "plain", cloth=_plain(person.bag_colour), measures={"height": h}, rough=0.15, gloss=0.05)
    )
    if person.bag == "backpack":
        centre = bones.chest + trunk @ np.array([0, -0.07, -0.112]) * h
        up = trunk[:, 1] * 0.075 * h
        build.limb(centre - up, centre + up, (0.062 * h, 0.054 * h), bag, front=trunk[:, 2], flat=(1.3, 0.82))
        pocket = bones.chest + trunk @ np.array([0, -0.115, -0.15]) * h
        side = trunk[:, 0] * 0.03 * h
        build.limb(pocket - side, pocket + side, (0.034 * h, 0.034 * h), bag, front=trunk[:, 2], flat=(1.0, 0.7))
    elif person.bag == "shoulder-bag":
        hip = bones.hips[1] + trunk @ np.array([-0.075, 0.0, -0.01]) * h
        reach = trunk[:, 2] * 0.055 * h
        build.limb(hip - reach, hip + reach, (0.042 * h, 0.042 * h), bag, front=trunk[:, 1], flat=(0.7, 1.25))
    else:
        wrist, elbow = bones.wrists[0], bones.elbows[0]
        hand = wrist + (wrist - elbow) / np.linalg.norm(wrist - elbow) * 0.05 * h
        low = hand - np.array([0, 0.1, 0]) * h
        strap = np.array([0, 0, 0.045]) * h
        for side in (1, -1):
            build.limb(hand, low + side * strap + np.array([0, 0.04 * h, 0]), (0.005 * h, 0.005 * h), bag)
        build.limb(low - strap, low + strap, (0.052 * h, 0.052 * h), bag, front=np.array([0.0, 1, 0]), flat=(0.5, 1))
