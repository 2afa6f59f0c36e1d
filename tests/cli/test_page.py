"""The page of a search of a real gallery: hits, who was nearly one, everybody's likeness, frames of films."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from personsearch.cli.page import ask, write_page
from personsearch.gallery.asking import Sought
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.named import Example
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


def sought(picture: Path, **more) -> Sought:
    example = Example(
        vector=RED, model="rectangles-1", right=True, picture=str(picture), box=np.array([10, 10, 30, 70])
    )
    return Sought(name="q", examples=(example,), **more)


def test_the_page_of_a_search(walked: Path, photos: Path, tmp_path: Path) -> None:
    page, query = tmp_path / "page.html", photos / "a.png"
    with Gallery.open(walked) as gallery:
        answered, more = ask(gallery, sought(query), Asked(k=1), None, page)
        plain, nothing = ask(gallery, sought(query), Asked(k=1), None, None)
        with_own = ask(gallery, sought(query, own=True), Asked(k=1), None, page)[1]
    result = answered.result
    assert nothing is None
    assert [hit.detection for hit in result.hits] == [hit.detection for hit in plain.result.hits]
    assert more is not None
    assert with_own is not None
    assert (len(result.hits), len(more.rejected)) == (1, 2)
    assert len(more.alike) == 2 + 1 + 3  # b.png's two, c.png's, and the film's three frames
    assert len(with_own.alike) == 7
    assert max(more.alike) == pytest.approx(result.hits[0].similarity)
    write_page(page, result, load(query), "m", more=more, verdict="likely")
    html = page.read_text()
    found = re.search(r'id="data">(.*?)</script>', html)
    assert found is not None
    data = json.loads(found[1])
    assert [Path(entry["picture"]).name for entry in data["entries"]] == ["b.png", "a<b>.mkv", "c.png"]
    assert "a&lt;b&gt;.mkv@" not in html  # the time stands beside the name, not in it
    assert "seen from 00:00:00.000 to 00:00:02.000 in 3 frames" in html
    assert html.count("<img ") == 2 + 3 * 2
    assert "The 6 people" in html or "the 6 people" in html


def test_a_film_that_is_gone_leaves_its_place(walked: Path, photos: Path, tmp_path: Path) -> None:
    with Gallery.open(walked) as gallery:
        found = gallery.search(RED, 9, fingerprint=gallery.fingerprint, query=Query("q", [10, 10, 30, 70]))
    (tmp_path / "films" / "a<b>.mkv").unlink()
    write_page(tmp_path / "p.html", found, load(photos / "a.png"))
    assert "The picture cannot be shown" in (tmp_path / "p.html").read_text()
