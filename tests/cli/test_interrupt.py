"""Ctrl-C in the middle of real work: 130, nothing half-written, and the same command goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset
from personsearch.errors import InputError
from personsearch.gallery.gallery import Gallery
from personsearch.images import encode_jpeg
from personsearch.indexing.local import index_folder
from personsearch.model.checkpoint import load_searcher, save_model
from personsearch.model.presets import build_network, compact_tiny

PICTURES = 40


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder of the smallest network, with random weights."""
    settings = replace(compact_tiny(), identities=4)
    save_model(tmp_path / "model", build_network(settings), settings)
    return tmp_path / "model"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Many different small pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = np.random.default_rng(0)
    for i in range(PICTURES):
        (folder / f"{i:04d}.jpg").write_bytes(encode_jpeg(generator.integers(0, 256, (96, 128, 3), np.uint8)))
    return folder


def interrupted(words: list[str], begun: Path) -> subprocess.CompletedProcess[str]:
    """Run the command, press Ctrl-C shortly after it wrote ``begun``, and wait for its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "personsearch", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 200
        while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=200)
    finally:
        process.kill()
    return subprocess.CompletedProcess(words, process.returncode, out, err)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A small generated data set with enough people for the smallest training that takes a while."""
    settings = replace(preset("tiny"), train_identities=40, train_scenes=30)
    return make_dataset(tmp_path / "data", settings, workers=1)


def test_train_keeps_its_state_and_leaves_no_half_model(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["train", "--dataset", "synthetic", "--root", str(data), "--out", str(run), "--device", "cpu"]
    ended = interrupted([*words, "--preset", "demo", "--progress", "none"], run / "crops.json")
    assert ended.returncode == 130, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.splitlines()[-2:] == [
        "error: interrupted",
        "hint: what is finished is kept; run the same command again to go on",
    ]
    assert not list(tmp_path.rglob("*.tmp"))
    assert (run / "settings.json").exists()
    with pytest.raises(InputError):  # no other command takes it for a model
        load_searcher(run, "cpu")


CTRL_C_AT = 20
AT_A_PICTURE = f"""
import os, signal, sys
from personsearch.cli.main import main
from personsearch.model.searcher import NetworkSearcher

seen, detect = [], NetworkSearcher.detect

def detect_or_press(self, picture):
    seen.append(picture.name)
    if len(seen) == {CTRL_C_AT}:
        os.kill(os.getpid(), signal.SIGINT)
    return detect(self, picture)

NetworkSearcher.detect = detect_or_press
main()
"""


def test_index_keeps_what_is_finished_and_goes_on(model: Path, photos: Path, tmp_path: Path) -> None:
    path = tmp_path / "gallery"
    words = ["index", str(photos), "--gallery", str(path), "--model", str(model), "--device", "cpu"]
    ended = subprocess.run(
        [sys.executable, "-c", AT_A_PICTURE, *words, "--progress", "none"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 130, ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "error: interrupted",
        "hint: what is finished is kept; run the same command again to go on",
    ]
    with Gallery.open(path) as gallery:
        before = gallery.pictures
    # Everything but, at most, the picture it was at. The model has a thread of its own, which goes on with
    # what was read ahead while the writer's thread, in the middle of a commit, cannot hear the signal yet.
    assert CTRL_C_AT - 1 <= before <= CTRL_C_AT + 4 < PICTURES
    report = index_folder(photos, path, load_searcher(model, "cpu"))
    assert (report.unchanged, report.added, report.failures) == (before, PICTURES - before, ())
    assert not list(tmp_path.rglob("*.tmp"))
