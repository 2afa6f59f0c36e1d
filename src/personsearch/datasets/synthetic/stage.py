"""The place around the people, as numbers: light, walls, ground, ceiling; chosen to leave them room."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from personsearch.datasets.synthetic.textures import FLOORS, GROUNDS
from personsearch.types import Array

KINDS = ("across", "along", "square", "hall", "corridor")
_SHARES = (0.26, 0.24, 0.16, 0.18, 0.16)


@dataclass(frozen=True, eq=False, kw_only=True)
class WallPlace:
    """A standing wall: from ground point ``origin`` (x, z) along ``along`` (unit), metres.

    ``inward`` points to the people's side; ``style`` is ``facade``, ``room`` or ``far``.
    """

    origin: Array
    along: Array
    length: float
    height: float
    style: str

    @property
    def inward(self) -> Array:
        """(2,) unit normal towards the camera's side."""
        normal = np.array([self.along[1], -self.along[0]])
        return normal if normal @ self.origin < 0 else -normal

    def clearance(self, point: Array) -> float:
        """Metres from the wall's line to a ground point (2,), negative behind it."""
        return float(self.inward @ (point - self.origin))


@dataclass(frozen=True, eq=False, kw_only=True)
class Stage:
    """Everything about a place that does not move.

    Attributes:
        kind: one of ``KINDS``; the last two are indoors.
        mood: ``sunny``, ``overcast``, ``evening`` or ``indoor``.
        walls: furthest first.
        ground: what one walks on; ``brightness`` of it; ``turn`` radians of its pattern.
        ceiling: height in metres, 0 outdoors.
        road: for streets, where the carriageway lies: distances from the first wall, or None.
        heading: unit ground direction of the street or of the main wall.
    """

    kind: str
    mood: str
    walls: tuple[WallPlace, ...]
    ground: str
    brightness: float
    turn: float
    ceiling: float
    road: tuple[float, float] | None
    heading: Array

    @property
    def indoor(self) -> bool:
        """Whether there is a ceiling."""
        return self.ceiling > 0

    def clearance(self, point: Array) -> float:
        """Metres from a ground point to the nearest wall; negative when it lies behind one."""
        return min((wall.clearance(point) for wall in self.walls if wall.style != "far"), default=50.0)


def choose_stage(positions: Array, rng: np.random.Generator) -> Stage:
    """A place in which everybody at ground ``positions`` (n, 2) stands before the walls."""
    people = positions if len(positions) else np.array([[0.0, 8.0]])
    kind = KINDS[rng.choice(len(KINDS), p=_SHARES)]
    indoor = kind in ("hall", "corridor")
    mood = "indoor" if indoor else str(rng.choice(["sunny", "overcast", "evening"], p=[0.48, 0.4, 0.12]))
    ceiling = float(rng.uniform(2.9, 4.2) if kind == "corridor" else rng.uniform(3.2, 6.0)) if indoor else 0.0
    yaw = float(rng.uniform(-0.3, 0.3))
    if kind in ("across", "hall"):
        walls = _across(people, yaw, ceiling, rng)
        heading = walls[-1].along
    elif kind in ("along", "corridor"):
        walls = _along(people, yaw, ceiling, rng)
        heading = walls[-1].along
    else:
        walls = _skyline(people, rng)
        heading = np.array([math.cos(yaw), math.sin(yaw)])
    ground = str(
        rng.choice(FLOORS if indoor else GROUNDS, p=None if indoor else [0.24, 0.3, 0.14, 0.1, 0.16, 0.06])
    )
    road = None
    if kind in ("across", "along") and ground in ("slabs", "bricks", "concrete") and rng.random() < 0.6:
        first = float(rng.uniform(1.5, 4.5))
        road = (first, first + float(rng.uniform(5, 9)))
    return Stage(
        kind=kind,
        mood=mood,
        walls=tuple(walls),
        ground=ground,
        brightness=float(rng.uniform(0.36, 0.68))
        * {"sunny": 1.1, "overcast": 0.95, "evening": 0.85}.get(mood, 1.0),
        turn=math.atan2(heading[1], heading[0]),
        ceiling=ceiling,
        road=road,
        heading=heading,
    )


def _across(people: Array, yaw: float, ceiling: float, rng: np.random.Generator) -> list[WallPlace]:
    """One wall behind everybody, a little turned; indoors often with a side wall."""
    along = np.array([math.cos(yaw), math.sin(yaw)])
    toward = np.array([along[1], -along[0]])
    room = float(rng.uniform(0.7, 3.0) if rng.random() < 0.6 else rng.uniform(3.0, 10.0))
    origin = -toward * (room + float(np.max(-(people @ toward))))
    style, height = ("room", ceiling) if ceiling else ("facade", float(rng.uniform(6, 15)))
    back = WallPlace(origin=origin - along * 45, along=along, length=90, height=height, style=style)
    if not ceiling or rng.random() < 0.5:
        return [back]
    side = -1.0 if rng.random() < 0.5 else 1.0
    reach = max(float((people @ along * side).max()), 1.0) + float(rng.uniform(0.8, 4))
    foot = origin + along * side * reach - along * float(origin @ along)
    return [WallPlace(origin=foot, along=toward, length=45, height=ceiling, style="room"), back]


def _along(people: Array, yaw: float, ceiling: float, rng: np.random.Generator) -> list[WallPlace]:
    """Walls on both sides of a street or corridor, and its end."""
    ahead, right = np.array([math.sin(yaw), math.cos(yaw)]), np.array([math.cos(yaw), -math.sin(yaw)])
    side, depth = people @ right, people @ ahead
    spread = (0.6, 2.5) if ceiling else (0.8, 6.0)
    low = min(float(side.min()), -1.2) - float(rng.uniform(*spread))
    high = max(float(side.max()), 1.2) + float(rng.uniform(*spread))
    end = float(depth.max()) + (float(rng.uniform(1.5, 14)) if ceiling else float(rng.uniform(14, 60)))
    style = "room" if ceiling else "facade"
    heights = [ceiling] * 3 if ceiling else rng.uniform(6, 14, 3).tolist()
    back = WallPlace(
        origin=ahead * end + right * low, along=right, length=high - low, height=heights[0], style=style
    )
    walls = [
        WallPlace(origin=right * x - ahead * 2, along=ahead, length=end + 2, height=h, style=style)
        for x, h in ((low, heights[1]), (high, heights[2]))
    ]
    return [back, *walls]


def _skyline(people: Array, rng: np.random.Generator) -> list[WallPlace]:
    """Buildings far behind an open place."""
    walls = []
    far = float(people[:, 1].max()) + float(rng.uniform(8, 40))
    x = -far * 1.4
    while x < far * 1.4:
        length = float(rng.uniform(8, 30))
        height = float(rng.uniform(4, 11) * rng.choice([1, 1, 2.0]))
        shift = float(rng.uniform(0, 12))
        if rng.random() < 0.85:
            walls.append(
                WallPlace(
                    origin=np.array([x, far + shift]),
                    along=np.array([1.0, 0.0]),
                    length=length,
                    height=height,
                    style="far",
                )
            )
        x += length
    return sorted(walls, key=lambda wall: -float(wall.origin[1]))
