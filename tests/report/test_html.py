"""The page: what it says, that its boxes are in place, and that nothing foreign acts in it."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from personsearch.errors import InputError
from personsearch.images import decode
from personsearch.report.html import Figure, PageOptions, search_page
from personsearch.report.spread import spread_of
from personsearch.types import Picture, Span

EVIL = "<img src=x onerror=alert(1)>.jpg"
VOID = {"meta", "img", "br", "input"}


class Page(HTMLParser):
    """Elements, texts and nesting of a page, as a browser would read it."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.text, self.open = [], [], []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text.append(data)

    @property
    def words(self):
        return " ".join("".join(self.text).split())

    def all(self, tag, **wanted):
        return [a for t, a in self.elements if t == tag and all(a.get(k) == v for k, v in wanted.items())]


@pytest.fixture
def page(picture):
    def make(result, options=None, load=None):
        html = search_page(result, picture(60, 48), load or (lambda name: picture(64, 48)), options)
        return Page(html), html

    return make


def rects(found, kind):
    return [
        [float(a[side]) for side in ("x", "y", "width", "height")]
        for a in found.all("rect")
        if a["class"] == f"stroke {kind}"
    ]


def test_nothing_foreign_acts_and_nothing_is_loaded(page, result):
    options = PageOptions(
        title=f"{EVIL}</title><script>alert(2)</script>",
        model='"><script>',
        truth={EVIL: np.array([[0, 0, 5, 5]]), "'onload='x": np.array([[0, 0, 5, 5]])},
        figures=[Figure(name="<b>mAP", value=0.5, note="</td><script>")],
        figures_note="{{ 7 * 7 }}<iframe>",
        notes=["<object>"],
    )
    evil = result(
        (EVIL, [1, 1, 9, 30]), ("</style><script>.jpg", [1, 1, 9, 30]), camera='<svg onload="x">', query=EVIL
    )
    found, html = page(evil, options)
    tags = {tag for tag, _ in found.elements}
    assert not tags & {"iframe", "object", "embed", "link", "base", "form", "a", "b>map"}
    assert found.all("script") == [{"type": "application/json", "id": "data"}, {}]  # the page's own two
    for tag, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        assert "href" not in attributes
        assert attributes.get("src", "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,")
    assert len(found.all("img")) == 2 * (1 + 2 + 2)  # query, two hits, two missed: crop and scene each
    assert EVIL in found.words
    assert "{{ 7 * 7 }}" in found.words
    without_pictures = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.findall(r"https?:|url\(|@import", without_pictures)


def test_the_policy_allows_this_style_and_nothing_else(page, result):
    found, html = page(result(("a.jpg", [1, 1, 9, 30])))
    policy = found.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    code = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    script = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": f"'sha256-{digest}'",
        "script-src": f"'sha256-{script}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert len(re.findall("<style", html)) == 1


def test_boxes_are_where_the_hits_are(page, result, picture):
    wide = Picture(np.zeros((1000, 1920, 3), np.uint8))
    found, html = page(
        result(("a.jpg", [192, 100, 384, 600])),
        PageOptions(truth={"a.jpg": np.array([[960, 100, 1152, 600]])}),
        load=lambda name: wide,
    )
    assert rects(found, "query") == [[4, 4, 16, 36]]
    assert rects(found, "wrong") == [[96, 50, 96, 250]]  # the scene is shown at half its size
    assert rects(found, "truth") == [[480, 50, 96, 250], [480, 50, 96, 250]]  # at the hit, and as missed
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)" width="(\d+)" height="(\d+)"', html)
    assert len(pictures) == 6
    for content, width, height in pictures:
        assert decode(base64.b64decode(content)).size == (int(width), int(height))
    assert [(w, h) for _, w, h in pictures][3] == ("960", "500")


def test_the_crop_shows_the_person(page, result):
    pixels = np.zeros((300, 400, 3), np.uint8)
    pixels[100:200, 150:200] = (250, 20, 20)
    _, html = page(result(("a.jpg", [150, 100, 200, 200])), load=lambda name: Picture(pixels))
    crops = re.findall(r'base64,([^"]+)" width="\d+" height="\d+" alt="Hit 1, cut out"', html)
    shown = decode(base64.b64decode(crops[0])).pixels
    height, width = shown.shape[:2]
    assert width / height == pytest.approx(0.5, abs=0.02)
    assert shown[height // 2, width // 2] == pytest.approx([250, 20, 20], abs=12)
    assert shown[1, 1] == pytest.approx([0, 0, 0], abs=12)


def test_verdicts_and_who_was_missed(page, result):
    truth = {
        "a.jpg": np.array([[1, 1, 9, 30]]),
        "b.jpg": np.array([[40, 1, 50, 30]]),
        **{f"c{i}.jpg": np.array([[1, 1, 9, 30]]) for i in range(3)},
    }
    hits = result(("n.jpg", [1, 1, 9, 30]), ("a.jpg", [1, 2, 9, 30]), ("b.jpg", [1, 1, 9, 30]))
    found, _ = page(hits, PageOptions(truth=truth, most_missed=2))
    assert found.words.count("✓ Right person") == 1
    assert [a["class"] for a in found.all("span") if "badge" in a.get("class", "")].count("badge wrong") == 2
    assert "1 of 5 appearances found among the first 3 hits. The first right hit is at rank 2." in found.words
    assert found.words.count("The person is in this picture, in the dotted box.") == 1
    assert "4 appearances of the person" in found.words
    assert "And 2 more pictures, not shown." in found.words
    assert len(rects(found, "right")) == 1
    assert len(rects(found, "wrong")) == 2
    everything, _ = page(result(("a.jpg", [1, 1, 9, 30])), PageOptions(truth={"a.jpg": truth["a.jpg"]}))
    assert "1 of 1 appearance found" in everything.words
    assert "every appearance of the person in this gallery is among the hits" in everything.words


def test_where_nobody_knows_nothing_is_said_of_right_and_wrong(page, result):
    found, _ = page(result(("a.jpg", [1, 1, 9, 30]), probabilities=[0.943]))
    assert "94% likely" in found.words
    assert "similarity 0.900" in found.words
    for word in ("Right person", "✕ Someone else</span>", "missed", "appearance found", "dotted"):
        assert word not in found.words
    assert len(rects(found, "hit")) == 1
    plain, _ = page(result(("a.jpg", [1, 1, 9, 30]), similarity="euclidean"))
    assert "1.00 distance" in plain.words or "1.00distance" in plain.words
    assert "not calibrated" in plain.words
    assert "likely" not in plain.words


def test_a_picture_that_is_gone_leaves_its_place_and_its_reason(page, result, picture):
    def load(name):
        if name == "gone.jpg":
            raise InputError("gone.jpg is no file")
        return picture(64, 48)

    truth = {"gone.jpg": np.array([[40, 1, 50, 30]])}
    found, _ = page(
        result(("gone.jpg", [1, 1, 9, 30]), ("b.jpg", [1, 1, 9, 30])), PageOptions(truth=truth), load
    )
    assert found.words.count("The picture cannot be shown: gone.jpg is no file") == 2
    assert len(found.all("img")) == 4
    with pytest.raises(ZeroDivisionError):  # a defect is no missing picture
        page(result(("a.jpg", [1, 1, 9, 30])), load=lambda name: 1 / 0)


def test_no_hits_are_no_error_and_the_page_says_why(page, result):
    for truth in (None, {}):
        found, _ = page(replace(result(), people=0), PageOptions(truth=truth))
        assert "holds nobody to compare with" in found.words
        found, _ = page(result(), PageOptions(truth=truth))  # 1,234 people, but none of them compared
        assert "holds nobody" not in found.words
        assert "Nobody was found: everybody in the gallery is in the query's own picture" in found.words


def test_names_that_are_no_text_can_be_written(page, result):
    found, html = page(
        result(("f\udce9te/a\x00\u202egpj.exe\n.jpg", [1, 1, 9, 30]), time=0.0, camera="C\x07")
    )
    html.encode("utf-8")
    assert "a\ufffd\ufffdgpj.exe\ufffd.jpg" in found.words
    assert "f\ufffdte" in found.words
    assert "1970-01-01 00:00:00 UTC" in found.words


def test_figures_with_intervals(page, result):
    figures = [
        Figure(name="mAP", value=0.5, low=0.4, high=0.625),
        Figure(name="recall", value=1.2),
        Figure(name="Queries", value=2900),
    ]
    found, _ = page(
        result(("a.jpg", [1, 1, 9, 30])), PageOptions(figures=figures, figures_note="on 100 pictures")
    )
    for words in ("mAP", "0.500", "0.400 – 0.625", "2,900", "on 100 pictures"):
        assert words in found.words
    assert [a["width"] for a in found.all("rect", **{"class": "bar"})] == ["50.0", "100.0"]
    ends = [a["x1"] for a in found.all("line", **{"class": "whisker"})]
    assert ends == ["40.0", "40.0", "62.5"]
    without, _ = page(result(("a.jpg", [1, 1, 9, 30])))
    assert "How good" not in without.words


def test_the_same_search_gives_the_same_page(page, result):
    hits = result(("a.jpg", [1, 1, 9, 30]), ("b.jpg", [1, 1, 30, 30]))
    assert page(hits)[1] == page(hits)[1]


def test_every_picture_says_what_it_shows(page, result):
    found, html = page(result(("a.jpg", [1, 1, 9, 30])))
    assert all(a["alt"] for a in found.all("img"))
    assert html.startswith("<!doctype html>")
    assert "clothing" in found.words


def test_who_was_nearly_an_answer_is_shown_below_the_cut(page, result):
    hits = result(("a.jpg", [1, 1, 9, 30]), ("b.jpg", [1, 1, 9, 30]), ("c.jpg", [1, 1, 9, 30]))
    cut = replace(hits, hits=hits.hits[:2])
    found, _ = page(cut, PageOptions(rejected=hits.hits[2:]))
    assert "2 hits" in found.words
    assert "Just below the cut" in found.words
    kinds = [(a["id"], a["data-kind"], a["data-rank"]) for a in found.all("li") if "data-kind" in a]
    assert kinds == [("entry-0", "hit", "1"), ("entry-1", "hit", "2"), ("entry-2", "rejected", "3")]
    without, _ = page(cut)
    assert "Just below the cut" not in without.words


def test_the_spread_of_everybody_with_the_hits_marked(page, result):
    hits = result(("a.jpg", [1, 1, 9, 30]), ("b.jpg", [1, 1, 9, 30]))  # 0.9 and 0.8
    everybody = np.concatenate([np.linspace(-0.1, 0.5, 1000), [0.8, 0.9]])
    found, _ = page(
        replace(hits, hits=hits.hits[:1]),
        PageOptions(spread=spread_of(everybody), rejected=hits.hits[1:]),
    )
    dots = {a["data-rank"]: (a["class"], a["cx"]) for a in found.all("circle")}
    assert dots == {"1": ("dot", "100.0%"), "2": ("dot out", "90.0%")}
    assert found.all("line", **{"class": "cut"})[0]["x1"] == "100.0%"
    assert "1,002 people who were compared" in found.words
    assert "The best one left out has a similarity of 0.800." in found.words


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("likely", "✓ Likely in this gallery"),
        ("unsure", "? Perhaps in this gallery"),
        ("likely absent", "✕ Likely not in this gallery"),
        ("likely_absent", "✕ Likely not in this gallery"),
    ],
)
def test_a_verdict_is_said_and_hides_nothing(page, result, verdict, words):
    found, _ = page(result(("a.jpg", [1, 1, 9, 30])), PageOptions(verdict=verdict))
    assert words in found.words
    assert len(found.all("li", id="entry-0")) == 1
    without, _ = page(result(("a.jpg", [1, 1, 9, 30])))
    assert "in this gallery" not in without.words.replace("appearance", "")


def test_a_hit_in_a_video_says_when_and_is_loaded_by_its_name(page, result, picture):
    asked = []

    def load(name):
        asked.append(name)
        return picture(64, 48)

    hits = result(("film.mp4", [1, 1, 9, 30]), position=62.5, span=Span(60.0, 70.0, 11))
    options = PageOptions(named=lambda hit: f"{hit.picture}@{hit.position}")
    found, html = page(hits, options, load)
    assert asked == ["film.mp4@62.5"]
    assert "at 00:01:02.500, seen from 00:01:00.000 to 00:01:10.000 in 11 frames" in found.words
    data = json.loads(re.search(r'id="data">(.*?)</script>', html)[1])
    assert data["entries"][0]["picture"] == "film.mp4"  # what is judged is the gallery's, not the page's name


def test_without_hits_there_is_nothing_to_judge(page, result):
    found, _ = page(result())
    assert not found.all("script")
    assert not found.all("dialog")
