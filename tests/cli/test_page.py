"""The page of a search of a real gallery: hits, who was nearly one, everybody's likeness, frames of films."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from personsearch.cli.page import MORE, cut, everybody, with_more, write_page
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.searching import Asked
from personsearch.images import load
from personsearch.types import Query

film = runpy.run_path(str(Path(__file__).parents[1] / "media" / "films.py"))["film"]
RED = np.array([220, 30, 30], np.float32) / 255


@pytest.fixture
def walked(command, gallery: Path, tmp_path: Path) -> Path:
    """The gallery with a film in which somebody stands for two seconds, too."""
    pixels = np.full((100, 200, 3), 250, np.uint8)
    pixels[20:80, 60:80] = (200, 60, 60)
    source = film(tmp_path / "films" / "a<b>.mkv", [pixels] * 25, codec="mjpeg")
    ended = command("index", source, "-g", gallery, "-m", "m", "--progress", "none")
    assert ended.code == 0, ended.err
    return gallery


def test_with_more_only_where_there_is_a_page() -> None:
    asked = Asked(k=3)
    assert with_more(asked, None).k == 3
    assert with_more(asked, Path("x")).k == 3 + MORE


def test_the_page_of_a_search(walked: Path, photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    query = photos / "a.png"
    with Gallery.open(walked) as gallery:
        asked = with_more(Asked(k=1), page)
        found = gallery.search_many(
            RED[None],
            [Query(str(query), [10, 10, 30, 70])],
            asked,
            fingerprint=gallery.fingerprint,
            exclude_pictures=[query],
        )[0]
        result, rejected = cut(found, 1)
        alike = everybody(gallery, RED, asked, gallery.fingerprint, query)
    assert (len(result.hits), len(rejected)) == (1, 2)
    assert len(alike) == 2 + 1 + 3  # b.png's two, c.png's, and the film's three frames
    write_page(page, result, load(query), "m", rejected=rejected, alike=alike, verdict="likely")
    html = page.read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', html)[1])  # type: ignore[index]
    assert [Path(entry["picture"]).name for entry in data["entries"]] == ["b.png", "a<b>.mkv", "c.png"]
    assert "a&lt;b&gt;.mkv@00:00:0" not in html  # the time stands beside the name, not in it
    assert "seen from 00:00:00.000 to 00:00:02.000 in 3 frames" in html
    assert html.count("<img ") == 2 + 2 + 2 * 2
    assert "6 people who were compared" in html


def test_a_film_that_is_gone_leaves_its_place(walked: Path, photos: Path, tmp_path: Path) -> None:
    with Gallery.open(walked) as gallery:
        found = gallery.search(RED, 9, fingerprint=gallery.fingerprint, query=Query("q", [10, 10, 30, 70]))
    (tmp_path / "films" / "a<b>.mkv").unlink()
    write_page(tmp_path / "p.html", found, load(photos / "a.png"))
    assert "The picture cannot be shown" in (tmp_path / "p.html").read_text()
