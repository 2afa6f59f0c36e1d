"""Patterns against the standard library's, and on the trees that it must not be trusted with."""

import glob
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.errors import InputError
from personsearch.media.patterns import is_pattern, matching
from personsearch.media.sources import find_sources

part = st.sampled_from(["a", "b", "*", "a*", "?", "[ab]", "**", "*.jpg", "b.jpg", "..", ".*", "c?"])
TREE = (
    "a/a/b.jpg",
    "a/b.jpg",
    "a/c1/b.jpg",
    "b.jpg",
    "b/a/a.jpg",
    "b/.h/b.jpg",
    ".x/b.jpg",
    "a/.y.jpg",
    "a b/[c].jpg",
)


def never(error: OSError) -> None:
    raise AssertionError(error)


@given(st.lists(part, min_size=1, max_size=5), st.booleans())
@settings(max_examples=150, deadline=None)
def test_names_what_glob_names(parts: list[str], absolute: bool) -> None:
    with tempfile.TemporaryDirectory() as where:
        root = Path(where).resolve() / "1" / "2"
        for name in TREE:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"x")
        pattern = "/".join(parts)
        before = Path.cwd()
        os.chdir(root)
        try:
            text = f"{root}/{pattern}" if absolute else pattern
            mine = [os.path.realpath(path) for path in matching(text, complain=never)]
            theirs = [os.path.realpath(path) for path in glob.iglob(text, recursive=True)]  # noqa: PTH207
            mine, theirs = ({p for p in found if Path(p).is_file()} for found in (mine, theirs))
            if "b.jpg" in parts[:-1]:  # glob takes the file itself for what is below it
                assert mine <= theirs
            elif ".*" in parts:  # glob enters no hidden folder by a wildcard and then by another
                assert mine >= theirs
            else:
                assert mine == theirs
        finally:
            os.chdir(before)


def test_each_once_and_hidden_only_when_asked_for(tmp_path: Path) -> None:
    for name in TREE:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = [str(p.relative_to(tmp_path)) for p in matching(f"{tmp_path}/**/**/*.jpg", complain=never)]
    assert sorted(found) == ["a b/[c].jpg", "a/a/b.jpg", "a/b.jpg", "a/c1/b.jpg", "b.jpg", "b/a/a.jpg"]
    assert [p.name for p in matching(f"{tmp_path}/a/.*.jpg", complain=never)] == [".y.jpg"]
    assert [p.name for p in matching(f"{tmp_path}/.x/*", complain=never)] == ["b.jpg"]
    assert [p.name for p in matching(f"{tmp_path}/a b/[[]c].jpg", complain=never)] == ["[c].jpg"]
    assert (is_pattern("a?"), is_pattern("a.jpg")) == (True, False)


def test_links_in_a_circle_are_not_entered(tmp_path: Path) -> None:
    """Two links to the folder that they are in: 2 to the 40th paths, as far as names go."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.jpg").write_bytes(b"x")
    for name in ("one", "two"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "secret.jpg").write_bytes(b"x")
    (tmp_path / "in" / "three").symlink_to(tmp_path / "out")
    inside, out = tmp_path / "in", str(tmp_path / "out" / "secret.jpg")
    for pattern in ("**/*.jpg", "*/*.jpg", "*/*/**/*.jpg"):
        assert out not in map(os.path.realpath, matching(f"{inside}/{pattern}", complain=never))
    assert [p.name for p in matching(f"{inside}/**/*.jpg", complain=never)] == ["a.jpg"]
    followed = list(matching(f"{inside}/**/*.jpg", follow_links=True, complain=never))
    assert sorted(p.name for p in followed) == ["a.jpg", "secret.jpg"]
    assert [p.name for p in matching(f"{inside}/three/*.jpg", complain=never)] == [
        "secret.jpg"
    ]  # named itself
    assert [p.name for p in find_sources([f"{inside}/**/*.jpg"]).files] == ["a.jpg"]


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("closed/a.jpg", "open/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    real = os.scandir

    def scandir(folder: object) -> object:  # chmod 0 would not stop root
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(folder))
        return real(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    found = find_sources([f"{tmp_path}/**/*.jpg"])
    assert [p.name for p in found.files] == ["b.jpg"]
    (failure,) = found.failures
    assert (failure.path, failure.stage, failure.retryable) == (str(tmp_path / "closed"), "list", True)
    assert "Permission denied" in failure.error
    alone = find_sources([f"{tmp_path}/closed/*.jpg"])  # nothing matched, and it is known why
    assert (len(alone.files), len(alone.failures)) == (0, 1)
    with pytest.raises(InputError, match="no file matches"):
        find_sources([f"{tmp_path}/open/*.png"])


def test_nested_deeper_than_python_may_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(1200):
        Path("d").mkdir()
        os.chdir("d")
    Path("a.jpg").write_bytes(b"x")
    found = [p.name for p in matching(f"{tmp_path}/**/*.jpg", complain=never)]
    Path("a.jpg").unlink()
    for _ in range(1200):
        os.chdir("..")
        Path("d").rmdir()
    assert found == ["a.jpg"]
