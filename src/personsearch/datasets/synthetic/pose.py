"""How somebody stands or walks: joints of a skeleton in the body's own frame.

Frame: metres, x to the person's right, y up from the soles, z forward.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from personsearch.types import Array

# Joint heights and half widths as shares of the standing height (adult; Drillis and Contini's
# proportions, rounded).
KNEE, HIP, WAIST, SHOULDER, NECK, HEAD = 0.285, 0.52, 0.605, 0.815, 0.868, 0.935
HIP_WIDTH, SHOULDER_WIDTH = 0.052, 0.108
UPPER_ARM, FOREARM, HAND = 0.175, 0.15, 0.095
ANKLE = 0.042


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Angles in radians; forward and outward are positive.

    Attributes:
        thighs, knees: right and left; forward swing, and flexion (always >= 0).
        arms, elbows: right and left; forward swing, and flexion.
        spread: (right, left) outward angle of the arms.
        lean: forward lean of the trunk. ``twist``: of the shoulders against the hips.
        head: (turn, nod).
    """

    thighs: tuple[float, float]
    knees: tuple[float, float]
    arms: tuple[float, float]
    elbows: tuple[float, float]
    spread: tuple[float, float]
    lean: float
    twist: float
    head: tuple[float, float]


def draw_pose(rng: np.random.Generator, walking: float = 0.65) -> Pose:
    """Somebody's pose: walking at a random phase with probability ``walking``, else standing."""
    spread = (float(rng.uniform(0.06, 0.2)), float(rng.uniform(0.06, 0.2)))
    head = (float(rng.normal(0, 0.3)), float(rng.normal(0.05, 0.1)))
    if rng.random() < walking:
        return walking_pose(
            float(rng.uniform(0, 2 * math.pi)), float(rng.uniform(0.7, 1.1)), rng, spread=spread, head=head
        )
    stance = rng.normal(0, 0.05, 2)
    arms, elbows = rng.normal(0.0, 0.08, 2), rng.uniform(0.1, 0.35, 2)
    kind = rng.random()
    if kind < 0.2:  # looking at a phone, or holding something
        arms[0], elbows[0], head = 0.35, rng.uniform(1.6, 2.0), (head[0] * 0.3, 0.35)
    elif kind < 0.4:  # hands in the pockets
        arms, elbows = np.array([-0.25, -0.25]), np.array([0.55, 0.55])
    return Pose(
        thighs=(float(stance[0]), float(stance[1])),
        knees=(float(abs(rng.normal(0, 0.05))), float(abs(rng.normal(0, 0.12)))),
        arms=(float(arms[0]), float(arms[1])),
        elbows=(float(elbows[0]), float(elbows[1])),
        spread=spread,
        lean=float(rng.normal(0.0, 0.02)),
        twist=float(rng.normal(0, 0.05)),
        head=head,
    )


def walking_pose(
    phase: float,
    stride: float,
    rng: np.random.Generator,
    *,
    spread: tuple[float, float],
    head: tuple[float, float],
) -> Pose:
    """The gait cycle at ``phase`` (0: the right heel strikes), ``stride`` 1 for a usual step."""
    thighs, knees = [], []
    for p in (phase, phase + math.pi):
        thighs.append(stride * 0.36 * math.cos(p) + 0.05)
        knees.append(0.1 + stride * 0.85 * max(0.0, -math.sin(p + 0.35)) ** 1.5)
    swing = rng.uniform(0.4, 0.9)
    arms = tuple(-swing * (t - 0.05) for t in thighs)
    elbows = tuple(0.2 + 0.5 * max(0.0, a) + float(rng.uniform(0, 0.15)) for a in arms)
    return Pose(
        thighs=(thighs[0], thighs[1]),
        knees=(knees[0], knees[1]),
        arms=(arms[0], arms[1]),
        elbows=(elbows[0], elbows[1]),
        spread=spread,
        lean=float(rng.uniform(0.02, 0.08)),
        twist=-0.2 * stride * math.cos(phase),
        head=head,
    )


def turn_about(axis: str, angle: float) -> Array:
    """(3, 3) rotation of column vectors; about x: z goes to -y, about y: z goes to x.

    >>> (turn_about("y", np.pi / 2) @ [0, 0, 1]).round(6).tolist()
    [1.0, 0.0, 0.0]
    """
    c, s = math.cos(angle), math.sin(angle)
    if axis == "x":
        return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    if axis == "y":
        return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


@dataclass(frozen=True, eq=False, kw_only=True)
class Skeleton:
    """Joints in metres; pairs are right then left; ``trunk`` and ``skull`` are (3, 3) columns x y z."""

    height: float
    hips: Array  # (2, 3)
    knees: Array
    ankles: Array
    toes: Array  # (2, 3) unit directions of the feet
    waist: Array  # (3,)
    chest: Array
    shoulders: Array
    elbows: Array
    wrists: Array
    neck: Array
    head: Array
    trunk: Array
    skull: Array


def skeleton(pose: Pose, height: float, *, width: float = 1.0, child: bool = False) -> Skeleton:
    """Joints of somebody ``height`` metres tall in ``pose``; the lower sole stands on y = 0.

    Args:
        pose: angles.
        height: standing height in metres.
        width: hips and shoulders over their usual width.
        child: shorter legs and a larger head.
    """
    h = height
    leg = 0.94 if child else 1.0
    neck_y, head_y, shoulder_y = (0.835, 0.915, 0.785) if child else (NECK, HEAD, SHOULDER)
    side = np.array([1.0, -1.0])
    hips = np.stack([side * HIP_WIDTH * width, np.full(2, HIP * leg), np.zeros(2)], axis=1) * h
    knees, ankles, toes = _legs(pose, hips, h, leg)
    hip_y = HIP * leg
    trunk = turn_about("x", pose.lean)
    shoulders_turn = trunk @ turn_about("y", pose.twist)
    pelvis = np.array([0.0, hip_y * h, 0.0])

    def up(y: float, x: float = 0.0) -> Array:
        place: Array = pelvis + shoulders_turn @ np.array([x, y * h - pelvis[1], 0.0])
        return place

    shoulders = np.stack([up(shoulder_y, s * SHOULDER_WIDTH * width * h) for s in side])
    elbows, wrists = np.empty((2, 3)), np.empty((2, 3))
    for i in range(2):
        a, out = pose.arms[i], pose.spread[i]
        upper = np.array([side[i] * math.sin(out), -math.cos(a) * math.cos(out), math.sin(a)])
        b = a + pose.elbows[i]
        lower = np.array([side[i] * math.sin(out) * 0.3, -math.cos(b), math.sin(b)])
        elbows[i] = shoulders[i] + UPPER_ARM * h * leg * upper / np.linalg.norm(upper)
        wrists[i] = elbows[i] + FOREARM * h * leg * lower / np.linalg.norm(lower)
    skull = trunk @ turn_about("y", pose.head[0]) @ turn_about("x", pose.head[1])
    neck = up(neck_y)
    head = neck + skull @ np.array([0, (head_y - neck_y) * h, 0.008 * h])
    soles = ankles[:, 1] - ANKLE * h + np.minimum(0, toes[:, 1]) * 0.1 * h
    drop = np.array([0.0, -float(soles.min()), 0.0])
    return Skeleton(
        height=h,
        hips=hips + drop,
        knees=knees + drop,
        ankles=ankles + drop,
        toes=toes,
        waist=up(WAIST * (0.97 if child else 1)) + drop,
        chest=up(shoulder_y - 0.05) + drop,
        shoulders=shoulders + drop,
        elbows=elbows + drop,
        wrists=wrists + drop,
        neck=neck + drop,
        head=head + drop,
        trunk=shoulders_turn,
        skull=skull,
    )


def _legs(pose: Pose, hips: Array, h: float, leg: float) -> tuple[Array, Array, Array]:
    """Knees, ankles (2, 3) and directions of the toes; ``leg`` is their length over an adult's."""
    knees, ankles, toes = np.empty((2, 3)), np.empty((2, 3)), np.empty((2, 3))
    thigh, shin = (HIP - KNEE) * leg * h, (KNEE * leg - ANKLE) * h
    for i, side in enumerate((1.0, -1.0)):
        a = pose.thighs[i]
        b = a - pose.knees[i]
        knees[i] = hips[i] + thigh * np.array([-0.02 * side, -math.cos(a), math.sin(a)])
        ankles[i] = knees[i] + shin * np.array([0.0, -math.cos(b), math.sin(b)])
        tip = min(0.0, b + 0.15) * 0.9 + max(0.0, b) * 0.5
        toes[i] = np.array([0.12 * side, math.sin(tip), math.cos(tip)]) / math.hypot(1, 0.12)
    return knees, ankles, toes
