"""What is kept is what was read: never of another file, never damaged, never a reason to fail."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from personsearch.datasets import cache
from personsearch.datasets.cache import array_to_texts, cache_folder, cached, fingerprint_of, texts_to_array


@dataclass
class Words:
    words: tuple[str, ...]

    def to_arrays(self) -> dict[str, np.ndarray]:
        return {"words": texts_to_array(self.words)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Words:
        return cls(array_to_texts(arrays["words"]))


class Reader:
    """Reads words, and counts how often it had to."""

    def __init__(self, *sources: Path) -> None:
        self.sources, self.times = sources, 0

    def make(self) -> Words:
        self.times += 1
        return Words(tuple(word for path in self.sources for word in path.read_text().split()))

    def __call__(self, kind: str = "words-1") -> tuple[str, ...]:
        return cached(self.sources, kind, Words, self.make).words


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SMALLEST", 1)
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "a.txt").write_text("one two")
    return tmp_path / "a.txt"


def test_it_is_read_once(folder: Path, source: Path) -> None:
    reader = Reader(source)
    assert [reader(), reader(), Reader(source)()] == [("one", "two")] * 3
    assert reader.times == 1
    assert [path.suffix for path in folder.iterdir()] == [".npz"]
    moved = source.parent / "elsewhere" / source.name
    moved.parent.mkdir()
    source.rename(moved)
    again = Reader(moved)
    assert (again(), again.times) == (("one", "two"), 0)  # the same file in another folder


def test_a_changed_file_of_equal_size_and_time_is_read_again(folder: Path, source: Path) -> None:
    reader, state = Reader(source), source.stat()
    assert reader() == ("one", "two")
    source.write_text("six two")
    os.utime(source, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert (source.stat().st_size, source.stat().st_mtime_ns) == (state.st_size, state.st_mtime_ns)
    assert reader() == ("six", "two")


def test_names_versions_and_borders_between_files_count(folder: Path, source: Path) -> None:
    other = source.parent / "b.txt"
    other.write_text(" three")
    reader = Reader(source, other)
    reader()
    assert reader("words-2")
    assert reader.times == 2
    source.write_text("one two ")
    other.write_text("three")
    assert reader()
    assert reader.times == 3
    prints = []
    for texts in (('1["b.txt"]2', "3"), ("1", '2["b.txt"]3')):
        source.write_text(texts[0])
        other.write_text(texts[1])
        prints.append(fingerprint_of([source, other]))
    assert prints[0] != prints[1]
    other.rename(source.parent / "c.txt")
    renamed = Reader(source, source.parent / "c.txt")
    assert renamed()
    assert renamed.times == 1


def test_a_damaged_entry_is_made_again(folder: Path, source: Path, caplog: pytest.LogCaptureFixture) -> None:
    Reader(source)()
    (entry,) = folder.iterdir()
    whole = entry.read_bytes()
    rng = np.random.default_rng(0)
    again = 0
    for number in range(120):
        broken = bytearray(whole if number % 3 else whole[: rng.integers(0, len(whole))])
        for place in rng.integers(0, max(len(broken), 1), 3).tolist():
            if broken:
                broken[place] ^= int(rng.integers(1, 256))
        entry.write_bytes(bytes(broken))
        reader = Reader(source)
        assert reader() == ("one", "two")
        again += reader.times
        assert entry.read_bytes() == whole or not reader.times
    assert again > 60
    assert "is damaged" in caplog.text


def test_an_entry_that_does_not_fit_is_made_again(folder: Path, source: Path) -> None:
    Reader(source)()
    (entry,) = folder.iterdir()
    for arrays in ({"other": np.zeros(3)}, {"words": np.frombuffer(b'{"a": 1}', np.uint8)}):
        np.savez(entry, **arrays)
        reader = Reader(source)
        assert (reader(), reader.times) == (("one", "two"), 1)


@pytest.mark.parametrize("place", ["off", "below a file"])
def test_without_a_place_nothing_is_kept(
    place: str, folder: Path, source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(cache.VARIABLE, place if place == "off" else str(source / "cache"))
    reader = Reader(source)
    with caplog.at_level(logging.WARNING):
        assert [reader(), reader()] == [("one", "two")] * 2
    assert reader.times == 2
    assert ("nothing is kept in" in caplog.text) == (place != "off")


def test_small_files_and_missing_ones_are_left_to_their_reader(
    folder: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "SMALLEST", 8)
    assert Reader(source)() == ("one", "two")
    assert not folder.exists()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        Reader(source.parent / "nowhere.txt")()


def test_a_file_that_changes_while_it_is_read_is_not_kept(folder: Path, source: Path) -> None:
    def slowly() -> Words:
        words = Words(tuple(source.read_text().split()))
        source.write_text("somebody else")
        return words

    assert cached([source], "words-1", Words, slowly).words == ("one", "two")
    assert not folder.exists()


def test_the_folder_stays_small(folder: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []
    for number in range(4):
        Reader(source)(f"words-{number}")
        (new,) = set(folder.iterdir()) - set(made)
        os.utime(new, (number, number))
        made.append(new)
    monkeypatch.setattr(cache, "_MOST", 2 * made[0].stat().st_size)
    Reader(source)("words-1")  # used just now
    Reader(source)("words-new")
    left = {path.name.split("-")[1] for path in folder.iterdir()}
    assert left == {"1", "new"}


def test_where_it_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "personsearch" / "annotation"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # not allowed by the XDG rules
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "personsearch" / "annotation"

    def no_home() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", no_home)
    assert cache_folder() is None


def test_texts_of_any_kind() -> None:
    texts = ("", "a\nb", "Größe 人 😀", "\0", "x" * 5000)
    assert array_to_texts(texts_to_array(texts)) == texts
    for wrong in (b"", b"[1]", b'"a"', b"\xff"):
        with pytest.raises(ValueError):
            array_to_texts(np.frombuffer(wrong, np.uint8))
