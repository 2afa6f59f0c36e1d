"""One picture from its cast: laid out, drawn by distance, and annotated from what was drawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from personsearch.datasets.synthetic.backdrop import (
    cast_outlines,
    choose_light,
    draw_backdrop,
    ground_shadow,
)
from personsearch.datasets.synthetic.guests import guests_of, inside_share
from personsearch.datasets.synthetic.layout import Layout, lay_out
from personsearch.datasets.synthetic.photo import Tiles, develop, draw_look
from personsearch.datasets.synthetic.plan import Cast, scene_generator
from personsearch.datasets.synthetic.props import draw_thing, figure_picture
from personsearch.datasets.synthetic.render import Layer, Light, render_body
from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.types import UNLABELLED, Array

HARDLY = 0.1
"""Somebody of whom less is visible is not annotated; a labelled person never is that hidden."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Shot:
    """A finished picture and what is in it.

    Attributes:
        pixels: (h, w, 3) uint8 RGB.
        boxes: (n, 4) int whole pixels x1 y1 x2 y2, the whole body clipped to the picture.
        people: (n,) identities, UNLABELLED for bystanders.
        twins: (n,) identity whom a bystander resembles, UNLABELLED for nobody.
        visible: (n,) share of the whole body's outline that can be seen.
        quality: JPEG quality it is to be saved with.
    """

    pixels: Array
    boxes: Array
    people: Array
    twins: Array
    visible: Array
    quality: int


def make_shot(settings: SyntheticSettings, split: str, number: int, cast: Cast, tiles: Tiles) -> Shot:
    """Picture ``number`` of ``split``; the same for the same arguments, wherever it is made.

    A draw in which somebody labelled ends up all but hidden is thrown away for the next one.
    """
    for attempt in range(8):
        rng = scene_generator(settings, split, number, attempt)
        layout = lay_out(guests_of(settings, split, cast, rng), settings.size, settings.smallest, rng)
        shot = draw(layout, settings.smallest, tiles, rng)
        labelled = shot.people != UNLABELLED
        if sorted(shot.people[labelled].tolist()) == sorted(cast.people):
            return shot
    raise RuntimeError(f"picture {number} of {split} cannot show its cast in 8 draws")


def draw(layout: Layout, smallest: int, tiles: Tiles, rng: np.random.Generator) -> Shot:
    """Draw ``layout``: backdrop, then everything from far to near, then the camera's faults.

    People hardly visible, less than half inside or lower than ``smallest`` pixels are drawn
    but not annotated.
    """
    camera, stage = layout.camera, layout.stage
    light, look = choose_light(stage.mood, rng), draw_look(rng)
    figure = figure_picture(tiles, light, rng) if rng.random() < 0.3 else None
    image = draw_backdrop(stage, camera, shadows(layout, light), tiles, rng, figure)
    layers: list[tuple[Layer, int]] = []
    for i, one in enumerate(layout.people):
        layers.append((render_body(one.body, one.solids, camera, light, tiles.folds), i))
    for thing in layout.things:
        layer = draw_thing(thing, camera, light, tiles)
        if layer is not None:
            layers.append((layer, -2))
    visible = compose(image, layers, len(layout.people))
    whole_boxes = [whole_box(one.box, camera.size) for one in layout.people]
    keep = [
        i
        for i, one in enumerate(layout.people)
        if visible[i] >= HARDLY
        and inside_share(one.box, camera.size) > 0.45
        and whole_boxes[i][3] - whole_boxes[i][1] >= smallest
    ]
    boxes = np.array([whole_boxes[i] for i in keep]).reshape(-1, 4)
    pixels, quality = develop(image, look, tiles, rng)
    return Shot(
        pixels=pixels,
        boxes=boxes,
        people=np.array([layout.people[i].guest.person for i in keep], np.int64),
        twins=np.array([layout.people[i].guest.twin_of for i in keep], np.int64),
        visible=visible[keep],
        quality=quality,
    )


def compose(image: Array, layers: list[tuple[Layer, int]], people: int) -> Array:
    """Lay everything over ``image`` in place, far to near; (people,) visible share of each.

    The share counts pixels that the person covers by more than half and nothing nearer does,
    over all the person would cover, also outside the picture. Layers of things are numbered -2.
    """
    owner = np.full(image.shape[:2], -1, np.int16)
    whole = np.ones(people)
    for layer, number in sorted(layers, key=lambda pair: -pair[0].distance):
        if number >= 0:
            whole[number] = float(max(int(np.count_nonzero(layer.coverage > 0.5)), 1))
        paste(image, layer, owner, number)
    seen: Array = np.bincount(owner[owner >= 0], minlength=people) / whole
    return seen


def shadows(layout: Layout, light: Light) -> Array:
    """(h, w) float32: what people and things leave of the ground's light."""
    polygons: list[Array] = []
    spots: list[tuple[float, float, float]] = []
    for one in layout.people:
        solids = one.solids
        radii = np.maximum(solids.first, solids.last) * solids.stretch.mean(axis=1)
        large = radii > 0.016 * one.body.height
        polygons.append(cast_outlines(solids.start[large], solids.end[large], radii[large], light))
        ankles = np.sort(solids.start[:, 1])
        low = solids.start[:, 1] <= ankles[min(3, len(ankles) - 1)] + 0.02
        spots += [(float(p[0]), float(p[2]), 0.13) for p in solids.start[low]]
    for thing in layout.things:
        w, h, d = thing.size
        x, z = thing.position
        c, s = np.cos(thing.turn), np.sin(thing.turn)
        k = 3 if w > 1 else 1
        at = np.linspace(-0.5, 0.5, k + 2)[1:-1] * max(w - d, 0)
        starts = np.stack([x + at * c, np.zeros(k), z + at * s], axis=1)
        ends = starts + np.array([0, h, 0])
        polygons.append(cast_outlines(starts, ends, np.full(k, min(w, d) / 2), light))
        spots += [(float(p[0]), float(p[2]), min(w, d) / 2 + 0.12) for p in starts]
    outlines = np.concatenate([np.zeros((0, 16, 3)), *polygons])
    return ground_shadow(layout.camera, layout.stage, outlines, spots)


def whole_box(box: Array, size: tuple[int, int]) -> Array:
    """(4,) whole pixels around ``box``, clipped to the picture.

    >>> whole_box(np.array([-3.2, 10.2, 20.5, 60.0]), (640, 480)).tolist()
    [0, 10, 21, 60]
    """
    width, rows = size
    x1, y1 = np.floor(box[:2] + 0.01)
    x2, y2 = np.ceil(box[2:] - 0.01)
    return np.array([max(x1, 0), max(y1, 0), min(x2, width), min(y2, rows)]).astype(np.int64)


def paste(image: Array, layer: Layer, owner: Array, number: int) -> None:
    """Lay ``layer`` over ``image`` in place; where it covers, ``owner`` becomes ``number``."""
    rows, width = owner.shape
    left, top = layer.corner
    high, wide = layer.coverage.shape
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + wide, width), min(top + high, rows)
    if x1 >= x2 or y1 >= y2:
        return
    part = slice(y1 - top, y2 - top), slice(x1 - left, x2 - left)
    here = slice(y1, y2), slice(x1, x2)
    coverage = layer.coverage[part]
    image[here] += (layer.colour[part] - image[here]) * coverage[..., None]
    np.copyto(owner[here], number, where=coverage > 0.5)
