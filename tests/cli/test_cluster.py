"""index --engine ray, but for the cluster itself (tests/indexing/test_cluster.py has a real one)."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from personsearch.baselines.open import Where
from personsearch.indexing.cluster_hands import ClusterOptions
from personsearch.indexing.local import index_sources


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--workers", "2"), "--workers and --ray-address are of a cluster"),
        (("--ray-address", "auto"), "--workers and --ray-address are of a cluster"),
        (("--engine", "ray", "--workers", "0"), "--workers"),
        (("--engine", "spark"), "spark"),
    ],
)
def test_what_cannot_be_meant(command, searcher, photos: Path, words: tuple[str, ...], said: str) -> None:
    ended = command("index", photos, "-g", "g", "-m", "m", *words)
    assert ended.code == 2, ended.err
    assert said in ended.err


def test_a_camera_is_watched_by_one_process(command, searcher) -> None:
    ended = command("index", "rtsp://h/1", "--frames", "f", "-g", "g", "-m", "m", "--engine", "ray")
    assert (ended.code, "a camera is watched by one process" in ended.err) == (2, True)


def test_what_the_cluster_gets(command, searcher, photos: Path, tmp_path: Path, monkeypatch) -> None:
    calls = []

    def index_on_cluster(sources, gallery, searcher, opener, options, cluster, *, progress):
        calls.append((opener, cluster))
        return index_sources(sources, gallery, searcher, options, progress=progress)

    monkeypatch.setattr("personsearch.indexing.cluster.index_on_cluster", index_on_cluster)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    words = ("--engine", "ray", "--workers", "3", "--ray-address", "h:1", "--fps", "2", "--progress", "none")
    ended = command("index", photos, "-g", tmp_path / "g", "-m", "m", "--parts", "p", *words)
    assert ended.code == 0, ended.err
    ((opener, cluster),) = calls
    assert cluster == ClusterOptions(address="h:1", workers=3)
    # In another process the working directory is another one.
    assert opener.args == (str(tmp_path / "m"), Where(parts=tmp_path / "p", device="auto"))
    assert opener() is searcher


def test_without_ray_the_hint_says_what_to_install(
    command, searcher, photos: Path, tmp_path: Path, monkeypatch
) -> None:
    real = importlib.import_module

    def import_module(name: str, *more: object) -> object:
        if name.split(".")[0] in ("ray", "lance"):
            raise ImportError(name)
        return real(name, *more)

    monkeypatch.setattr(importlib, "import_module", import_module)
    ended = command("index", photos, "-g", tmp_path / "g", "-m", "m", "--engine", "ray")
    assert (ended.code, len(ended.errors)) == (4, 1), ended.err
    assert "pip install 'personsearch[ray]'" in ended.err
    assert not (tmp_path / "g").exists()
