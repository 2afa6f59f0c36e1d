"""Head, hair and what is worn there."""

from __future__ import annotations

import numpy as np

from personsearch.datasets.synthetic.appearance import Appearance, Cloth
from personsearch.datasets.synthetic.builder import Builder, Material, plain
from personsearch.datasets.synthetic.pose import Skeleton
from personsearch.types import Array


def add_head(build: Builder, person: Appearance, bones: Skeleton) -> None:
    """Neck, head with a face, ears, hair, hat and scarf."""
    h, skull, head = bones.height, bones.skull, bones.head
    size = h * (1.16 if person.child else 1.0)
    skin = build.material(Material(rule="plain", cloth=plain(person.skin), rough=0.03, gloss=0.08, soft=0.25))
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
    hair = build.material(Material(rule="hair", cloth=plain(person.hair), rough=0.25, gloss=0.15, soft=0.4))
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
        scarf = build.material(Material(rule="plain", cloth=plain(person.scarf), rough=0.3))
        low = bones.neck - bones.trunk[:, 1] * 0.02 * h
        build.limb(low, low + bones.trunk[:, 1] * 0.03 * h, (0.05 * h, 0.046 * h), scarf)


def _hair(build: Builder, person: Appearance, skull: tuple[Array, Array, float], hair: int) -> None:
    head, axes, size = skull
    style = person.hair_style

    def lump(place: tuple[float, float, float], radii: tuple[float, float, float]) -> None:
        build.ball(
            head + axes @ np.array(place) * size,
            (radii[0] * size, radii[1] * size, radii[2] * size),
            hair,
            axes,
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


def _hat(build: Builder, person: Appearance, skull: tuple[Array, Array, float]) -> None:
    head, axes, size = skull
    hat = build.material(Material(rule="plain", cloth=plain(person.hat_colour), rough=0.15))

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
