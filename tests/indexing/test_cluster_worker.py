"""One process of a cluster, without the cluster: what it says of files, what it writes beside the table."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

pytest.importorskip("lance", reason="the extra ray is not installed")

from personsearch.errors import InputError
from personsearch.gallery.fragments import Fragments
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import FileState
from personsearch.gallery.suppression import Box, Suppression
from personsearch.gallery.verify import verify
from personsearch.indexing.cluster_worker import DEATHS, Desk, Extractor, Work, short
from personsearch.indexing.local import new_gallery
from personsearch.indexing.options import IndexOptions
from personsearch.media.sampling import every


@pytest.fixture
def gallery(tmp_path: Path, album: Path, new_searcher: Callable) -> Gallery:
    with new_gallery(tmp_path / "gallery", new_searcher()) as made:
        made.add_source(album)
        yield made


def files(gallery: Gallery, *paths: Path) -> pa.Table:
    places = [gallery.place(path) for path in paths]
    return pa.table(
        {
            "index": list(range(len(paths))),
            "path": [str(path) for path in paths],
            "source": [place.source for place in places],
            "below": [place.path for place in places],
            "video": [path.suffix == ".mp4" for path in paths],
        }
    )


def extractor(gallery: Gallery, desk: Desk, searcher: object, **more: object) -> Extractor:
    given = {
        "opener": lambda: searcher,
        "desk": lambda: desk,
        "table": Fragments(gallery).table,
        "fingerprint": gallery.fingerprint,
        "dim": 3,
        "similarity": "euclidean",
        "options": IndexOptions(sampling=every("200ms")),
        "kept_out": Suppression(),
        "known": np.zeros(0, np.uint64),
    }
    return Extractor(Work(**(given | more)))


def rows(gallery: Gallery) -> list[dict]:
    gallery._people_table.newest()
    columns = ("detection", "picture", "box_xyxy", "tracklet")
    return [row for batch in gallery._people_table.batches(columns) for row in batch.to_pylist()]


def asked(work: Extractor, table: pa.Table) -> tuple[list[dict], list[str]]:
    (row,) = work(table).to_pylist()
    return json.loads(row["said"]), row["written"]


def test_what_is_written_counts_only_when_it_is_committed(
    gallery: Gallery, album: Path, new_searcher: Callable
) -> None:
    work = extractor(gallery, Desk(1, 1), new_searcher())
    (album / "broken.jpg").write_bytes(b"\xff\xd8\xff no")
    several = files(
        gallery, album / "a.jpg", album / "broken.jpg", album / "gone.jpg", album / "sub" / "b.jpg"
    )
    said, written = asked(work, several)
    assert [one["kind"] for one in said] == ["seen", "damaged", "unreadable", "seen"]
    assert [(one["picture"], one["people"]) for one in said if one["kind"] == "seen"] == [(1, 2), (2, 1)]
    assert rows(gallery) == []
    hands = Fragments(gallery)
    hands.commit(written)
    assert sorted((row["detection"], row["picture"]) for row in rows(gallery)) == [(1, 1), (2, 1), (3, 2)]
    assert not gallery.people
    for one, path in zip(said, ("a.jpg", "", "", "sub/b.jpg"), strict=True):
        if one["kind"] == "seen":
            place = gallery.place(album / path)
            state = FileState(place=place, size=one["size"], mtime_ns=one["mtime_ns"], sha256=one["sha256"])
            hands.add(state, one["picture"], one["people"], dhash=one["dhash"])
    gallery.flush()
    assert gallery.people == 3
    assert verify(gallery.path).findings == ()


def test_a_writer_that_dies_between_the_two_phases(
    gallery: Gallery, album: Path, new_searcher: Callable
) -> None:
    _, written = asked(extractor(gallery, Desk(1, 1), new_searcher()), files(gallery, album / "a.jpg"))
    Fragments(gallery).commit(written)  # and then nothing more
    assert [finding.rule for finding in verify(gallery.path).findings] == ["debris"]
    gallery.close()
    with Gallery.open(gallery.path, writable=True) as following:
        assert rows(following) == []
        assert Fragments(following).next_detection == 3  # a number is never given to somebody else
    assert verify(gallery.path).findings == ()


def test_files_that_nobody_names_go_with_the_next_clearing(
    gallery: Gallery, album: Path, new_searcher: Callable
) -> None:
    work = extractor(gallery, Desk(1, 1), new_searcher())
    _, lost = asked(work, files(gallery, album / "a.jpg"))
    _, written = asked(
        extractor(gallery, Desk(2, 9), new_searcher()), files(gallery, album / "sub" / "b.jpg")
    )
    Fragments(gallery).commit(written)
    data = gallery._people_table.files / "data"
    assert len(list(data.iterdir())) == len(lost) + len(written) == 2
    gallery._people_table.clear()
    assert len(list(data.iterdir())) == 1
    assert [row["detection"] for row in rows(gallery)] == [9]


def test_known_contents_and_copies_are_not_looked_at(
    gallery: Gallery, album: Path, new_searcher: Callable
) -> None:
    copy = album / "copy.jpg"
    copy.write_bytes((album / "a.jpg").read_bytes())
    searcher = new_searcher()
    said, _ = asked(extractor(gallery, Desk(1, 1), searcher), files(gallery, album / "a.jpg", copy))
    assert [one["kind"] for one in said] == ["seen", "copy"]
    assert len(searcher.looked_at) == 1
    known = np.array([short(said[0]["sha256"])], np.uint64)
    again = extractor(gallery, Desk(1, 1), searcher, known=known)
    assert [one["kind"] for one in asked(again, files(gallery, copy, album / "sub" / "b.jpg"))[0]] == [
        "copy",
        "seen",
    ]
    both = extractor(gallery, Desk(1, 1), searcher, once=False)
    assert [one["kind"] for one in asked(both, files(gallery, album / "a.jpg", copy))[0]] == ["seen", "seen"]


def test_a_file_that_kills_is_left_out_and_the_others_are_not(
    gallery: Gallery, album: Path, new_searcher: Callable
) -> None:
    """Every process dies on the second of three files, also while it is only read ahead."""

    class Killed(BaseException):
        pass

    desk = Desk(1, 1)
    several = files(gallery, album / "a.jpg", album / "nobody.jpg", album / "sub" / "b.jpg")
    deaths = 0
    while True:
        searcher = new_searcher()
        work = extractor(gallery, desk, searcher)
        real = work._read

        def read(file: dict, real: Callable = real) -> object:
            if file["index"] == 1:
                raise Killed
            return real(file)

        work._read = read
        try:
            said, _ = asked(work, several)
            break
        except Killed:
            deaths += 1
            assert deaths < 20
    assert deaths == DEATHS
    assert [one["kind"] for one in said] == ["seen", "dead", "seen"]


def test_the_forgotten_are_left_out(gallery: Gallery, album: Path, new_searcher: Callable) -> None:
    said, _ = asked(extractor(gallery, Desk(1, 1), new_searcher()), files(gallery, album / "a.jpg"))
    box = Box(sha256=said[0]["sha256"], box=(0.0, 0.0, 16.0, 16.0), receipt="r")
    out = extractor(gallery, Desk(1, 1), new_searcher(), kept_out=Suppression(boxes=(box,)))
    said, written = asked(out, files(gallery, album / "a.jpg"))
    assert said[0]["people"] == 1
    Fragments(gallery).commit(written)
    assert [row["box_xyxy"] for row in rows(gallery)] == [[16, 0, 32, 16]]


def test_a_model_that_fails_and_one_that_is_another(
    gallery: Gallery, album: Path, new_searcher: Callable
) -> None:
    searcher = new_searcher()
    searcher.detect = lambda picture: 1 / 0
    said, written = asked(extractor(gallery, Desk(1, 1), searcher), files(gallery, album / "a.jpg"))
    assert (said[0]["kind"], said[0]["error"]) == ("failed", "ZeroDivisionError: division by zero")
    assert written == []
    with pytest.raises(InputError, match="the model on this machine is dddd"):
        extractor(gallery, Desk(1, 1), new_searcher("d" * 64))


def test_a_video_is_whole_or_not_at_all(
    gallery: Gallery, album: Path, new_searcher: Callable, film: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personsearch.indexing.cluster_worker.FLUSH", 2)
    clip = film(album / "clip.mp4", 10)
    work = extractor(gallery, Desk(1, 1), new_searcher())
    said, written = asked(work, files(gallery, clip))
    assert (said[0]["kind"], said[0]["frames"], len(written) > 1) == ("seen", 5, True)
    Fragments(gallery).commit(written)
    stored = rows(gallery)
    assert len(stored) == said[0]["people"] > 0
    assert {row["picture"] for row in stored} == {said[0]["picture"]}
    assert len({row["detection"] for row in stored}) == len(stored)
    searcher = new_searcher()
    real, calls = searcher.detect, []
    searcher.detect = lambda picture: calls.append(1) or (1 / 0 if len(calls) == 4 else real(picture))
    said, written = asked(extractor(gallery, Desk(50, 999), searcher), files(gallery, clip))
    assert (said[0]["kind"], said[0]["frames"], bool(written)) == ("seen", 5, True)
    assert said[0]["damage"] == "the model failed on 1 frame: ZeroDivisionError: division by zero"
    assert said[0]["stage"] == "detect"
    searcher.detect = lambda picture: 1 / 0
    said, written = asked(extractor(gallery, Desk(50, 999), searcher), files(gallery, clip))
    assert (said[0]["kind"], written) == ("failed", [])
