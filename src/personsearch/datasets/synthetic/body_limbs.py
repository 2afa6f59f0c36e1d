"""Arms, legs, and what is carried."""

from __future__ import annotations

import numpy as np

from personsearch.datasets.synthetic.appearance import Appearance, Cloth
from personsearch.datasets.synthetic.body_trunk import lower_material
from personsearch.datasets.synthetic.builder import Builder, Material, cross, plain
from personsearch.datasets.synthetic.pose import Skeleton
from personsearch.datasets.synthetic.primitives import FRUSTUM
from personsearch.types import Array


def add_arms(build: Builder, person: Appearance, bones: Skeleton) -> None:
    """Arms in their sleeves, and hands."""
    h = bones.height
    b = person.build**0.7 * (0.92 if person.female else 1.0)
    skin = build.material(Material(rule="plain", cloth=plain(person.skin), rough=0.04, gloss=0.05, soft=0.4))
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


def add_legs(build: Builder, person: Appearance, bones: Skeleton) -> None:
    """Legs in trousers, shorts or bare; boots and shoes."""
    h = bones.height
    b = person.build**0.8 * (0.97 if person.female else 1.0)
    skin = build.material(Material(rule="plain", cloth=plain(person.skin), rough=0.04, gloss=0.05, soft=0.4))
    cloth = lower_material(build, person, bones, "leg")
    shoe = build.material(
        Material(
            rule="shoe",
            cloth=Cloth(first=person.shoes, second=person.sole),
            measures={"height": h},
            gloss=0.1,
        )
    )
    boot = build.material(Material(rule="plain", cloth=plain(person.shoes), gloss=0.1))
    loose = 0.004 * person.looseness + 0.002
    for i in range(2):
        hip, knee, ankle = bones.hips[i], bones.knees[i], bones.ankles[i]
        length = float(np.linalg.norm(knee - hip))
        trousers = person.lower == "trousers"
        shorts = person.lower == "shorts"
        extra = loose if trousers else 0.0
        thigh = ((0.0495 * b + extra) * h, (0.034 * b + extra) * h)
        high = hip + (knee - hip) * 0.14
        build.limb(high, knee, thigh, cloth if trousers else skin, along=0.14 * length)
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
            build.limb(
                top,
                ankle,
                (calf_r * 1.04 + 0.003 * h, max(0.029 * h, ankle_r + 0.004 * h)),
                boot,
                kind=FRUSTUM,
            )
        _foot(build, (ankle, bones.toes[i], h), shoe)


def _foot(build: Builder, place: tuple[Array, Array, float], shoe: int) -> None:
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


def add_bag(build: Builder, person: Appearance, bones: Skeleton) -> None:
    """What is carried."""
    if person.bag == "none":
        return
    h, trunk = bones.height, bones.trunk
    bag = build.material(
        Material(
            rule="bag" if person.bag == "backpack" else "plain",
            cloth=plain(person.bag_colour),
            measures={"height": h},
            rough=0.15,
            gloss=0.05,
        )
    )
    if person.bag == "backpack":
        centre = bones.chest + trunk @ np.array([0, -0.07, -0.112]) * h
        up = trunk[:, 1] * 0.075 * h
        build.limb(centre - up, centre + up, (0.062 * h, 0.054 * h), bag, front=trunk[:, 2], flat=(1.3, 0.82))
        pocket = bones.chest + trunk @ np.array([0, -0.115, -0.15]) * h
        side = trunk[:, 0] * 0.03 * h
        build.limb(
            pocket - side, pocket + side, (0.034 * h, 0.034 * h), bag, front=trunk[:, 2], flat=(1.0, 0.7)
        )
    elif person.bag == "shoulder-bag":
        hip = bones.hips[1] + trunk @ np.array([-0.075, 0.0, -0.01]) * h
        reach = trunk[:, 2] * 0.055 * h
        build.limb(hip - reach, hip + reach, (0.042 * h, 0.042 * h), bag, front=trunk[:, 1], flat=(0.7, 1.25))
    else:
        wrist, elbow = bones.wrists[0], bones.elbows[0]
        hand = wrist + (wrist - elbow) / np.linalg.norm(wrist - elbow) * 0.05 * h
        low = hand - np.array([0, 0.1, 0]) * h
        strap = np.array([0, 0, 0.045]) * h
        for sign in (1, -1):
            build.limb(hand, low + sign * strap + np.array([0, 0.04 * h, 0]), (0.005 * h, 0.005 * h), bag)
        build.limb(
            low - strap, low + strap, (0.052 * h, 0.052 * h), bag, front=np.array([0.0, 1, 0]), flat=(0.5, 1)
        )
