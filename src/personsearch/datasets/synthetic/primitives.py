"""The solids that bodies are made of: balls, tapered capsules and open frusta, stretched.

A primitive lives in its own frame: its axis runs from ``start`` along the second row of
``frame`` for ``length`` metres, its radius falls linearly from ``first`` to ``last``; the
frame's axes are then stretched by ``stretch``, so that a ball becomes an ellipsoid and a
capsule's cross-section an ellipse.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from personsearch.types import Array

CAPSULE, FRUSTUM = 0, 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Primitives:
    """P solids with what their surfaces are made of, as columns.

    Attributes:
        start: (P, 3) metres, first end of the axis.
        frame: (P, 3, 3) orthonormal rows: local x, y (the axis), z.
        stretch: (P, 3) of the local axes, the second is 1 unless ``length`` is 0.
        length: (P,) metres; 0 makes a ball.
        first, last: (P,) radii at both ends.
        kind: (P,) CAPSULE (with round ends; a ball is one) or FRUSTUM (open ends).
        material: (P,) index into the body's materials.
        origin: (P, 3) origin of the texture's frame.
        axes: (P, 3, 3) orthonormal rows: the texture's frame.
    """

    start: Array
    frame: Array
    stretch: Array
    length: Array
    first: Array
    last: Array
    kind: Array
    material: Array
    origin: Array
    axes: Array

    def __len__(self) -> int:
        return len(self.start)

    @property
    def end(self) -> Array:
        """(P, 3) the other end of the axis."""
        result: Array = self.start + self.frame[:, 1] * self.length[:, None]
        return result

    @property
    def unstretch(self) -> Array:
        """(P, 3, 3) from world offsets to the local frame in which cross-sections are round."""
        result: Array = self.frame / self.stretch[:, :, None]
        return result

    def moved(self, rotation: Array, shift: Array) -> Primitives:
        """The same solids turned by ``rotation`` (3, 3) and moved by ``shift`` (3,)."""
        return Primitives(
            start=self.start @ rotation.T + shift,
            frame=self.frame @ rotation.T,
            stretch=self.stretch,
            length=self.length,
            first=self.first,
            last=self.last,
            kind=self.kind,
            material=self.material,
            origin=self.origin @ rotation.T + shift,
            axes=self.axes @ rotation.T,
        )

    def extents(self, directions: Array) -> tuple[Array, Array]:
        """Reach of every solid along ``directions`` (P, k, 3), from the origin: (P, k) low and high.

        Exact: the furthest point of a stretched ball along w is its centre plus r |S F w|;
        of an open end it is the rim's.
        """
        inside = np.einsum("pkj,pij->pki", directions, self.frame) * self.stretch[:, None, :]
        rim = inside[..., 0] ** 2 + inside[..., 2] ** 2
        closed = (self.kind != FRUSTUM)[:, None]
        reach = np.sqrt(rim + closed * inside[..., 1] ** 2)
        a = np.einsum("pkj,pj->pk", directions, self.start)
        b = np.einsum("pkj,pj->pk", directions, self.end)
        low = np.minimum(a - reach * self.first[:, None], b - reach * self.last[:, None])
        high = np.maximum(a + reach * self.first[:, None], b + reach * self.last[:, None])
        return low, high

    def centres(self) -> Array:
        """(P, 3) middles of the axes."""
        return (self.start + self.end) / 2
