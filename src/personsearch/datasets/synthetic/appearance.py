"""What makes an identity: build, skin, hair, clothes and what is carried, the same in every picture."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Colour = tuple[float, float, float]

PATTERNS = ("plain", "stripes", "pinstripes", "checks", "dots", "two-tone", "print", "panel")
UPPERS = ("t-shirt", "long-sleeve", "jacket", "hoodie", "coat", "dress")
LOWERS = ("trousers", "shorts", "skirt", "long-skirt")
HAIRS = ("short", "cropped", "bald", "bob", "long", "ponytail", "bun")
BAGS = ("none", "backpack", "shoulder-bag", "handbag")
HATS = ("none", "cap", "beanie", "brim")


@dataclass(frozen=True, kw_only=True)
class Cloth:
    """A surface: up to three colours in a pattern, sizes in metres of the body's own frame."""

    pattern: str = "plain"
    first: Colour = (0.3, 0.3, 0.3)
    second: Colour = (0.7, 0.7, 0.7)
    third: Colour = (0.1, 0.1, 0.1)
    scale: float = 0.08
    offset: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Appearance:
    """One identity, as it can be seen.

    Attributes:
        height: metres; children are below 1.45.
        build: width over the usual width, about 0.85 to 1.3.
        female: body shape.
        skin, hair: colours. ``hair_style`` one of ``HAIRS``; ``beard`` and ``glasses`` on the face.
        upper, lower: one of ``UPPERS`` and ``LOWERS`` (a dress or long coat hides some of the lower).
        top, bottom: their cloth; ``inner`` the shirt seen in an open jacket or coat.
        open_front: jacket, hoodie or coat is worn open.
        shoes, sole: colours; ``boots`` reach up the shin.
        bag, hat, scarf: what is carried and worn; ``scarf`` None for none.
    """

    height: float
    build: float
    female: bool
    skin: Colour
    hair: Colour
    hair_style: str
    beard: bool
    glasses: bool
    upper: str
    top: Cloth
    inner: Colour
    open_front: bool
    lower: str
    bottom: Cloth
    shoes: Colour
    sole: Colour
    boots: bool
    bag: str
    bag_colour: Colour
    hat: str
    hat_colour: Colour
    scarf: Colour | None
    looseness: float = field(default=1.0)

    @property
    def child(self) -> bool:
        """Whether this is a child."""
        return self.height < 1.45


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return (red, green, blue)


def _skin(rng: np.random.Generator) -> Colour:
    tone = rng.beta(1.3, 1.6)
    light, dark = np.array([0.93, 0.76, 0.66]), np.array([0.30, 0.19, 0.14])
    mixed = light + (dark - light) * tone + rng.normal(0, 0.015, 3)
    return tuple(np.clip(mixed, 0.05, 1).tolist())


def _hair(rng: np.random.Generator) -> Colour:
    kinds = (
        (0.06, 0.45, 0.10), (0.06, 0.5, 0.18), (0.07, 0.55, 0.32), (0.11, 0.55, 0.72),
        (0.04, 0.7, 0.45), (0.1, 0.08, 0.68), (0.95, 0.6, 0.5),
    )  # fmt: skip
    hue, saturation, value = kinds[rng.choice(len(kinds), p=(0.36, 0.24, 0.16, 0.11, 0.05, 0.06, 0.02))]
    return _rgb(hue, saturation + rng.normal(0, 0.05), value * rng.uniform(0.8, 1.2))


_VIVID = (
    (0.0, 0.88, 0.85), (0.97, 0.75, 0.6), (0.055, 0.85, 0.9), (0.13, 0.8, 0.92), (0.22, 0.6, 0.7),
    (0.36, 0.7, 0.6),
    (0.48, 0.65, 0.7), (0.56, 0.6, 0.9), (0.61, 0.85, 0.8), (0.72, 0.5, 0.65), (0.81, 0.5, 0.6),
    (0.93, 0.55, 0.92),
)  # fmt: skip
"""Hue, and the most of saturation and value, of the colours that clothes are dyed in."""
_VIVID_SHARES = (0.17, 0.08, 0.07, 0.09, 0.05, 0.1, 0.07, 0.1, 0.13, 0.05, 0.03, 0.06)


def cloth_colour(rng: np.random.Generator, vivid: float = 0.45) -> Colour:
    """A garment's colour: many dark, grey, blue and white ones, some vivid."""
    kind = rng.random()
    if kind < vivid:
        hue, most, brightest = _VIVID[rng.choice(len(_VIVID), p=_VIVID_SHARES)]
        return _rgb(rng.normal(hue, 0.02), rng.uniform(0.5, 1.0) * most, rng.uniform(0.45, 1.0) * brightest)
    kind = rng.random()
    if kind < 0.28:
        return _rgb(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.08, 0.2))
    if kind < 0.48:
        return _rgb(rng.normal(0.61, 0.03), rng.uniform(0.4, 0.75), rng.uniform(0.2, 0.45))
    if kind < 0.66:
        return _rgb(rng.random(), rng.uniform(0, 0.1), rng.uniform(0.35, 0.65))
    if kind < 0.82:
        return _rgb(rng.normal(0.1, 0.03), rng.uniform(0.02, 0.15), rng.uniform(0.8, 0.95))
    return _rgb(rng.normal(0.09, 0.03), rng.uniform(0.25, 0.55), rng.uniform(0.4, 0.75))


def _trouser_colour(rng: np.random.Generator) -> Colour:
    kind = rng.random()
    if kind < 0.36:
        return _rgb(rng.normal(0.61, 0.02), rng.uniform(0.35, 0.65), rng.uniform(0.22, 0.6))
    if kind < 0.62:
        return _rgb(rng.random(), rng.uniform(0, 0.15), rng.uniform(0.07, 0.22))
    if kind < 0.76:
        return _rgb(rng.normal(0.1, 0.02), rng.uniform(0.2, 0.45), rng.uniform(0.45, 0.8))
    if kind < 0.86:
        return _rgb(rng.random(), rng.uniform(0, 0.08), rng.uniform(0.35, 0.6))
    return cloth_colour(rng, 0.45)


def _contrast(rng: np.random.Generator, colour: Colour, vivid: float = 0.5) -> Colour:
    """A colour that can be told from ``colour``."""
    other = cloth_colour(rng, vivid)
    for _ in range(20):
        if float(np.abs(np.subtract(other, colour)).sum()) > 0.55:
            return other
        other = cloth_colour(rng, vivid)
    return (0.95, 0.95, 0.93) if sum(colour) < 1.5 else (0.08, 0.08, 0.1)


def _upper_cloth(rng: np.random.Generator, upper: str) -> Cloth:
    shares = {
        "t-shirt": (0.36, 0.14, 0.02, 0.05, 0.03, 0.1, 0.28, 0.02),
        "long-sleeve": (0.36, 0.2, 0.06, 0.2, 0.03, 0.1, 0.05, 0.0),
        "jacket": (0.58, 0.02, 0.0, 0.04, 0.0, 0.26, 0.0, 0.1),
        "hoodie": (0.5, 0.04, 0.0, 0.0, 0.0, 0.18, 0.26, 0.02),
        "coat": (0.74, 0.0, 0.04, 0.14, 0.0, 0.04, 0.0, 0.04),
        "dress": (0.4, 0.14, 0.04, 0.1, 0.18, 0.12, 0.0, 0.02),
    }[upper]
    first = cloth_colour(rng, 0.28 if upper == "coat" else 0.44)
    second = _contrast(rng, first)
    pattern = PATTERNS[rng.choice(len(PATTERNS), p=np.array(shares) / sum(shares))]
    return Cloth(
        pattern=pattern,
        first=first,
        second=second,
        third=_contrast(rng, second),
        scale=float(rng.uniform(0.05, 0.13)),
        offset=float(rng.uniform(0, 1)),
    )


def _lower_cloth(rng: np.random.Generator, lower: str) -> Cloth:
    if lower in ("skirt", "long-skirt"):
        first = cloth_colour(rng, 0.5)
        shares = (0.55, 0.12, 0.08, 0.15, 0.1)
    else:
        first = _trouser_colour(rng)
        shares = (0.86, 0.0, 0.05, 0.04, 0.05)
    kind = ("plain", "stripes", "pinstripes", "checks", "panel")[rng.choice(5, p=shares)]
    return Cloth(
        pattern=kind,
        first=first,
        second=_contrast(rng, first, 0.4),
        scale=float(rng.uniform(0.05, 0.1)),
        offset=float(rng.uniform(0, 1)),
    )


def _pick(rng: np.random.Generator, names: tuple[str, ...], shares: tuple[float, ...]) -> str:
    return names[rng.choice(len(names), p=np.array(shares) / sum(shares))]


def draw_appearance(rng: np.random.Generator) -> Appearance:
    """Somebody: everything that makes an identity, drawn from ``rng``."""
    female = bool(rng.random() < 0.5)
    child = bool(rng.random() < 0.06)
    height = (
        rng.uniform(1.12, 1.42) if child else np.clip(rng.normal(1.65 if female else 1.77, 0.07), 1.5, 1.98)
    )
    upper = _pick(
        rng, UPPERS, (0.3, 0.22, 0.2, 0.12, 0.1, 0.12) if female else (0.32, 0.22, 0.24, 0.14, 0.08, 0)
    )
    lower = _pick(rng, LOWERS, (0.68, 0.1, 0.16, 0.06) if female else (0.84, 0.16, 0, 0))
    if upper == "coat" and lower == "shorts":
        lower = "trousers"
    hair_style = _pick(
        rng,
        HAIRS,
        (0.12, 0.02, 0, 0.22, 0.34, 0.2, 0.1) if female else (0.62, 0.22, 0.08, 0.04, 0.03, 0, 0.01),
    )
    shoe_kind = rng.random()
    shoes = (
        _rgb(rng.random(), rng.uniform(0, 0.3), rng.uniform(0.06, 0.2))
        if shoe_kind < 0.45
        else (0.9, 0.9, 0.88) if shoe_kind < 0.7 else cloth_colour(rng, 0.7)
    )  # fmt: skip
    return Appearance(
        height=float(height),
        build=float(np.clip(rng.normal(1.0, 0.1) + (rng.random() < 0.1) * 0.15, 0.84, 1.35)),
        female=female and not child,
        skin=_skin(rng),
        hair=_hair(rng),
        hair_style=hair_style,
        beard=bool(not female and not child and rng.random() < 0.25),
        glasses=bool(rng.random() < 0.15),
        upper=upper,
        top=_upper_cloth(rng, upper),
        inner=cloth_colour(rng, 0.35),
        open_front=bool(upper in ("jacket", "hoodie", "coat") and rng.random() < 0.45),
        lower=lower,
        bottom=_lower_cloth(rng, lower),
        shoes=shoes,
        sole=(0.9, 0.9, 0.88) if rng.random() < 0.4 else (0.12, 0.1, 0.1),
        boots=bool(rng.random() < (0.25 if lower in ("skirt", "long-skirt") else 0.08)),
        bag=_pick(rng, BAGS, (0.48, 0.24, 0.18, 0.1)),
        bag_colour=cloth_colour(rng, 0.55),
        hat=_pick(rng, HATS, (0.8, 0.1, 0.06, 0.04)),
        hat_colour=cloth_colour(rng, 0.5),
        scarf=cloth_colour(rng, 0.7) if upper in ("coat", "jacket") and rng.random() < 0.2 else None,
        looseness=float(rng.uniform(0.9, 1.35)),
    )


def _near(rng: np.random.Generator, colour: Colour, amount: float = 0.03) -> Colour:
    """Nearly ``colour``: another piece from the same shelf."""
    return tuple(
        np.clip(np.array(colour) * rng.uniform(0.92, 1.08) + rng.normal(0, amount, 3), 0.02, 1).tolist()
    )


def near_twin(person: Appearance, rng: np.random.Generator) -> Appearance:
    """Somebody else dressed much like ``person``: same garments, two to three visible differences.

    Everything shifts a little; then two or three of trousers, hair, bag, shoes, top shade
    and pattern really differ, so that the two can be told apart by looking.
    """
    other = draw_appearance(rng)
    twin = replace(
        person,
        height=float(np.clip(person.height + rng.normal(0, 0.04), 1.1, 1.98)),
        build=float(np.clip(person.build + rng.normal(0, 0.05), 0.84, 1.35)),
        skin=_near(rng, person.skin, 0.02),
        top=replace(
            person.top,
            first=_near(rng, person.top.first),
            second=_near(rng, person.top.second),
            scale=person.top.scale * float(rng.uniform(0.9, 1.1)),
        ),
        bottom=replace(person.bottom, first=_near(rng, person.bottom.first)),
    )
    changes: dict[str, dict[str, Any]] = {
        "bottom": {"bottom": replace(twin.bottom, first=_contrast(rng, person.bottom.first, 0.3))},
        "hair": {"hair": other.hair, "hair_style": "bob" if person.hair_style != "bob" else "ponytail"},
        "bag": {
            "bag": "none" if person.bag != "none" else "backpack",
            "bag_colour": _contrast(rng, person.top.first),
        },
        "shoes": {"shoes": _contrast(rng, person.shoes), "hat": "cap" if person.hat == "none" else "none"},
        "pattern": {
            "top": replace(
                twin.top,
                pattern="plain" if person.top.pattern != "plain" else "two-tone",
                second=_contrast(rng, twin.top.first),
            )
        },
    }
    names = sorted(changes)
    first, *more = rng.permutation(len(names))[: int(rng.integers(2, 4))].tolist()
    for i in (first, *more):
        twin = replace(twin, **changes[names[i]])
    return twin
