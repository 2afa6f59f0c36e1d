"""Names of new files: readable, their own, and never a way out of the folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personsearch.media.names import safe_name

ANY = st.text(st.characters(exclude_categories=()), max_size=400)


@given(ANY, ANY)
def test_a_name_is_one_plain_part_of_a_path(text: str, key: str) -> None:
    name = safe_name(text, key, ".jpg")
    assert Path(name).name == name
    assert not set(name) & set('/\\:*?"<>|\0\n\r\x1b \u202e')
    assert name[0] not in ".-"
    assert name.endswith(".jpg")
    assert len(os.fsencode(name)) <= 255
    assert name.isprintable()


def test_two_files_of_one_name_stay_two_and_the_same_one_stays_itself() -> None:
    one, other = safe_name("a", "/x/a.mp4", ".mp4"), safe_name("a", "/y/a.mp4", ".mp4")
    assert one != other
    assert safe_name("a", "/x/a.mp4", ".mp4") == one


@pytest.mark.parametrize(
    "text", ["../../etc/passwd", "..\\..\\win.ini", "C:evil", "CON", "a/b", "~root", "-rf"]
)
def test_names_with_a_meaning_lose_it(text: str, tmp_path: Path) -> None:
    path = tmp_path / safe_name(text, "k", ".png")
    assert path.resolve().parent == tmp_path.resolve()
    assert path.stem.casefold() not in ("con", "nul", "aux", "prn")


def test_letters_of_other_scripts_stay() -> None:
    assert safe_name("Überfall 漢字", "k", ".mp4").startswith("Überfall_漢字-")
