import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.report.crops import BACKDROP, crop, fit, mount


def numbered(width, height):
    """A picture whose pixels say where they are."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


def test_cases_by_hand():
    pixels = numbered(100, 80)
    got = crop(pixels, np.array([10, 20, 30, 60]), margin=0.1)  # 4 pixels more on every side
    assert got.shape == (48, 28, 3)
    assert got[0, 0].tolist() == [6, 16, 0]
    assert got[-1, -1].tolist() == [33, 63, 0]
    corner = crop(pixels, np.array([90, 70, 110, 90]), margin=0)  # moved in from the corner
    assert corner[0, 0].tolist() == [80, 60, 0]
    assert corner.shape == (20, 20, 3)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.tuples(*[st.floats(-50, 150) for _ in range(4)]),
    st.floats(0, 0.5),
    st.sampled_from([None, 0.5, 2.0]),
)
def test_every_crop_is_a_part_of_the_picture(width, height, sides, margin, aspect):
    x1, x2 = sorted((sides[0], sides[2]))
    y1, y2 = sorted((sides[1], sides[3]))
    got = crop(numbered(width, height), np.array([x1, y1, x2, y2]), margin=margin, aspect=aspect)
    high, wide = got.shape[:2]
    assert high >= 1
    assert wide >= 1
    left, top = got[0, 0, :2].tolist()
    assert np.array_equal(got, numbered(width, height)[top : top + high, left : left + wide])
    inside = (max(x1, 0), max(y1, 0), min(x2, width), min(y2, height))
    if inside[0] < inside[2] and inside[1] < inside[3]:  # whatever of the person is in the picture is shown
        assert left <= inside[0] + 1
        assert top <= inside[1] + 1
        assert left + wide >= inside[2] - 1
        assert top + high >= inside[3] - 1


def test_the_shape_is_kept_where_there_is_room():
    got = crop(numbered(200, 200), np.array([90, 60, 110, 140]), margin=0.1, aspect=0.5)
    assert got.shape[1] / got.shape[0] == pytest.approx(0.5, abs=0.02)


def test_fit_keeps_the_shape_and_does_not_blow_up():
    assert fit(np.zeros((300, 400, 3), np.uint8), (100, 100)).shape == (75, 100, 3)
    assert fit(np.zeros((30, 40, 3), np.uint8), (100, 100)).shape == (30, 40, 3)
    assert fit(np.zeros((30, 40, 3), np.uint8), (100, 100), enlarge=True).shape == (75, 100, 3)
    assert fit(np.zeros((1, 4000, 3), np.uint8), (100, 100)).shape == (1, 100, 3)
    even = fit(np.full((300, 400, 3), 77, np.uint8), (33, 33))
    assert (even == 77).all()


def test_mount_centres():
    sheet = mount(np.zeros((10, 20, 3), np.uint8), (40, 40))
    assert sheet.shape == (40, 40, 3)
    assert (sheet[10:30] == 0).all()
    assert (sheet[:10] == BACKDROP).all()
    assert (sheet[30:] == BACKDROP).all()
