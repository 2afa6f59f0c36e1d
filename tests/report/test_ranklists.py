"""The page of rank lists: what it says, how right and wrong are told, and that nothing foreign acts in it."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from personsearch.errors import InputError
from personsearch.ranking.lists import Appearance, RankedHit, RankList
from personsearch.report.html import Figure
from personsearch.report.ranklists import WORDS, Chart, RankGroup, RankListOptions, ranklist_page

EVIL = "<img src=x onerror=alert(1)>.jpg"
VOID = {"meta", "img", "br"}


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
        if "style" not in self.open:
            self.text.append(data)

    @property
    def words(self):
        return " ".join("".join(self.text).split())

    def all(self, tag, **wanted):
        return [a for t, a in self.elements if t == tag and all(a.get(k) == v for k, v in wanted.items())]


def box(*sides):
    return np.array(sides, np.float32)


def a_list(query=0, name="s.jpg", **changes):
    """A query at rank 2: somebody else, the person, his second box, a loose box; and four more places."""
    hits = tuple(
        RankedHit(
            rank=i + 1,
            similarity=0.9 - 0.1 * i,
            picture=f"{verdict}-{name}",
            box=box(10, 10, 20, 40),
            score=0.9,
            verdict=verdict,
        )
        for i, verdict in enumerate(("wrong", "right", "again", "loose"))
    )
    outcomes = (("ranked low", 2), ("ranked low", 57), ("below threshold", 0), ("box too loose", 0))
    appearances = tuple(
        Appearance(
            picture=f"place {i} {name}",
            box=box(4, 4, 24, 44),
            outcome=outcome,
            rank=rank,
            overlap=0.42,
            needed=0.5,
            score=0.31,
            nearest=box(6, 6, 30, 46),
        )
        for i, (outcome, rank) in enumerate(outcomes)
    )
    known = {
        "query": query,
        "picture": f"query {name}",
        "box": box(5, 5, 15, 35),
        "ap": 0.25,
        "first_hit": 2,
        "reason": "ranked low",
        "pictures": 100,
        "people": 1234,
        "hits": hits,
        "appearances": appearances,
    }
    return RankList(**{**known, **changes})


@pytest.fixture
def page(picture):
    def make(*groups, options=None, load=None):
        groups = groups or (RankGroup(name="Worst", lead="first", lists=[a_list()]),)
        html = ranklist_page(groups, load or (lambda name: picture(64, 48)), options)
        return Page(html), html

    return make


def rects(found, kind):
    return [
        [float(a[side]) for side in ("x", "y", "width", "height")]
        for a in found.all("rect")
        if a["class"] == f"stroke {kind}"
    ]


def test_nothing_foreign_acts_and_nothing_is_loaded(page):
    options = RankListOptions(
        title=f"{EVIL}</title><script>alert(2)</script>",
        rules=[("Data set", "</style><script>"), ("<b>", '"><svg onload=x>')],
        figures=[Figure(name="<b>mAP", value=0.5, note="</td><script>")],
        charts=[Chart(title="<i>c", pixels=np.zeros((9, 9, 3), np.uint8), alt='"><script>')],
        notes=["<object>", "{{ 7 * 7 }}<iframe>"],
        cameras={f"query {EVIL}": '<svg onload="x">', f"wrong-{EVIL}": "'onload='x"},
    )
    group = RankGroup(name="<h1>", lead="</p><script>", lists=[a_list(name=EVIL, reason="<script>")])
    found, html = page(group, options=options)
    tags = {tag for tag, _ in found.elements}
    assert not tags & {"script", "iframe", "object", "embed", "link", "base", "form", "b>map"}
    for tag, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        assert attributes.get("href", "#").startswith("#")
        assert attributes.get("src", "data:image/jpeg;base64,").startswith("data:image/jpeg;base64,")
    assert EVIL in found.words
    assert "{{ 7 * 7 }}" in found.words
    assert '<svg onload="x">' in found.words
    without_pictures = re.sub(r"base64,[A-Za-z0-9+/=]+", "", html)
    assert not re.findall(r"https?:|url\(|@import", without_pictures)


def test_the_policy_allows_this_style_and_nothing_else(page):
    found, html = page()
    policy = found.all("meta", **{"http-equiv": "Content-Security-Policy"})[0]["content"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert (rules["img-src"], rules["style-src"]) == ("data:", f"'sha256-{digest}'")
    assert len(re.findall("<style", html)) == 1
    assert html == page()[1]


def test_right_and_wrong_are_told_by_word_sign_and_line(page):
    found, html = page()
    text = found.words
    for words in ("✕ Someone else", "✓ Right person", "✓ Same person again", "✕ Box too loose"):
        assert text.count(words) == 1
    assert "scoring counts it as wrong" in text
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    lines = {
        kind: re.search(rf"\.stroke\.{kind} {{([^}}]*)}}", style)[1] for kind in ("right", "wrong", "truth")
    }
    dashes = {kind: re.findall(r"stroke-dasharray: ([^;]*)", line) for kind, line in lines.items()}
    assert len({tuple(one) for one in dashes.values()}) == 3
    assert {item for item in ("looked for", "the person", "someone else") if item in text} == {
        "looked for",
        "the person",
        "someone else",
    }


def test_every_place_that_no_hit_shows_says_why(page):
    text = page()[0].words
    assert "Detected, at rank 57 of 1,234." in text
    assert "its score of 0.31 is below the detection threshold" in text
    assert "overlaps by 0.42; 0.50 is needed" in text
    assert "place 0" not in text  # shown as hit 2
    short = page(options=RankListOptions(most_missed=1))[0].words
    assert "And 2 more places, not shown." in short
    assert "Detected, at rank 57" in short


@pytest.mark.parametrize(
    ("kind", "words"),
    [("cosine", "0.900similarity"), ("product", "0.900similarity"), ("euclidean", "0.90distance")],
)
def test_only_distances_are_called_so(page, kind, words):
    found, _ = page(options=RankListOptions(similarity=kind))
    assert words in found.words


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "1 box ranks before the first right answer"),
        ({"first_hit": 12}, "11 boxes rank before"),
        ({"reason": "found", "first_hit": 1}, "The first answer is right."),
        ({"reason": "below threshold", "first_hit": 0}, "its score is below"),
        ({"reason": "box too loose", "first_hit": 0}, "too loose to count"),
        ({"reason": "not detected", "first_hit": 0}, "No box is on the person in any picture"),
        ({"reason": "nobody to find", "first_hit": 0, "ap": float("nan")}, "in no picture of this gallery"),
        ({"hits": (), "people": 0}, "Nobody was detected in this gallery"),
    ],
)
def test_every_reason_is_a_sentence(page, change, said):
    found, _ = page(RankGroup(name="g", lead="", lists=[a_list(**change)]))
    assert said in found.words
    assert WORDS[change.get("reason", "ranked low")] in found.words
    assert ("never" in found.words) == (change.get("first_hit") == 0)
    assert "nan" not in found.words


def test_boxes_are_where_they_belong(page, picture):
    found, _ = page(load=lambda name: picture(1120, 840), options=RankListOptions(side=560))
    assert rects(found, "query") == [[2.5, 2.5, 5, 15]]  # shown at half the size
    assert rects(found, "right") == [[5, 5, 5, 15]] * 2  # the person, and his second box
    assert rects(found, "wrong") == [[5, 5, 5, 15]] * 2  # someone else, and the loose box
    assert rects(found, "near") == [[3, 3, 12, 20]] * 3
    assert rects(found, "truth") == [[2, 2, 10, 20]] * 3


def test_the_header_the_figures_and_the_counts(page):
    options = RankListOptions(
        rules=[("Data set", "cuhk-sysu"), ("Queries", "2,900")],
        figures=[Figure(name="mAP", value=0.5, low=0.4, high=0.6), Figure(name="Queries", value=2900)],
        reasons={"found": 3, "ranked low": 1, "not detected": 0, "nobody to find": 0},
        charts=[Chart(title="Curve", pixels=np.zeros((9, 16, 3), np.uint8), alt="a curve", wide=True)],
    )
    found, _ = page(options=options)
    assert "Data set cuhk-sysu" in found.words.replace("Data setcuhk", "Data set cuhk")
    for words in ("0.400 – 0.600", "2,900", "75.0%", "25.0%"):
        assert words in found.words
    bars = [float(a["width"]) for a in found.all("rect", **{"class": "bar"})]
    assert bars == [50, 75, 25, 0]  # a count has no bar
    assert found.all("img", alt="a curve")[0]["width"] == "16"


def test_links_lead_to_what_is_there(page):
    lists = [a_list(3), a_list(17)]
    found, _ = page(
        RankGroup(name="Worst", lead="", lists=lists),
        RankGroup(name="Median", lead="", lists=[]),
        RankGroup(name="Best", lead="", lists=[a_list(5)]),
    )
    named = [a["id"] for _, a in found.elements if "id" in a]
    assert len(named) == len(set(named))
    targets = {a["href"] for a in found.all("a")}
    assert {"#query-3", "#query-17", "#query-5", "#queries"} <= targets
    assert {target[1:] for target in targets} <= set(named)
    assert "Median" not in found.words
    assert not [a for _, a in found.elements if "tabindex" in a]
    for attributes in (a for _, a in found.elements if "aria-labelledby" in a):
        assert attributes["aria-labelledby"] in named


def test_no_query_is_a_page_too(picture):
    found = Page(ranklist_page([], lambda name: picture()))
    assert "No query to show" in found.words


def test_a_picture_that_cannot_be_read_leaves_its_place(page):
    def load(name):
        raise InputError(f"{name} is gone")

    found, _ = page(load=load)
    assert not found.all("img")
    assert found.words.count("The picture cannot be shown") == 1 + 4 + 3
    assert "query s.jpg is gone" in found.words
