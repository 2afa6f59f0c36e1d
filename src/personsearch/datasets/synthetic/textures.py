"""Surfaces of streets and halls, drawn flat: paving, facades, shop fronts, indoor walls.

Textures are uint8 RGB and repeat. Walls are drawn in metres: x along the wall, y up from
the ground; row 0 of a wall's texture is the ground, so that it can be laid upwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from personsearch.datasets.synthetic.photo import Tiles, cut_tile
from personsearch.types import Array

Paint = tuple[int, int, int]


def paint(rng: np.random.Generator, value: float, tint: float = 0.05) -> Paint:
    """A muted colour about ``value`` (0 to 1) bright."""
    warm, green = rng.normal(0.02, tint), rng.normal(0, 0.45 * tint)
    level = value * np.array([1 + warm, 1 + green, 1 - warm])
    return tuple(int(v) for v in np.clip(level * 255, 4, 250))  # type: ignore[return-value]


def shade(colour: Paint, factor: float) -> Paint:
    """``colour`` made lighter or darker."""
    return tuple(int(min(max(c * factor, 0), 255)) for c in colour)  # type: ignore[return-value]


def roughen(texture: Array, noise: Array, amount: float, rng: np.random.Generator) -> Array:
    """``texture`` with a random cut of ``noise`` (uint8 about 128), ``amount`` times as strong."""
    part = cut_tile(noise, texture.shape[0], texture.shape[1], rng)
    result: Array = cv2.addWeighted(texture, 1.0, part, amount, -128 * amount)
    return result


GROUNDS = ("asphalt", "slabs", "bricks", "grass", "concrete", "gravel")
FLOORS = ("tiles", "checker", "wood", "carpet", "marble")
GROUND_SCALE = 64.0


def ground_texture(rng: np.random.Generator, tiles: Tiles, kind: str, brightness: float) -> Array:
    """(512, 512, 3) of ground ``kind``, ``GROUND_SCALE`` pixels a metre."""
    base = paint(rng, brightness, 0.03)
    size = 512
    image = np.empty((size, size, 3), np.uint8)
    image[:] = base
    fine, coarse = 0.10, 0.14
    if kind in ("slabs", "tiles", "checker", "marble"):
        step = int(rng.choice([32, 64]))
        _slabs(image, rng, (step, step), base, 0.06 if kind != "checker" else 0.02)
        if kind == "checker":
            dark = shade(base, float(rng.uniform(0.45, 0.8)))
            for y in range(0, size, step):
                for x in range((y // step % 2) * step, size, 2 * step):
                    image[y : y + step, x : x + step] = dark
        joint = shade(base, 0.72 if kind != "marble" else 0.9)
        image[::step], image[:, ::step] = joint, joint
        fine = 0.05
    elif kind == "bricks":
        _slabs(image, rng, (8, 16), base, 0.10)
        image[::8] = shade(base, 0.75)
        for row in range(0, size, 8):
            image[row : row + 8, (row // 8 % 2) * 8 :: 16] = shade(base, 0.75)
    elif kind == "wood":
        brown = (int(base[0] * 1.1), int(base[1] * 0.85), int(base[2] * 0.62))
        image[:] = brown
        _slabs(image, rng, (8, 128), brown, 0.1)
        image[::8] = shade(brown, 0.7)
        fine = 0.06
    elif kind == "grass":
        image[:] = (int(base[0] * 0.75), int(base[1] * 0.95), int(base[2] * 0.45))
        fine, coarse = 0.3, 0.2
    elif kind == "carpet":
        image[:] = paint(rng, brightness * 0.8, 0.14)
        coarse = 0.05
    elif kind == "gravel":
        fine = 0.28
    image = roughen(image, tiles.rough, fine, rng)
    return roughen(image, tiles.smooth, coarse, rng)


def _slabs(image: Array, rng: np.random.Generator, step: tuple[int, int], base: Paint, spread: float) -> None:
    """Every slab a little different, in place."""
    rows, columns = image.shape[0] // step[0], image.shape[1] // step[1]
    factors = 1 + spread * rng.standard_normal((rows, columns, 1))
    small = np.clip(np.array(base) * factors, 0, 255).astype(np.uint8)
    image[:] = cv2.resize(small, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)


@dataclass(frozen=True, eq=False)
class Wall:
    """A wall being drawn: ``image`` (rows, columns, 3), ``scale`` pixels a metre."""

    image: Array
    scale: float

    @property
    def size(self) -> tuple[float, float]:
        """(length, height) in metres."""
        return self.image.shape[1] / self.scale, self.image.shape[0] / self.scale

    def rect(self, x0: float, y0: float, x1: float, y1: float, colour: Paint) -> None:
        """Fill a rectangle given in metres."""
        s = self.scale
        rows, columns = self.image.shape[:2]
        a, b = max(round(x0 * s), 0), min(round(x1 * s), columns)
        c, d = max(round(y0 * s), 0), min(round(y1 * s), rows)
        if a < b and c < d:
            cv2.rectangle(self.image, (a, c), (b - 1, d - 1), colour, -1)

    def gradient(self, box: tuple[float, float, float, float], low: Paint, high: Paint) -> None:
        """Fill a rectangle from ``low`` at its foot to ``high`` at its top."""
        s = self.scale
        a, b = max(round(box[0] * s), 0), round(box[2] * s)
        c, d = max(round(box[1] * s), 0), min(round(box[3] * s), self.image.shape[0])
        if a < b and c < d:
            ramp = np.linspace(0, 1, d - c)[:, None]
            self.image[c:d, a:b] = (np.array(low) * (1 - ramp) + np.array(high) * ramp)[:, None].astype(
                np.uint8
            )


def new_wall(length: float, height: float, scale: float, colour: Paint) -> Wall:
    """An empty wall of ``length`` by ``height`` metres."""
    image = np.empty((max(round(height * scale), 2), max(round(length * scale), 2), 3), np.uint8)
    cv2.rectangle(image, (0, 0), (image.shape[1], image.shape[0]), colour, -1)
    return Wall(image, scale)


def facade(rng: np.random.Generator, tiles: Tiles, size: tuple[float, float], scale: float) -> Wall:
    """The front of a building: windows above, shops, doors or plain wall at the ground."""
    length, height = size
    base = paint(rng, float(rng.uniform(0.35, 0.8)), 0.07)
    if rng.random() < 0.3:
        base = (int(base[0]), int(base[1] * 0.68), int(base[2] * 0.55))
    wall = new_wall(length, height, scale, base)
    if rng.random() < 0.4 and scale > 24:
        step = max(round(0.09 * scale), 3)
        wall.image[::step] = shade(base, 0.85)
    ground_floor = float(rng.uniform(3.2, 4.0))
    floor, bay = float(rng.uniform(2.8, 3.4)), float(rng.uniform(1.8, 3.2))
    frame, glass = paint(rng, rng.choice([0.25, 0.85])), paint(rng, rng.uniform(0.2, 0.45), 0.08)
    width, tall = bay * float(rng.uniform(0.4, 0.7)), float(rng.uniform(1.4, 2.0))
    for y in np.arange(ground_floor + 0.7, height - 1.0, floor):
        for x in np.arange(bay / 2, length, bay):
            _window(wall, rng, (x - width / 2, y, x + width / 2, y + tall), (frame, glass))
    wall.rect(0, ground_floor, length, ground_floor + 0.18, shade(base, 0.8))
    x = 0.0
    style = rng.random()
    while x < length:
        w = float(rng.uniform(2.6, 5.0))
        if style < 0.55:
            _shop(wall, rng, (x + 0.15, min(x + w, length) - 0.15), ground_floor)
        elif style < 0.8:
            _window(wall, rng, (x + 0.6, 1.0, x + 1.9, 2.6), (frame, glass))
            if rng.random() < 0.4:
                _door(wall, rng, x + 2.1)
        x += w
    wall.rect(0, 0, length, 0.35, shade(base, 0.65))
    return finish(wall, tiles, rng)


def _window(
    wall: Wall, rng: np.random.Generator, box: tuple[float, float, float, float], look: tuple[Paint, Paint]
) -> None:
    frame, glass = look
    x0, y0, x1, y1 = box
    wall.rect(x0 - 0.07, y0 - 0.07, x1 + 0.07, y1 + 0.07, frame)
    wall.gradient(box, shade(glass, float(rng.uniform(0.7, 1.0))), shade(glass, float(rng.uniform(1.1, 1.7))))
    if rng.random() < 0.3:
        wall.rect(x0, y1 - float(rng.uniform(0.2, 0.9)), x1, y1, paint(rng, 0.8))
    wall.rect((x0 + x1) / 2 - 0.03, y0, (x0 + x1) / 2 + 0.03, y1, frame)
    wall.rect(x0 - 0.15, y0 - 0.15, x1 + 0.15, y0 - 0.07, shade(frame, 0.8))


def _shop(wall: Wall, rng: np.random.Generator, span: tuple[float, float], top: float) -> None:
    """A shop front: glass with goods behind, a sign above, sometimes an awning or a door."""
    x0, x1 = span
    if x1 - x0 < 1.5:
        return
    body = paint(rng, float(rng.uniform(0.12, 0.6)), 0.2)
    wall.rect(x0, 0, x1, top, body)
    lit = rng.random() < 0.5
    inside = paint(rng, float(rng.uniform(0.45, 0.8) if lit else rng.uniform(0.12, 0.3)), 0.07)
    wall.gradient((x0 + 0.15, 0.45, x1 - 0.15, 2.7), shade(inside, 0.7), shade(inside, 1.15))
    for _ in range(int((x1 - x0) * rng.uniform(2, 7))):
        gx, gy = float(rng.uniform(x0 + 0.2, x1 - 0.5)), float(rng.uniform(0.5, 2.2))
        goods = paint(rng, float(rng.uniform(0.15, 0.75)), 0.28)
        wall.rect(
            gx, gy, min(gx + float(rng.uniform(0.1, 0.5)), x1 - 0.2), gy + float(rng.uniform(0.1, 0.6)), goods
        )
    for x in np.linspace(x0 + 0.1, x1 - 0.1, max(int((x1 - x0) / 1.6), 1) + 1):
        wall.rect(x - 0.05, 0.4, x + 0.05, 2.75, shade(body, 0.8))
    sign = paint(rng, float(rng.uniform(0.15, 0.8)), 0.35)
    wall.rect(x0, 2.75, x1, top - 0.2, sign)
    _letters(
        wall, rng, (x0 + 0.4, 2.85, x1 - 0.4, top - 0.3), (245, 245, 240) if sum(sign) < 380 else (25, 25, 30)
    )
    if rng.random() < 0.3:
        for i, x in enumerate(np.arange(x0, x1, 0.3)):
            wall.rect(x, 2.35, x + 0.3, 2.8, sign if i % 2 else (235, 230, 220))
    if rng.random() < 0.5:
        _door(wall, rng, float(rng.uniform(x0 + 0.2, x1 - 1.1)))


def _door(wall: Wall, rng: np.random.Generator, x: float) -> None:
    colour = paint(rng, float(rng.uniform(0.15, 0.5)), 0.3)
    wall.rect(x, 0, x + 1.0, 2.25, shade(colour, 0.7))
    wall.rect(x + 0.07, 0, x + 0.93, 2.18, colour)
    if rng.random() < 0.6:
        wall.gradient((x + 0.2, 0.9, x + 0.8, 2.0), shade(colour, 0.5), (130, 140, 150))
    wall.rect(x + 0.8, 1.0, x + 0.86, 1.15, (200, 195, 180))


def _letters(
    wall: Wall, rng: np.random.Generator, box: tuple[float, float, float, float], ink: Paint
) -> None:
    """Something that looks like writing from afar."""
    x0, y0, x1, y1 = box
    high = y1 - y0
    if high < 0.1 or x1 - x0 < 0.3:
        return
    x = x0 + float(rng.uniform(0, 0.3)) * (x1 - x0)
    stop = x1 - float(rng.uniform(0, 0.3)) * (x1 - x0)
    while x < stop - 0.5 * high:
        w = high * float(rng.uniform(0.35, 0.6))
        if rng.random() < 0.85:
            wall.rect(x, y0, x + 0.14 * high, y1, ink)
            level = y0 + high * float(rng.choice([0.0, 0.43, 0.86]))
            wall.rect(x, level, x + w, level + 0.14 * high, ink)
            if rng.random() < 0.6:
                wall.rect(x + w - 0.14 * high, y0, x + w, y0 + high * float(rng.uniform(0.5, 1)), ink)
        x += w + 0.15 * high


def room_wall(rng: np.random.Generator, tiles: Tiles, size: tuple[float, float], scale: float) -> Wall:
    """An indoor wall: paint or tiles, a skirting, doors, boards and shop windows."""
    length, height = size
    base = paint(rng, float(rng.uniform(0.5, 0.85)), 0.06)
    wall = new_wall(length, height, scale, base)
    kind = rng.random()
    if kind < 0.25 and scale > 16:
        step = max(round(0.3 * scale), 3)
        wall.image[::step] = shade(base, 0.88)
        wall.image[:, ::step] = shade(base, 0.88)
    elif kind < 0.5:
        wall.rect(0, 0, length, 1.1, paint(rng, float(rng.uniform(0.25, 0.6)), 0.15))
    x, style = float(rng.uniform(0, 1.5)), rng.random()
    while x < length - 1:
        w = float(rng.uniform(2.5, 5.0))
        if style < 0.4:
            _shop(wall, rng, (x, min(x + w, length) - 0.3), min(3.4, height))
        elif rng.random() < 0.4:
            _door(wall, rng, x)
        elif rng.random() < 0.7:
            board = paint(rng, float(rng.uniform(0.3, 0.9)), 0.3)
            high = float(rng.uniform(0.6, 1.2))
            wall.rect(x, 1.1, x + 0.6 * w, 1.1 + high, (40, 40, 42))
            wall.rect(x + 0.05, 1.15, x + 0.6 * w - 0.05, 1.05 + high, board)
            _letters(wall, rng, (x + 0.15, 1.25, x + 0.55 * w, 1.4), (30, 30, 30))
        x += w
    wall.rect(0, 0, length, 0.12, shade(base, 0.5))
    return finish(wall, tiles, rng)


def finish(wall: Wall, tiles: Tiles, rng: np.random.Generator) -> Wall:
    """Dirt and a darker foot."""
    image = roughen(wall.image, tiles.rough, 0.05, rng)
    image = roughen(image, tiles.smooth, 0.09, rng)
    foot = min(round(0.6 * wall.scale), len(image))
    ramp = np.linspace(0.7, 1.0, foot, dtype=np.float32)[:, None, None]
    image[:foot] = (image[:foot] * ramp).astype(np.uint8)
    return Wall(image, wall.scale)


def poster(
    rng: np.random.Generator, wall: Wall, place: tuple[float, float, float], figure: Array | None
) -> None:
    """Hang a poster at (left, foot, width) metres; ``figure`` (h, w, 4) uint8 stands on it, if given."""
    x, y, w = place
    high = 1.45 * w
    back = paint(rng, float(rng.uniform(0.35, 0.9)), 0.3)
    wall.rect(x - 0.06, y - 0.06, x + w + 0.06, y + high + 0.06, (35, 35, 38))
    wall.gradient((x, y, x + w, y + high), back, shade(back, 0.7))
    _letters(wall, rng, (x + 0.1 * w, y + 0.06 * w, x + 0.9 * w, y + 0.2 * w), (250, 250, 250))
    if figure is None:
        _letters(wall, rng, (x + 0.1 * w, y + 0.8 * w, x + 0.9 * w, y + 1.1 * w), paint(rng, 0.5, 0.5))
        return
    s = wall.scale
    tall = round(1.08 * w * s)
    wide = max(round(figure.shape[1] / figure.shape[0] * tall), 1)
    left, low = round((x + w / 2) * s) - wide // 2, round((y + 0.25 * w) * s)
    if tall < 8 or left < 0 or left + wide > wall.image.shape[1] or low + tall > wall.image.shape[0]:
        return
    small = cv2.resize(figure, (wide, tall), interpolation=cv2.INTER_AREA)[::-1].astype(np.float32)
    part = wall.image[low : low + tall, left : left + wide]
    alpha = small[..., 3:] / 255
    part[:] = (part * (1 - alpha) + small[..., :3] * alpha).astype(np.uint8)
