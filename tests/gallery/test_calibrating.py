"""Calibrations from what people said: pairs and judged hits, kept with the gallery."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from personsearch.errors import InputError
from personsearch.gallery.calibrating import (
    Pairs,
    calibrate_pairs,
    calibrate_reviewed,
    read_pairs,
    remove_own,
    reviewed_searches,
    write_own,
)
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.named import Example, NamedPeople, NamedPerson
from personsearch.gallery.verify import verify
from personsearch.ranking.calibration import Calibration, expected_calibration_error, fit_calibration
from personsearch.ranking.presence import fit_searches, hit_probabilities
from personsearch.types import Detections

MODEL = "a" * 64
CURVE = Calibration(method="platt", pairs=1000, prior=0.05, slope=8.0, intercept=-5.0)


@pytest.fixture
def crowd(new_gallery: Callable, state: Callable) -> Gallery:
    """Thirty people of 4 numbers, one a picture; person i has the number i + 1."""
    gallery = new_gallery(dim=4, similarity="cosine", calibration=CURVE)
    rng = np.random.default_rng(8)
    for picture in range(30):
        seen = Detections([[0, 0, 10, 30]], [0.9], rng.standard_normal((1, 4)))
        gallery.add_picture(state(gallery, f"{picture}.jpg"), seen)
    gallery.flush()
    return gallery


def judged(gallery: Gallery, name: str, right: list[int], wrong: list[int], *asked: np.ndarray) -> None:
    """Save somebody with these hits judged."""
    outside = [Example(vector=v, model=MODEL, right=True, picture="", box=[0, 0, 1, 1]) for v in asked]
    examples = (*outside, *gallery.examples(right), *gallery.examples(wrong, right=False))
    NamedPeople(gallery.path).change(name, lambda old: NamedPerson(name=name, examples=examples))


@pytest.mark.parametrize(
    "text",
    [
        "similarity,same\n0.5,1\n0.25,no\n",
        "\ufeffsame,similarity,remark\r\nTRUE,0.5,x\r\n0,0.25,\r\n",
        '[{"similarity": 0.5, "same": true}, {"similarity": "0.25", "same": 0}]',
        '{"similarity": 0.5, "same": "yes"}\n\n{"similarity": 0.25, "same": false}\n',
    ],
)
def test_pairs_in_every_form(crowd: Gallery, tmp_path: Path, text: str) -> None:
    path = tmp_path / "pairs"
    path.write_text(text, newline="")
    pairs = read_pairs(path, crowd)
    assert (pairs.similarities.tolist(), pairs.same.tolist()) == ([0.5, 0.25], [True, False])


def test_pairs_of_hits_are_compared_here(crowd: Gallery, tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("a,b,same\n1,2,1\n2,2,0\n")
    vectors = [e.vector.astype(float) for e in crowd.examples([1, 2])]
    cosine = vectors[0] @ vectors[1] / np.linalg.norm(vectors[0]) / np.linalg.norm(vectors[1])
    assert read_pairs(path, crowd).similarities == pytest.approx([cosine, 1.0], abs=1e-6)


@pytest.mark.parametrize(
    "content",
    [
        b"similarity,same\n0.5,perhaps\n",
        b"similarity,same\nnan,1\n",
        b"similarity,same\nx,1\n",
        b"similarity\n0.5\n",
        b"a,same\n1,1\n",
        b"a,b,same\n1,99,1\n",
        b"{",
        b'["x"]',
        b"[[1]]",
        b"\xff\xfe\x00",
        b'similarity,same\n"0.5,1\n',
    ],
)
def test_pairs_that_cannot_be_used(crowd: Gallery, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pairs"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_pairs(path, crowd)


def test_no_file_of_pairs(crowd: Gallery, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_pairs(tmp_path / "none", crowd)


def test_pairs_are_fitted_by_their_number_and_judged_on_what_was_left_out(crowd: Gallery) -> None:
    rng = np.random.default_rng(1)
    same = rng.random(3000) < 0.3
    alike = rng.normal(np.where(same, 0.6, 0.2), 0.15)
    done = calibrate_pairs(crowd, Pairs(similarities=alike, same=same))
    assert (done.calibration.method, done.right, done.wrong) == ("isotonic", same.sum(), 3000 - same.sum())
    assert done.error_after is not None
    assert done.error_after < 0.04 < (done.error_before or 0)
    few = calibrate_pairs(crowd, Pairs(similarities=alike[:200], same=same[:200]))
    assert few.calibration == fit_calibration(alike[:200], same[:200], method="platt")
    tiny = calibrate_pairs(crowd, Pairs(similarities=np.array([0.1, 0.9]), same=np.array([False, True])))
    assert tiny.error_after is None
    with pytest.raises(InputError, match="cannot calibrate"):
        calibrate_pairs(crowd, Pairs(similarities=alike[same], same=same[same]))


def test_judged_hits_are_searches_by_hand(crowd: Gallery) -> None:
    rng = np.random.default_rng(2)
    asked = rng.standard_normal((2, 4)).astype(np.float32)
    judged(crowd, "pictures", [3, 4], [5], *asked)
    judged(crowd, "hits", [6, 7], [8])
    judged(crowd, "alone", [9], [])  # nothing was judged but the example itself
    vectors = {e.detection: e.vector / np.linalg.norm(e.vector) for e in crowd.examples(range(1, 31))}
    unit = asked / np.linalg.norm(asked, axis=1, keepdims=True)
    hits, pictures = reviewed_searches(crowd)
    expected = sorted(((float(np.mean(unit @ vectors[n])), n < 5) for n in (3, 4, 5)), reverse=True)
    assert list(zip(pictures.similarities, pictures.right.tolist(), strict=True)) == [
        (pytest.approx(value, abs=1e-6), right) for value, right in expected
    ]
    assert sorted(hits.similarities) == pytest.approx(
        sorted(float(vectors[6] @ vectors[n]) for n in (7, 8)), abs=1e-6
    )
    assert (pictures.people, pictures.present) == (30, True)


def test_judged_hits_correct_the_models_calibration(crowd: Gallery) -> None:
    judged(crowd, "one", [3, 4], [5, 6], np.ones(4, np.float32))
    judged(crowd, "two", [7], [8, 9], -np.ones(4, np.float32))
    done = calibrate_reviewed(crowd)
    assert done.calibration == fit_searches(CURVE, reviewed_searches(crowd))
    assert (done.source, done.right, done.wrong) == ("reviewed", 3, 4)
    write_own(crowd, done.calibration)
    with Gallery.open(crowd.path) as again:  # the correction is of the model's, not of the correction
        assert again.calibration == done.calibration
        assert calibrate_reviewed(again).calibration == done.calibration


def test_without_a_calibration_judged_hits_are_fitted_themselves(crowd: Gallery) -> None:
    (crowd.path / "calibration.json").unlink()
    rng = np.random.default_rng(4)
    for name in range(8):
        asked = rng.standard_normal(4).astype(np.float32)
        alike = {
            e.detection: float(e.vector @ asked / np.linalg.norm(e.vector))
            for e in crowd.examples(range(1, 31))
        }
        best = sorted(alike, key=lambda n: -alike[n])[:8]
        judged(crowd, f"p{name}", best[:4], best[4:], asked)
    with Gallery.open(crowd.path) as opened:
        done = calibrate_reviewed(opened)
        searches = reviewed_searches(opened)
    said = np.concatenate([hit_probabilities(done.calibration, s.similarities, s.people) for s in searches])
    right = np.concatenate([s.right for s in searches])
    assert said.mean() == pytest.approx(right.mean(), abs=0.03)
    assert expected_calibration_error(said, right) < 0.2  # of 64 hits
    assert done.error_before is None


@pytest.mark.parametrize(("right", "wrong"), [([3], []), ([], [4]), ([], [])])
def test_too_little_was_judged(crowd: Gallery, right: list[int], wrong: list[int]) -> None:
    judged(crowd, "one", right, wrong, np.ones(4, np.float32))
    with pytest.raises(InputError, match="cannot calibrate"):
        calibrate_reviewed(crowd)


def test_the_galleries_own_wins_until_it_is_removed(crowd: Gallery) -> None:
    own = replace(CURVE, slope=3.0)
    path = write_own(crowd, own)
    assert Calibration.from_json(json.loads(path.read_text())) == own
    with Gallery.open(crowd.path) as opened:
        assert opened.calibration == own
        assert remove_own(opened)
        assert not remove_own(opened)
    with Gallery.open(crowd.path) as opened:
        assert opened.calibration == CURVE
    write_own(crowd, own)
    path.write_text("{")
    crowd.close()
    assert any("own-calibration.json" in finding.message for finding in verify(crowd.path).findings)
    with pytest.raises(InputError, match=r"own-calibration\.json"):
        Gallery.open(crowd.path)
