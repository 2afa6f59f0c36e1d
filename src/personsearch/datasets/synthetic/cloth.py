"""Colours of surfaces from where on the body they are: patterns, faces, openings, straps.

Texture places are metres in the solid's own frame (trunk: x to the right, y up from the
waist, z forward; limbs: y along the limb), so a stripe stays where it is from every side.
Colours in and out are linear light squares: display value = sqrt(linear).
"""

from __future__ import annotations

import numpy as np

from personsearch.datasets.synthetic.appearance import Cloth, Colour
from personsearch.datasets.synthetic.builder import Material
from personsearch.types import Array


def linear(colour: Colour | Array) -> Array:
    """(3,) float32 linear light of a display colour (gamma 2, cheap and near enough)."""
    return np.asarray(colour, np.float32) ** 2


def surface_colour(material: Material, place: Array) -> Array:
    """(n, 3) float32 linear colour of ``material`` at texture places (n, 3)."""
    rule = _RULES[material.rule]
    return rule(material, place)


def _mix(base: Array, mask: Array, colour: Colour | Array) -> None:
    """Paint ``colour`` into ``base`` where ``mask``, in place."""
    base[mask] = linear(colour)


def _cloth(cloth: Cloth, place: Array) -> Array:
    x, y, z = place[:, 0], place[:, 1], place[:, 2]
    base = np.empty((len(place), 3), np.float32)
    base[:] = linear(cloth.first)
    s = cloth.scale
    if cloth.pattern == "stripes":
        _mix(base, ((y / s + cloth.offset) % 1.0) < 0.5, cloth.second)
    elif cloth.pattern in ("pinstripes", "checks", "dots"):
        around = np.arctan2(x, z) * np.float32(0.15)
        if cloth.pattern == "pinstripes":
            _mix(base, ((around / (0.6 * s) + cloth.offset) % 1.0) < 0.25, cloth.second)
        elif cloth.pattern == "checks":
            rows = ((y / s + cloth.offset) % 1.0) < 0.5
            columns = ((around / s + cloth.offset) % 1.0) < 0.5
            base[rows ^ columns] = (linear(cloth.first) + linear(cloth.second)) / 2
            _mix(base, rows & columns, cloth.second)
        else:
            a, b = (around / s) % 1.0 - 0.5, (y / s) % 1.0 - 0.5
            _mix(base, a * a + b * b < 0.09, cloth.second)
    return base


def _plain_rule(material: Material, place: Array) -> Array:
    return np.broadcast_to(linear(material.cloth.first), (len(place), 3)).copy()


def _cloth_rule(material: Material, place: Array) -> Array:
    base = _cloth(material.cloth, place)
    if material.cloth.pattern == "panel":  # a seam stripe down the outer side
        _mix(base, np.abs(place[:, 2]) < 0.012 * material.measures["height"], material.cloth.second)
    return base


def _hair_rule(material: Material, place: Array) -> Array:
    base = _plain_rule(material, place)
    streak = np.sin(place[:, 0] * 420 + place[:, 2] * 310 + 3 * np.sin(place[:, 1] * 60))
    base *= (1 + 0.22 * streak)[:, None]
    return base


def _belt_rule(material: Material, place: Array) -> Array:
    base = _cloth_rule(material, place)
    h = material.measures["height"]
    _mix(base, (place[:, 1] > -0.02 * h) & (place[:, 1] < -0.002 * h), (0.12, 0.09, 0.07))
    fly = (np.abs(place[:, 0]) < 0.003 * h) & (place[:, 2] > 0) & (place[:, 1] < 0)
    base[fly] *= 0.6
    return base


def _torso_rule(material: Material, place: Array) -> Array:
    cloth, h = material.cloth, material.measures["height"]
    x, y, z = place[:, 0] / h, place[:, 1] / h, place[:, 2] / h
    front = z > 0
    base = _cloth(cloth, place)
    if cloth.pattern == "two-tone":
        _mix(base, y > 0.03 + 0.1 * cloth.offset, cloth.second)
    elif cloth.pattern == "panel":
        _mix(base, np.abs(y - 0.1) < 0.025, cloth.second)
    elif cloth.pattern == "print":
        _print(base, cloth, (x, y, front))
    if material.measures["open"]:
        gap = 0.022 + 0.10 * np.clip(0.14 - y, 0.02, 0.5) * 0.5
        _mix(base, front & (np.abs(x) < gap), material.extra["inner"])
        base[front & (np.abs(np.abs(x) - gap) < 0.004)] *= 0.5
    elif material.measures["zip"]:
        base[front & (np.abs(x) < 0.003)] *= 0.35
        pocket = front & (np.abs(y + 0.02) < 0.003) & (np.abs(np.abs(x) - 0.055) < 0.022)
        base[pocket] *= 0.5
    if material.measures["low_neck"]:
        deep = 0.245 - np.clip(z, 0, 1) * 0.35
        _mix(base, (y > deep) & (np.abs(x) < 0.035), material.extra["skin"])
    straps = material.measures["straps"]
    if straps == 1:
        _mix(base, (np.abs(np.abs(x) - 0.058) < 0.0105) & (y > 0.06) & (z > -0.035), material.extra["strap"])
    elif straps == 2:
        _mix(base, np.abs(x * 0.82 - (y - 0.09) * 0.57) < 0.008, material.extra["strap"])
    return base


def _print(base: Array, cloth: Cloth, place: tuple[Array, Array, Array]) -> None:
    """A chest print: its shape follows from the cloth's offset."""
    x, y, front = place
    a, b = x / 0.055, (y - 0.115) / 0.05
    kind = int(cloth.offset * 4)
    shape = (
        a * a + b * b < 1,
        np.maximum(np.abs(a), np.abs(b)) < 0.85,
        (np.abs(a) < 1) & (np.abs(b) < 0.35),
        (b > -0.8) & (np.abs(a) < 0.5 * (1 - b)) & (b < 1),
    )[kind]
    _mix(base, front & shape, cloth.second)
    inside = (a * a + b * b < 0.25) if kind % 2 else (np.abs(b) < 0.16) & (np.abs(a) < 0.7)
    _mix(base, front & inside & shape, cloth.third)


def _face_rule(material: Material, place: Array) -> Array:
    m = material.measures
    x, y, z = (place[:, i] / m["size"] for i in range(3))
    skin, hair = linear(material.cloth.first), linear(material.cloth.second)
    base = np.broadcast_to(skin, (len(place), 3)).copy()
    front = z > 0.02
    if not m["bald"]:
        base[(y > 0.038) | (z < -0.012 - 0.2 * np.minimum(y, 0))] = hair
    eye = front & (np.abs(y - 0.004) < 0.0055) & (np.abs(np.abs(x) - 0.017) < 0.0085)
    base[eye] = (0.05, 0.04, 0.04)
    brow = front & (np.abs(y - 0.0165) < 0.003) & (np.abs(np.abs(x) - 0.017) < 0.0115)
    base[brow] = hair * 0.5 + skin * 0.15
    cheek = front & (np.abs(y + 0.015) < 0.014) & (np.abs(np.abs(x) - 0.026) < 0.012)
    base[cheek] *= np.array([1.05, 0.95, 0.94], np.float32)
    if m["beard"]:
        base[front & (y < -0.024) | ((y < -0.008) & (np.abs(x) > 0.034) & (z > -0.01))] = (
            hair * 0.7 + skin * 0.3
        )
    mouth = front & (np.abs(y + 0.033) < 0.004) & (np.abs(x) < 0.015)
    base[mouth] = skin * np.array([0.62, 0.36, 0.36], np.float32)
    if m["glasses"]:
        ring = np.maximum(np.abs(np.abs(x) - 0.018) / 0.014, np.abs(y - 0.003) / 0.012)
        base[front & (ring < 1.0) & (ring > 0.72)] = 0.01
    return base


def _shoe_rule(material: Material, place: Array) -> Array:
    h = material.measures["height"]
    base = _plain_rule(material, place)
    _mix(base, place[:, 1] < 0.012 * h, material.cloth.second)
    return base


def _bag_rule(material: Material, place: Array) -> Array:
    h = material.measures["height"]
    base = _plain_rule(material, place)
    base[np.abs(place[:, 1] - 0.075 * h) < 0.003 * h] *= 0.45
    return base


_RULES = {
    "plain": _plain_rule,
    "cloth": _cloth_rule,
    "hair": _hair_rule,
    "belt": _belt_rule,
    "torso": _torso_rule,
    "face": _face_rule,
    "shoe": _shoe_rule,
    "bag": _bag_rule,
}
