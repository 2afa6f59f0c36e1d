"""Putting a body together: solids one by one, with the material each of them is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from personsearch.datasets.synthetic.appearance import Cloth, Colour
from personsearch.datasets.synthetic.primitives import CAPSULE, Primitives
from personsearch.types import Array


@dataclass(frozen=True, eq=False, kw_only=True)
class Material:
    """What a surface shows.

    Attributes:
        rule: which rule of :mod:`cloth` paints it, with ``cloth``, ``measures`` (metres or flags)
            and ``extra`` colours.
        rough: depth of its wrinkles. ``gloss``: of its shine.
        soft: how far it hangs over the seams of the solids below it, 0 to 1.
    """

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


class Builder:
    """Collects solids; lengths in metres."""

    def __init__(self) -> None:
        self.rows: list[tuple[Array, Array, Array, float, float, float, int, int, Array, Array]] = []
        self.materials: list[Material] = []

    def material(self, material: Material) -> int:
        """Keep ``material``; the number by which solids name it."""
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
        """Everything collected, as one body."""
        columns = [np.array(column, dtype=np.float64) for column in zip(*self.rows, strict=True)]
        names = (
            "start", "frame", "stretch", "length", "first", "last", "kind", "material", "origin", "axes",
        )  # fmt: skip
        fields: dict[str, Array] = dict(zip(names, columns, strict=True))
        for name in ("kind", "material"):
            fields[name] = fields[name].astype(np.int64)
        return Body(solids=Primitives(**fields), materials=tuple(self.materials), height=height)


def plain(colour: Colour) -> Cloth:
    """Cloth of one colour."""
    return Cloth(first=colour)
