"""The sheet of hits: cells in order, the right crop in each, and a place for what is gone."""

from dataclasses import replace

import numpy as np
import pytest

from personsearch.errors import InputError
from personsearch.report.drawing import HIT, QUERY
from personsearch.report.hit_sheet import HitSheetOptions, hit_sheet
from personsearch.report.sheets import SheetLayout
from personsearch.types import Picture

LAYOUT = SheetLayout(cell=(40, 80), gap=4, text=10)
CELL = 80 + 3 * 16 + 6


def scene(shade):
    pixels = np.zeros((100, 200, 3), np.uint8)
    pixels[10:90, 50:90] = shade
    return Picture(pixels)


def shades(sheet, columns, count):
    return [
        int(sheet[4 + (i // columns) * (CELL + 4) + 40, 4 + (i % columns) * 44 + 20, 0]) for i in range(count)
    ]


def test_the_person_looked_for_comes_first_then_the_hits(result):
    hits = result(*[(str(i), [50, 10, 90, 90]) for i in range(1, 5)])
    looked = result().query
    sheet = hit_sheet(
        hits,
        lambda: scene(250),
        lambda name: scene(20 * int(name)),
        HitSheetOptions(columns=3, layout=LAYOUT),
    )
    assert sheet.shape == (2 * (CELL + 4) + 4, 3 * 44 + 4, 3)
    assert looked.box.tolist() == [4, 4, 20, 40]
    assert shades(sheet, 3, 5)[1:] == [20, 40, 60, 80]
    assert (sheet[CELL + 8 :, 92:] == 255).all()  # no sixth cell
    assert sheet[84 + 4 : CELL, 4:44].min() < 120  # there is text below


def test_whole_pictures_with_the_box(result):
    hits = result(("1", [50, 10, 90, 90]))
    sheet = hit_sheet(
        hits,
        lambda: scene(90),
        lambda name: scene(90),
        HitSheetOptions(columns=2, layout=SheetLayout(cell=(200, 100), gap=4), scenes=True),
    )
    has = [(sheet == np.array(style.colour)).all(axis=-1) for style in (QUERY, HIT)]
    assert has[0][:, :204].any()
    assert not has[0][:, 208:].any()
    rows, columns = np.nonzero(has[1][4:104, 208:])
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == pytest.approx((10, 90, 50, 90), abs=2)


def test_a_picture_that_is_gone_leaves_its_place(result):
    def load(name):
        if name == "1":
            raise InputError("1 is gone\nfor good")
        return scene(60)

    def no_query():
        raise InputError("q is gone")

    sheet = hit_sheet(
        result(("1", [0, 0, 9, 9]), ("2", [50, 10, 90, 90])),
        no_query,
        load,
        HitSheetOptions(columns=3, layout=LAYOUT),
    )
    assert shades(sheet, 3, 3) == [228, 228, 60]


def test_the_time_of_the_frame_looked_for_stands_below_it(result):
    plain = result(("1", [50, 10, 90, 90]))
    filmed = replace(plain, query=replace(plain.query, position=61.5))
    options = HitSheetOptions(columns=2, layout=LAYOUT)
    before, after = (
        hit_sheet(one, lambda: scene(9), lambda _: scene(60), options) for one in (plain, filmed)
    )
    rows, columns = np.nonzero((before != after).any(axis=2))
    assert rows.min() >= 4 + 80 + 2 * 16
    assert columns.max() < 44


@pytest.mark.parametrize(
    "name", ["a\nb\r\n.jpg", "\x1b[2J", "f\udce9.jpg", "\u202egpj.exe", "x" * 3000, "漢字.jpg"]
)
def test_any_name_can_be_written_below(result, name):
    hits = result((name, [50, 10, 90, 90]), camera=name, time=1e300)
    sheet = hit_sheet(hits, lambda: scene(9), lambda name: scene(60), HitSheetOptions(layout=LAYOUT))
    assert sheet.shape[1] == 2 * 44 + 4


def test_no_columns(result):
    with pytest.raises(ValueError, match="columns"):
        hit_sheet(result(), lambda: scene(1), lambda name: scene(1), HitSheetOptions(columns=0))
