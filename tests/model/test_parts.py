"""The network with parts left away: a detector alone ("Deep"), a describer of crops alone ("IDNet")."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from personsearch.errors import InputError, UsageError
from personsearch.model.checkpoint import (
    load_model,
    load_searcher,
    save_model,
    untrained_model,
    untrained_searcher,
)
from personsearch.model.inputs import cut, normalised
from personsearch.model.network import Targets, capacity
from personsearch.model.presets import CropSettings, build_network, compact_tiny, detector, embedder, vgg16
from personsearch.model.searcher import NetworkDetector, NetworkEmbedder, NetworkSearcher
from personsearch.types import Embedder, Picture, Searcher

CROP = CropSettings(size=(64, 32), keep_aspect=True, margin=0.1)
BASE = dataclasses.replace(compact_tiny(), identities=5)
BOXES = np.array([[10, 10, 60, 150], [100, 30, 160, 220], [250, 100, 321, 241]], np.float32)


@pytest.fixture(scope="module")
def deep() -> NetworkDetector:
    return untrained_model(detector(BASE), seed=0, device="cpu")


@pytest.fixture(scope="module")
def idnet() -> NetworkEmbedder:
    return untrained_model(embedder(BASE, CROP), seed=0, device="cpu")


def test_parts_left_away_are_not_there() -> None:
    names = {
        kind: set(capacity(build_network(kind(BASE)))) - {"all"} for kind in (detector, embedder, lambda s: s)
    }
    assert sorted(map(sorted, names.values())) == [
        ["head", "proposals", "trunk"],
        ["head", "trunk"],
        ["proposals", "trunk"],
    ]


def test_the_capacity_of_idnet_is_about_the_joint_networks() -> None:
    """The paper's 5.1: "its model capacity is approximately the same as our framework"."""
    whole = dataclasses.replace(vgg16(), identities=5532)
    with torch.device("meta"):
        ours, idnet, deep = (capacity(build_network(s)) for s in (whole, embedder(whole), detector(whole)))
    assert 0.98 < idnet["all"] / ours["all"] < 1
    assert ours["head"] == idnet["head"]
    assert deep["all"] == deep["trunk"] + deep["proposals"] == ours["trunk"] + ours["proposals"]
    assert ours["trunk"] == 14_714_688  # VGG16's 13 convolutions


def test_the_parts_that_stay_are_the_joint_networks() -> None:
    """Same names and shapes: weights of the one can begin the other."""
    joint = {n: v.shape for n, v in build_network(BASE).state_dict().items()}
    for part in (detector(BASE), embedder(BASE)):
        state = build_network(part).state_dict()
        assert {n: v.shape for n, v in state.items()}.items() <= joint.items()


def test_a_detector_learns_its_two_losses_and_knows_no_crops() -> None:
    torch.manual_seed(0)
    network = build_network(detector(BASE)).train()
    targets = [Targets(torch.tensor([[10.0, 8, 40, 88]]), torch.tensor([-1]))]
    losses = network(torch.randn(1, 3, 96, 128), [(96, 128)], targets)
    assert set(losses) == {"proposal_class", "proposal_box"}
    sum(losses.values()).backward()
    assert all(p.grad is not None for n, p in network.named_parameters() if "colour" not in n)
    with pytest.raises(UsageError, match="crops"):
        network(torch.randn(1, 3, 96, 128), [(96, 128)], targets, False)


def test_an_embedder_learns_from_crops_and_knows_no_scenes() -> None:
    torch.manual_seed(0)
    network = build_network(embedder(BASE)).train()
    boxes = torch.tensor([[4.0, 2, 28, 62]])
    targets = [Targets(boxes, torch.tensor([label])) for label in (0, 4, 5, 5)]
    losses = network(torch.randn(4, 3, 64, 32), [(64, 32)] * 4, targets, False)
    assert set(losses) == {"identity", "person"}
    with pytest.raises(UsageError, match="scenes"):
        network(torch.randn(4, 3, 64, 32), [(64, 32)] * 4, targets)


def test_a_detector_finds_what_the_joint_networks_proposals_are(
    deep: NetworkDetector, picture: Picture
) -> None:
    """Scores fall, boxes lie in the picture and apart; the score is the proposal network's own."""
    seen = deep.detect(picture)
    assert len(seen) > 0
    assert seen.embeddings.shape == (len(seen), 0)
    assert deep.dim == 0
    assert (np.diff(seen.scores) <= 0).all()
    images, sizes, factors = deep._input(picture)
    with torch.inference_mode():
        maps = deep.network.trunk(images)
        (scored,), _ = deep.network.proposals.scored(images, sizes, maps)
        (plain,), _ = deep.network.proposals(images, sizes, maps)
    assert torch.equal(scored[:, :4], plain)
    known = {
        tuple(np.round(b, 2)): s for b, s in zip(plain.numpy() / factors, scored[:, 4].numpy(), strict=True)
    }
    for box, score in zip(seen.boxes, seen.scores, strict=True):
        assert known[tuple(np.round(box, 2))] == pytest.approx(score)


def test_an_embedder_describes_each_cut_out_person(idnet: NetworkEmbedder, picture: Picture) -> None:
    """By hand: cut, normalise, the network's description of the box inside the crop."""
    rows = idnet.embed(picture, BOXES)
    assert rows.shape == (3, 16)
    for row, box in zip(rows, BOXES, strict=True):
        crop, inside = cut(picture.pixels, box, (64, 32), keep_aspect=True, margin=0.1)
        assert crop.shape == (64, 32, 3)
        given = normalised(torch.from_numpy(crop).permute(2, 0, 1)[None], idnet.settings.input)
        with torch.no_grad():
            wanted = idnet.network.describe(given, [torch.from_numpy(inside[None])])[0]
        np.testing.assert_allclose(row, wanted, rtol=1e-4, atol=1e-5)
    assert not np.allclose(rows[0], rows[1])


def test_many_people_are_described_in_parts(idnet: NetworkEmbedder, picture: Picture, monkeypatch) -> None:
    monkeypatch.setattr("personsearch.model.searcher.CROPS_AT_ONCE", 2)
    apart = idnet.embed(picture, BOXES)
    monkeypatch.undo()
    np.testing.assert_allclose(apart, idnet.embed(picture, BOXES), rtol=1e-4, atol=1e-5)
    assert idnet.embed(picture, []).shape == (0, 16)
    with pytest.raises(InputError, match="patches"):
        idnet.embed(picture, [[5000, 0, 5100, 90]])


def test_what_each_can_do(deep, idnet) -> None:
    assert isinstance(idnet, Embedder)
    assert not isinstance(idnet, Searcher)
    assert not isinstance(deep, Embedder)
    assert hasattr(deep, "detect")


@pytest.mark.parametrize("kind", ["deep", "idnet"])
def test_they_are_saved_loaded_and_told_apart(kind: str, request, tmp_path, picture: Picture) -> None:
    model = request.getfixturevalue(kind)
    fingerprint = save_model(tmp_path / "m", model.network, model.settings)
    again = load_model(tmp_path / "m", "cpu")
    assert type(again) is type(model)
    assert again.fingerprint == fingerprint
    if kind == "deep":
        np.testing.assert_allclose(again.detect(picture).boxes, model.detect(picture).boxes, atol=1e-2)
    else:
        np.testing.assert_allclose(again.embed(picture, BOXES), model.embed(picture, BOXES), atol=1e-5)
    with pytest.raises(UsageError, match="cannot search alone") as caught:
        load_searcher(tmp_path / "m", "cpu")
    assert caught.value.hint
    with pytest.raises(UsageError, match="parts"):
        NetworkSearcher(model.network, model.settings, fingerprint="f", device="cpu")
    with pytest.raises(UsageError, match="alone"):
        untrained_searcher(model.settings, seed=0, device="cpu")


def test_a_crop_by_hand() -> None:
    """Stretched: a 2 x 4 box of a ramp becomes 4 x 4; with its aspect kept the window is square."""
    pixels = np.tile(np.arange(0, 200, 10, dtype=np.uint8)[None, :, None], (20, 1, 3))
    crop, inside = cut(pixels, np.array([4, 6, 6, 10], np.float32), (4, 4))
    assert inside.tolist() == [0, 0, 4, 4]
    assert crop[:, :, 0].tolist() == [[38, 43, 48, 53]] * 4 or np.allclose(
        crop[0, :, 0], [37.5, 42.5, 47.5, 52.5], atol=1
    )
    _, inside = cut(pixels, np.array([4, 6, 6, 10], np.float32), (8, 8), keep_aspect=True)
    assert inside.tolist() == pytest.approx([2, 0, 6, 8])
