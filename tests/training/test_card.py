"""The model card tells what was really done."""

from __future__ import annotations

import dataclasses

import numpy as np

from personsearch.ranking.calibration import Calibration
from personsearch.training.card import model_card
from personsearch.training.presets import preset
from personsearch.training.train import train
from personsearch.types import Scene

SCENES = [
    Scene("a", boxes=np.zeros((3, 4)), people=[0, 1, -1]),
    Scene("b", boxes=np.zeros((1, 4)), people=[1]),
]


def card(calibration=None, **losses) -> str:
    base = preset("compact-tiny")
    inner = dataclasses.replace(
        base.model.network, losses=dataclasses.replace(base.model.network.losses, **losses)
    )
    model = dataclasses.replace(base.model, identities=7, network=inner)
    settings = dataclasses.replace(base, model=model, validation_identities=3)
    return model_card(settings, SCENES, calibration, seconds=75)


def test_the_card_worked_by_hand() -> None:
    text = card()
    for said in (
        "| training scenes | 2 with 4 people, 3 of them labelled |",
        "| identities | 7 trained, 3 held out |",
        "| identity loss | rss, K = 8 |",
        "| time of training | 1:15 |",
        "| weights | of the last step |",
        "| initial weights | none |",
        "| probabilities | none |",
        "16-d, compared by cosine",
        "## Intended use",
        "## Out of scope",
    ):
        assert said in text, said


def test_probabilities_and_a_plain_softmax() -> None:
    curve = Calibration(method="platt", pairs=4, prior=0.5, slope=1.0)
    assert "| probabilities | from held-out training identities |" in card(curve)
    assert "| identity loss | softmax |" in card(identity="softmax")  # K is nothing to it


def test_the_card_counts_who_was_held_out_not_who_was_asked_for(scenes, settings, tmp_path) -> None:
    """12 identities, 50 asked for."""
    one = dataclasses.replace(settings.joint, steps=0)
    wanted = dataclasses.replace(
        settings, joint=one, initial=dataclasses.replace(settings.initial, steps=1), validation_identities=50
    )
    out = train(scenes, tmp_path / "run", wanted, device="cpu")
    trained, held_out = (
        (out / "card.md").read_text().split("| identities | ")[1].split(" held out")[0].split(" trained, ")
    )
    assert int(trained) + int(held_out) == 12
    assert int(trained) >= 2
