import numpy as np
import pytest

from personsearch.report.drawing import (
    BYSTANDER,
    HIT,
    QUERY,
    RIGHT,
    TRUTH,
    WRONG,
    Mark,
    draw,
    scaled,
    shorten,
    text_size,
)

GREY = np.full((120, 160, 3), 128, np.uint8)


def ring(pixels, colour):
    """(h, w) where the pixels have a colour."""
    return (pixels == np.array(colour, np.uint8)).all(axis=-1)


def test_a_solid_box_is_where_it_should_be_and_nowhere_else():
    before = GREY.copy()
    got = draw(GREY, [Mark(box=np.array([40, 30, 100, 90]), style=RIGHT)], line=2)
    assert np.array_equal(GREY, before)
    line = ring(got, RIGHT.colour)
    expected = np.zeros((120, 160), bool)
    expected[29:91, 39:101] = True
    expected[31:89, 41:99] = False
    assert np.array_equal(line, expected)
    edge = ring(got, (0, 0, 0))
    assert edge[28, 60]
    assert edge[31, 60]
    assert (got[40:80, 50:90] == 128).all()
    assert (got[:20] == 128).all()


@pytest.mark.parametrize("style", [QUERY, HIT, RIGHT, WRONG, TRUTH, BYSTANDER])
def test_corners_are_always_drawn(style):
    got = draw(GREY, [Mark(box=np.array([40, 30, 100, 90]), style=style)], line=2)
    line = ring(got, style.colour)
    for y, x in [(30, 40), (30, 100), (90, 40), (90, 100)]:
        assert line[y - 2 : y + 2, x - 2 : x + 2].any()


def test_patterns_tell_kinds_apart_in_grey():
    """Share of the left side that is drawn: all, most, half."""
    shares = {}
    for name, style in {"right": RIGHT, "wrong": WRONG, "truth": TRUTH}.items():
        got = draw(GREY, [Mark(box=np.array([40, 10, 100, 110]), style=style)], line=2)
        shares[name] = ring(got, style.colour)[10:110, 39].mean()
    assert shares["right"] == 1
    assert 0.5 < shares["wrong"] < 0.85
    assert 0.4 < shares["truth"] < 0.6
    dashed = draw(GREY, [Mark(box=np.array([40, 10, 100, 110]), style=WRONG)], line=2)
    assert (dashed[10:110, 39] == 128).all(axis=-1).any()  # gaps show the picture
    dotted = draw(GREY, [Mark(box=np.array([40, 10, 100, 110]), style=TRUTH)], line=2)
    assert not (dotted[10:110, 39] == 128).all(axis=-1).any()  # gaps are black


def test_a_box_that_leaves_the_picture_ends_at_its_edge():
    got = ring(draw(GREY, [Mark(box=np.array([-50, -50, 500, 500]), style=RIGHT)], line=2), RIGHT.colour)
    for side in (got[:4], got[-4:], got[:, :4].T, got[:, -4:].T):
        assert side.any(axis=0)[2:-2].all()
    assert not got[5:-5, 5:-5].any()
    for box in ([-30, 10, -5, 50], [200, 10, 250, 50], [10, 300, 20, 400]):
        outside = Mark(box=np.array(box), style=RIGHT, label="away")
        assert np.array_equal(draw(GREY, [outside]), GREY)


def test_a_label_sits_above_or_inside_and_within_the_picture():
    above = draw(GREY, [Mark(box=np.array([40, 60, 100, 110]), style=RIGHT, label="12")])
    plate = ring(above, RIGHT.colour)
    assert plate[:58].any()
    top = draw(GREY, [Mark(box=np.array([140, 0, 160, 110]), style=WRONG, label="somebody")])
    assert ring(top, WRONG.colour)[3:20, 80:].any()
    tiny = np.zeros((3, 3, 3), np.uint8)
    assert draw(tiny, [Mark(box=np.array([0, 0, 3, 3]), style=QUERY, label="x")]).shape == (3, 3, 3)


def test_scaled_marks_fit_the_resized_picture():
    mark = scaled([Mark(box=np.array([10, 20, 30, 40]), style=RIGHT, label="a")], 0.5)[0]
    assert mark.box.tolist() == [5, 10, 15, 20]
    assert mark.label == "a"


def test_names_are_cut_in_the_middle():
    cut = shorten("a-very-long-name-of-a-picture-0001.jpg", 120, 14)
    assert cut.startswith("a-ver")
    assert cut.endswith("1.jpg")
    assert text_size(cut, 14)[0] <= 120
    assert shorten("long", 1, 14) == "…"
