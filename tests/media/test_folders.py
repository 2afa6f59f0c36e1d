import os
from pathlib import Path

import pytest

from personsearch.errors import InputError
from personsearch.media.folders import find_pictures


@pytest.fixture
def album(tmp_path: Path) -> Path:
    root = tmp_path / "album"
    for name in (
        "b.JPG",
        "a.jpeg",
        "Sub/c.png",
        "Sub/deep/d.WebP",
        "Sub-2/e.bmp",
        "f.HEIC",
        "g.gif",
        "notes.txt",
        "noext",
        ".hidden.jpg",
        "._b.JPG",
        ".thumbnails/x.jpg",
        "@eaDir/y.jpg",
        "$RECYCLE.BIN/z.jpg",
        "__MACOSX/w.jpg",
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def names(root: Path, found: list[Path]) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found]


def test_everything_sorted_by_path_hidden_and_system_left_out(album: Path) -> None:
    expected = ["Sub/c.png", "Sub/deep/d.WebP", "Sub-2/e.bmp", "a.jpeg", "b.JPG", "f.HEIC", "g.gif"]
    assert names(album, find_pictures(album)) == expected
    assert names(album, find_pictures(str(album), recursive=False)) == ["a.jpeg", "b.JPG", "f.HEIC", "g.gif"]


def test_a_hidden_folder_may_be_asked_for(album: Path) -> None:
    assert names(album, find_pictures(album / ".thumbnails")) == [".thumbnails/x.jpg"]


def test_links(album: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "o.jpg").write_bytes(b"")
    (album / "link").symlink_to(outside)
    (album / "one.jpg").symlink_to(outside / "o.jpg")
    (album / "broken.jpg").symlink_to(outside / "nothing")
    (outside / "loop").symlink_to(album)
    found = names(album, find_pictures(album))
    assert "link/o.jpg" not in found
    assert {"one.jpg", "broken.jpg"} <= set(found)  # a broken link is reported when it is read
    followed = names(album, find_pictures(album, follow_links=True))
    assert followed.count("link/o.jpg") == 1
    assert len(followed) == len(found) + 1


def test_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "readme.txt").write_text("x")
    with pytest.raises(InputError, match="has no pictures in it or in the folders inside") as caught:
        find_pictures(tmp_path)
    assert ".jpg" in caught.value.hint
    (tmp_path / "sub" / "a.jpg").write_bytes(b"")
    with pytest.raises(InputError, match="has no pictures directly in it"):
        find_pictures(tmp_path, recursive=False)
    with pytest.raises(InputError, match="does not exist"):
        find_pictures(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a file, not a folder"):
        find_pictures(tmp_path / "readme.txt")


def test_a_folder_that_cannot_be_listed(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.scandir

    def scandir(path: object) -> object:  # chmod 0 would not stop root
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match=r"deep cannot be listed: Permission denied"):
        find_pictures(album)
    told: list[Path] = []
    found = find_pictures(album, unreadable=lambda where, error: told.append(where))
    assert told == [album / "Sub" / "deep"]
    assert "Sub/c.png" in names(album, found)
