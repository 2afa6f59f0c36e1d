"""The model folder: round trip, fingerprint, and every way in which it can be broken."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from personsearch.errors import InputError, UsageError
from personsearch.model import checkpoint
from personsearch.model.checkpoint import (
    fingerprint_of,
    load_network,
    load_searcher,
    read_settings,
    save_model,
    untrained_searcher,
)
from personsearch.model.presets import build_network, compact, vgg16
from personsearch.ranking.calibration import Calibration
from personsearch.types import Picture

CURVE = Calibration(method="platt", pairs=40, prior=0.25, slope=3.0, intercept=-1.0)


@pytest.fixture(scope="module")
def saved(tiny_searcher, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    save_model(folder, tiny_searcher.network, tiny_searcher.settings, calibration=CURVE, card="# card\n")
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy that may be broken."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def test_a_round_trip_gives_the_same_people(tiny_searcher, saved: Path, picture: Picture) -> None:
    again = load_searcher(saved, "cpu")
    assert again.settings == tiny_searcher.settings
    assert again.calibration == CURVE
    assert again.name == saved.name
    ours, theirs = tiny_searcher.detect(picture), again.detect(picture)
    for column in ("boxes", "scores", "embeddings"):
        # Not to the last bit: norms are folded into layers when a model is loaded.
        np.testing.assert_allclose(getattr(ours, column), getattr(theirs, column), rtol=1e-4, atol=1e-3)
    assert (saved / "card.md").read_text() == "# card\n"
    assert sorted(p.name for p in saved.iterdir()) == [
        "calibration.json",
        "card.md",
        "config.json",
        "model.safetensors",
    ]


def test_every_preset_survives_its_configuration(folder: Path) -> None:
    for make in (vgg16, compact):
        settings = dataclasses.replace(make(), identities=12)
        (folder / "config.json").write_text(json.dumps({"format": 1, **settings.to_json()}))
        assert read_settings(folder) == settings


def test_the_fingerprint_is_of_weights_and_configuration(folder: Path, saved: Path, tmp_path: Path) -> None:
    first = fingerprint_of(saved)
    assert load_searcher(saved, "cpu").fingerprint == first
    network, settings = load_network(saved)
    assert save_model(tmp_path / "same", network, settings) == first  # calibration and card take no part
    with torch.no_grad():
        network.head.fc8.bias[0] += 1e-6
    other_weights = save_model(tmp_path / "weights", network, settings)
    detect = dataclasses.replace(settings.network.detect, nms=0.5)
    changed = dataclasses.replace(settings, network=dataclasses.replace(settings.network, detect=detect))
    config = json.loads((folder / "config.json").read_text())
    config["network"]["detect"]["nms"] = 0.5
    (folder / "config.json").write_text(json.dumps(config))
    other_config = fingerprint_of(folder)
    assert read_settings(folder) == changed
    assert len({first, other_weights, other_config}) == 3


def test_the_weights_file_is_written_first_and_the_configuration_last(
    tiny_searcher, tmp_path: Path, monkeypatch
) -> None:
    """A folder without a configuration is an unfinished model: it must not look like one."""

    def full(path: Path, content: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        save_model(tmp_path / "m", tiny_searcher.network, tiny_searcher.settings)
    assert not (tmp_path / "m" / "config.json").exists()
    with pytest.raises(InputError):
        load_searcher(tmp_path / "m", "cpu")


def edit(path: Path, change) -> None:
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def fails(folder: Path, *words: str) -> None:
    """One clear line that names the file, whatever is wrong."""
    with pytest.raises(InputError) as caught:
        load_searcher(folder, "cpu")
    message = str(caught.value)
    assert "\n" not in message
    assert folder.name in message
    for word in words:
        assert word in message
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda c: c.update(colour="red"), "colour"),
        (lambda c: c["network"]["head"].update(hiden=32), "network.head.hiden"),
        (lambda c: c["network"]["pools"][0].update(knd="pool"), "knd"),
        (lambda c: c["network"]["head"].update(hidden="many"), "hidden"),
        (lambda c: c["network"]["head"].update(hidden=-1), "config.json"),
        (lambda c: c["network"]["pools"][0].update(source="nowhere"), "nowhere"),
        (lambda c: c["network"]["losses"].update(identity="arcface"), "identity"),
        (lambda c: c["network"]["losses"].update(identity="margin"), "cosine"),
        (lambda c: c["trunk_options"].update(norm="layer"), "trunk_options.norm"),
        (lambda c: c["network"]["losses"]["oim"].pop("queue"), "network.losses.oim.queue is missing"),
        (lambda c: c.update(trunk="vgg19"), "trunk"),
        (lambda c: c.update(similarity="manhattan"), "similarity"),
        (lambda c: c.update(network=[1]), "network"),
        (lambda c: c["network"]["proposals"].pop("min_size"), "network.proposals.min_size is missing"),
        (lambda c: c.update(format=2), "format 1"),
        (lambda c: c.pop("format"), "format 1"),
    ],
)
def test_a_wrong_configuration_is_one_clear_error(folder: Path, change, word: str) -> None:
    edit(folder / "config.json", change)
    fails(folder, "config.json", word)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"null", b"\xff\xfe\x00", b"\x80\x04N."])
def test_a_configuration_that_is_none(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    fails(folder, "config.json")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    fails(folder, name)
    (folder / name).mkdir()  # and a folder in its place is no better
    fails(folder)


def test_no_folder_at_all(tmp_path: Path) -> None:
    fails(tmp_path / "nothing", "no model folder")
    (tmp_path / "file").write_text("x")
    fails(tmp_path / "file", "no model folder")


@pytest.mark.parametrize("keep", [0, 4, 300, 0.5, 0.999])
def test_truncated_weights(folder: Path, keep: float) -> None:
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep if keep >= 1 or keep == 0 else keep * len(content))])
    fails(folder, "model.safetensors")


def test_weights_of_another_architecture(folder: Path, tiny_settings, tmp_path: Path) -> None:
    head = dataclasses.replace(tiny_settings.network.head, dim=24)
    other = dataclasses.replace(tiny_settings, network=dataclasses.replace(tiny_settings.network, head=head))
    save_model(tmp_path / "other", build_network(other), other)
    shutil.copy(tmp_path / "other" / "model.safetensors", folder)
    fails(folder, "model.safetensors")
    edit(folder / "config.json", lambda c: c.update(identities=6))
    fails(folder, "model.safetensors")


def test_weights_must_be_all_there_and_no_more(folder: Path) -> None:
    """A part that kept its random weights would still detect somebody, somewhere."""
    path = folder / "model.safetensors"
    state = load_file(path)
    save_file({name: value for name, value in state.items() if name != "head.fc8.bias"}, path)
    fails(folder, "model.safetensors")
    save_file({**state, "head.fc9.bias": torch.zeros(3)}, path)
    fails(folder, "model.safetensors")
    save_file(state, path)
    load_searcher(folder, "cpu")


def test_no_pickle_is_read(folder: Path, tmp_path: Path) -> None:
    """A torch file in the weights' place, even a harmless one, is not opened as such."""
    ran = tmp_path / "ran"

    class Trap:
        def __reduce__(self):
            return (Path.touch, (ran,))

    torch.save({"head.fc8.bias": Trap()}, folder / "model.safetensors")
    fails(folder, "model.safetensors")
    assert not ran.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema": "personsearch.calibration/1"}'])
def test_a_broken_calibration_is_named(folder: Path, content: str) -> None:
    (folder / "calibration.json").write_text(content)
    fails(folder, "calibration.json")


def test_a_model_without_calibration(folder: Path) -> None:
    (folder / "calibration.json").unlink()
    assert load_searcher(folder, "cpu").calibration is None


def test_untrained_searchers_differ_by_seed_and_settings(tiny_settings, picture: Picture) -> None:
    one, same = (untrained_searcher(tiny_settings, seed=3, device="cpu") for _ in range(2))
    other = untrained_searcher(tiny_settings, seed=4, device="cpu")
    box = [[10, 10, 60, 150]]
    assert np.array_equal(one.embed(picture, box), same.embed(picture, box))
    assert not np.array_equal(one.embed(picture, box), other.embed(picture, box))
    larger = dataclasses.replace(
        tiny_settings, input=dataclasses.replace(tiny_settings.input, short_side=256)
    )
    names = [one, same, other, untrained_searcher(larger, seed=3, device="cpu")]
    assert len({searcher.fingerprint for searcher in names}) == 3
    assert one.fingerprint == same.fingerprint


def test_an_untrained_searcher_leaves_the_chance_of_others_alone(tiny_settings) -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    untrained_searcher(tiny_settings, seed=9, device="cpu")
    assert torch.equal(torch.rand(1), expected)
    with pytest.raises(UsageError, match="identity"):
        untrained_searcher(dataclasses.replace(tiny_settings, identities=0), seed=0, device="cpu")
