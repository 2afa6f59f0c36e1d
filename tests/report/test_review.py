"""What the page says of whom it shows, and the file of judgements that comes back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personsearch.errors import InputError
from personsearch.report.review import SCHEMA, read_judgements, review_data


def judgements(**more):
    return {
        "schema": SCHEMA,
        "query": {"picture": "q.jpg", "box_xyxy": [1, 2, 3, 4.5]},
        "gallery": "g",
        "model": "m",
        "judged": [{"detection": 7, "picture": "a.jpg", "box_xyxy": [0, 0, 9, 30], "same": True}],
        **more,
    }


def test_the_block_holds_the_search_and_everybody_shown(result):
    hits = result(("a.jpg", [1, 1, 9, 30]), ("b.jpg", [2.126, 1, 9, 30]))
    data = json.loads(review_data(hits, hits.hits))
    assert data["head"] == {
        "schema": SCHEMA,
        "query": {"picture": "query.jpg", "box_xyxy": [4, 4, 20, 40]},
        "gallery": "photos.gallery",
        "model": "0123456789abcdef0123",
    }
    assert data["entries"][1] == {
        "detection": 1,
        "picture": "b.jpg",
        "box_xyxy": [2.13, 1, 9, 30],
        "similarity": pytest.approx(0.8),
    }
    other = json.loads(review_data(hits, hits.hits[:1]))
    assert other["name"] != data["name"]  # judgements of one page are not taken for another's


@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_any_name_comes_back_and_cannot_leave_the_block(name):
    from personsearch.types import Query, SearchResult

    nobody = SearchResult(
        query=Query(name, [0, 0, 9, 9]),
        hits=(),
        gallery="g",
        model="m",
        similarity="cosine",
        pictures=0,
        people=0,
    )
    data = review_data(nobody, [])
    assert data.isascii()
    assert not set("<>&") & set(data)
    assert json.loads(data)["head"]["query"]["picture"] == name


def test_judgements_are_read_back(tmp_path):
    path = tmp_path / "judgements.json"
    path.write_text(json.dumps(judgements()))
    read = read_judgements(path)
    assert (read.query, read.query_box_xyxy, read.gallery, read.model) == ("q.jpg", (1, 2, 3, 4.5), "g", "m")
    (one,) = read.judged
    assert (one.detection, one.picture, one.same, one.similarity) == (7, "a.jpg", True, None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"\xff\xfe",
        b"[]",
        json.dumps(judgements(schema="personsearch.search/1")).encode(),
        json.dumps(judgements(judged=[{"detection": 1}])).encode(),
        json.dumps(judgements(judged={"detection": 1})).encode(),
        json.dumps(judgements(query="q.jpg")).encode(),
        json.dumps(judgements(query={"picture": "q", "box_xyxy": [1, 2, 3]})).encode(),
        json.dumps(judgements(query={"picture": "q", "box_xyxy": [1, 2, 3, 1e300]})).encode(),
        json.dumps(judgements(query={"picture": "q", "box_xyxy": [1, 2, 3, float("nan")]})).encode(),
        json.dumps(
            judgements(judged=[{"detection": 1, "picture": "a", "box_xyxy": [0, 0, 1, 1], "same": 1}])
        ).encode(),
        json.dumps(
            judgements(judged=[{"detection": True, "picture": "a", "box_xyxy": [0, 0, 1, 1], "same": True}])
        ).encode(),
    ],
)
def test_what_is_no_file_of_judgements_is_one_clear_line(tmp_path, content):
    path = tmp_path / "j.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"j\.json is no") as caught:
        read_judgements(path)
    assert "\n" not in str(caught.value)
    assert "--html" in caught.value.hint


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_judgements(tmp_path / "none.json")
