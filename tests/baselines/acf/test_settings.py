from __future__ import annotations

import json

import pytest

from personsearch.baselines.acf.settings import AcfSettings
from personsearch.errors import UsageError


def test_json_gives_them_back() -> None:
    settings = AcfSettings(seed=3, window=(64, 128), person_height=100, trees=(4, 8), held_out=0.25)
    assert AcfSettings.from_json(json.loads(json.dumps(settings.to_json()))) == settings
    assert settings.cells == (32, 16)
    assert json.dumps(settings.to_json()) == json.dumps(AcfSettings.from_json(settings.to_json()).to_json())


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": (30, 64)},
        {"window": (0, 64)},
        {"person_height": 65.0},
        {"octaves_up": -1},
        {"trees": ()},
        {"trees": (4, 0)},
        {"pictures": 1},
        {"negatives": 0},
        {"feature_share": 0.0},
        {"held_out": 1.0},
        {"nms_overlap": 1.5},
        {"negative_overlap": -0.1},
        {"cascade_threshold": 0.0},
        {"cascade_slack": -0.1},
        {"least_visible": 2.0},
    ],
)
def test_what_cannot_be_meant(wrong: dict) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong)) + "|count"):
        AcfSettings(**wrong)


@pytest.mark.parametrize(
    ("name", "value"),
    [("seed", "1"), ("seed", 1.5), ("seed", True), ("window", [32]), ("window", 32), ("trees", ["a"])],
)
def test_changed_by_hand(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=name):
        AcfSettings.from_json({**AcfSettings().to_json(), name: value})


def test_missing_and_unknown() -> None:
    values = AcfSettings().to_json()
    with pytest.raises(UsageError, match="extra"):
        AcfSettings.from_json({**values, "extra": 1})
    values.pop("views")
    with pytest.raises(UsageError, match="views"):
        AcfSettings.from_json(values)
