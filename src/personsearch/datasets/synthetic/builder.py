"""Putting a body together: solids one by one, with the material each of them is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

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
        self.rows: list[tuple[Any, ...]] = []
        self.limbs: list[int] = []
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
        self.limbs.append(len(self.rows))
        stretch = (flat[0], 1.0, flat[1])
        ahead = _FORWARD if front is None else front
        origin, axes = (None, None) if texture is None else texture
        self.rows.append((start, end, ahead, stretch, *radii, kind, material, origin, axes, along))

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
        origin, turned = (centre, axes.T) if texture is None else texture
        self.rows.append((centre, centre, axes.T, radii, 1.0, 1.0, CAPSULE, material, origin, turned, 0.0))

    def done(self, height: float) -> Body:
        """Everything collected, as one body."""

        def column(i: int) -> Array:
            return np.array([row[i] for row in self.rows])

        start, end = column(0), column(1)
        frame = np.empty((len(self.rows), 3, 3))
        length = np.zeros(len(self.rows))
        rows = np.array(self.limbs)
        axis = (end - start)[rows]
        length[rows] = np.sqrt(np.sum(axis**2, axis=1))
        axis /= length[rows, None]
        ahead = np.array([self.rows[i][2] for i in self.limbs])
        ahead -= axis * np.sum(ahead * axis, axis=1)[:, None]
        ahead /= np.sqrt(np.sum(ahead**2, axis=1))[:, None]
        frame[rows] = np.stack([np.cross(axis, ahead), axis, ahead], axis=1)
        limbs = set(self.limbs)
        for i in range(len(self.rows)):
            if i not in limbs:
                frame[i] = self.rows[i][2]
        origin, axes = start.copy(), frame.copy()
        for i, row in enumerate(self.rows):
            if row[8] is not None:
                origin[i], axes[i] = row[8], row[9]
            elif row[10]:
                origin[i] -= frame[i, 1] * row[10]
        solids = Primitives(
            start=start,
            frame=frame,
            stretch=column(3),
            length=length,
            first=column(4),
            last=column(5),
            kind=column(6),
            material=column(7),
            origin=origin,
            axes=axes,
        )
        return Body(solids=solids, materials=tuple(self.materials), height=height)


def plain(colour: Colour) -> Cloth:
    """Cloth of one colour."""
    return Cloth(first=colour)
