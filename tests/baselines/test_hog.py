"""OpenCV's people detector: the arithmetic around it always, itself where OpenCV still has it."""

from __future__ import annotations

from typing import ClassVar

import cv2
import numpy as np
import pytest

from personsearch.baselines import hog
from personsearch.baselines.hog import HogDetector, person_boxes, score_of
from personsearch.errors import UsageError
from personsearch.types import Array, Picture

HAS_IT = hasattr(cv2, "HOGDescriptor")


class Windows:
    """In the place of OpenCV's: answers with given windows."""

    found: ClassVar[tuple[Array, Array]] = (np.zeros((0, 4)), np.zeros(0))
    asked: ClassVar[dict[str, object]] = {}

    def setSVMDetector(self, weights: Array) -> None:
        assert weights.dtype == np.float32

    def detectMultiScale(self, image: Array, **words: object) -> tuple[Array, Array]:
        Windows.asked = {"image": image, **words}
        return Windows.found


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> type[Windows]:
    monkeypatch.setattr(hog.cv2, "HOGDescriptor", Windows, raising=False)
    monkeypatch.setattr(
        hog.cv2, "HOGDescriptor_getDefaultPeopleDetector", lambda: np.ones(3781, np.float32), raising=False
    )
    monkeypatch.setattr(Windows, "found", (np.zeros((0, 4)), np.zeros(0)))
    return Windows


@pytest.mark.skipif(HAS_IT, reason="this OpenCV has the detector")
def test_an_opencv_without_it_is_said() -> None:
    with pytest.raises(UsageError, match=r"OpenCV 5.* has no people detector any more") as told:
        HogDetector()
    assert "opencv-python-headless<5" in told.value.hint


def test_a_person_is_the_middle_of_the_window() -> None:
    boxes = person_boxes(np.array([[0, 0, 64, 128], [10, 20, 128, 256.0]]))
    assert (boxes[:, 3] - boxes[:, 1]).tolist() == [96, 192]
    assert ((boxes[:, 0] + boxes[:, 2]) / 2).tolist() == [32, 74]
    assert ((boxes[:, 2] - boxes[:, 0]) / (boxes[:, 3] - boxes[:, 1])).tolist() == pytest.approx([0.41, 0.41])


def test_scores_rise_with_the_margin_within_0_and_1() -> None:
    margins = np.linspace(-40, 40, 101)
    scores = score_of(margins)
    assert (np.diff(scores) >= 0).all()
    assert 0 <= scores.min() < scores.max() <= 1
    assert scores[50] == 0.5


def test_windows_become_people_best_first_and_once(windows: type[Windows]) -> None:
    windows.found = (
        np.array([[10, 10, 64, 128], [14, 12, 64, 128], [200, 20, 64, 128]], np.int32),
        np.array([[0.2], [1.5], [0.7]]),
    )
    picture = Picture(np.random.default_rng(0).integers(0, 256, (200, 320, 3), dtype=np.uint8))
    seen = HogDetector().detect(picture)
    assert np.allclose(
        seen.boxes, person_boxes(np.array([[14, 12, 64, 128], [200, 20, 64, 128.0]])), atol=1e-4
    )
    assert seen.scores.tolist() == pytest.approx(score_of(np.array([1.5, 0.7])).tolist())
    assert np.array_equal(windows.asked["image"], picture.pixels[..., ::-1])  # OpenCV wants BGR
    assert windows.asked["groupThreshold"] == 0
    windows.found = ((), ())  # what OpenCV answers where nobody is
    assert len(HogDetector().detect(picture)) == 0


def test_a_picture_smaller_than_a_window_has_nobody(windows: type[Windows]) -> None:
    windows.asked = {}
    assert len(HogDetector().detect(Picture(np.zeros((127, 64, 3), np.uint8)))) == 0
    assert windows.asked == {}


def test_the_fingerprint_follows_settings(windows: type[Windows]) -> None:
    assert HogDetector().fingerprint == HogDetector().fingerprint
    assert HogDetector().fingerprint != HogDetector(hog.HogSettings(scale=1.1)).fingerprint


@pytest.mark.skipif(not HAS_IT, reason="OpenCV 5 has dropped its people detector")
def test_the_real_one_finds_a_drawn_pedestrian() -> None:
    pixels = np.full((300, 300, 3), 200, np.uint8)
    cv2.circle(pixels, (150, 70), 14, (40, 40, 40), -1)
    cv2.ellipse(pixels, (150, 130), (24, 46), 0, 0, 360, (40, 40, 40), -1)
    for x in (139, 161):
        cv2.rectangle(pixels, (x - 8, 160), (x + 8, 235), (40, 40, 40), -1)
    seen = HogDetector().detect(Picture(pixels))
    assert len(seen)
    x1, y1, x2, y2 = seen.boxes[0]
    assert abs((x1 + x2) / 2 - 150) < 15
    assert 0.6 < (y2 - y1) / 180 < 1.4
