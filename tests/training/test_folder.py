"""Whose a run folder is: locks, older versions, settings that may change."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import runpy
import shutil
from pathlib import Path

import pytest

from personsearch.errors import InputError, LockedError
from personsearch.files import WriterLock
from personsearch.training.folder import LOCK, data_summary, read_run
from personsearch.training.train import train

PROGRAM = Path(__file__).with_name("train_program.py")


def test_a_folder_that_somebody_trains_in_is_locked(scenes, settings, tmp_path) -> None:
    """Who it is, is said; nothing is written; afterwards the same call works."""
    lock = WriterLock(tmp_path / LOCK)
    with pytest.raises(LockedError, match=f"process {os.getpid()}") as caught:
        train(scenes, tmp_path, settings, device="cpu")
    assert caught.value.exit_code == 6
    assert {p.name for p in tmp_path.iterdir()} == {LOCK}
    lock.release()
    one = dataclasses.replace(settings, joint=dataclasses.replace(settings.joint, steps=1))
    train(scenes, tmp_path, one, device="cpu")
    WriterLock(tmp_path / LOCK).release()  # nobody holds it any more


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="needs fork")
def test_a_killed_run_leaves_no_lock_in_its_loaders(tmp_path) -> None:
    """A child that outlives its parent must not keep others out; while the parent lives, it is the holder."""
    lock = WriterLock(tmp_path / LOCK)
    done, go_on = os.pipe()
    hears, says = os.pipe()
    child = os.fork()
    if child == 0:  # a loader: says that it is there, and waits until it is told to end
        os.close(go_on)
        os.write(says, b"!")
        os.read(done, 1)
        os._exit(0)
    try:
        os.read(hears, 1)
        with pytest.raises(LockedError):
            WriterLock(tmp_path / LOCK)
        lock.release()  # as the kernel does for a killed process
        WriterLock(tmp_path / LOCK).release()
    finally:
        os.close(go_on)
        os.waitpid(child, 0)
        for end in (done, hears, says):
            os.close(end)


def test_an_error_gives_the_lock_back(scenes, settings, tmp_path) -> None:
    gone = [*scenes[:-1], dataclasses.replace(scenes[-1], path=tmp_path / "gone.png")]
    with pytest.raises(InputError):
        train(gone, tmp_path / "run", settings, device="cpu")
    WriterLock(tmp_path / "run" / LOCK).release()


@pytest.mark.skipif(os.name == "nt", reason="needs fork")
def test_two_trainings_of_one_folder_at_once(scenes, settings, tmp_path) -> None:
    """While another process trains, ours is refused; when it is killed, ours goes on."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["personsearch.training.train"])
    ours, theirs = context.Pipe(duplex=False)
    job = {"job": (scenes, tmp_path / "run", settings, theirs)}
    process = context.Process(
        target=runpy.run_path, args=(str(PROGRAM),), kwargs={"init_globals": job, "run_name": "killed"}
    )
    process.start()
    assert ours.poll(60)
    with pytest.raises(LockedError, match=f"process {process.pid}"):
        train(scenes, tmp_path / "run", settings, device="cpu")
    process.kill()
    process.join()
    train(scenes, tmp_path / "run", settings, device="cpu")


def test_how_fast_and_how_loud_may_change_under_way(run, scenes, settings, tmp_path) -> None:
    out = Path(shutil.copytree(run.folder, tmp_path / "run"))
    (out / "config.json").unlink()
    other = dataclasses.replace(settings, workers=1, save_seconds=9.0, logs=("csv",))
    assert train(scenes, out, other, device="cpu") == out
    assert (out / "model.safetensors").read_bytes() == (run.folder / "model.safetensors").read_bytes()


def test_a_run_of_an_older_version_goes_on(run, scenes, settings, tmp_path) -> None:
    """What it did not write is what it did: nothing of what has come since."""
    out = Path(shutil.copytree(run.folder, tmp_path / "run"))
    made = json.loads((out / "settings.json").read_text())
    for name in ("average", "validation", "snapshots", "norms", "like_shapes", "initial_from", "compiled"):
        del made["settings"][name]
    del made["source"]
    (out / "settings.json").write_text(json.dumps(made))
    assert train(scenes, out, settings, device="cpu") == out
    assert read_run(out)[0] == read_run(run.folder)[0]


def test_a_run_is_read_as_it_was_begun(run, settings, tmp_path) -> None:
    found, source = read_run(run.folder)
    model = dataclasses.replace(settings.model, identities=10)
    assert found == dataclasses.replace(settings, model=model)
    assert source == {}
    with pytest.raises(InputError, match="no run"):
        read_run(tmp_path)
    (tmp_path / "settings.json").write_text("[]")
    with pytest.raises(InputError, match="cannot be read"):
        read_run(tmp_path)


def test_who_is_ignored_is_part_of_the_data(scenes) -> None:
    other = [dataclasses.replace(scenes[0], ignore=[True, False, False, False]), *scenes[1:]]
    assert data_summary(other)["checksum"] != data_summary(scenes)["checksum"]
