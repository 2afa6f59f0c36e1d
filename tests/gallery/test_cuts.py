"""What of a video was pruned stays out of it: up to a moment, whatever frames are looked at later."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personsearch.errors import InputError
from personsearch.gallery import removal, suppression
from personsearch.gallery.forgetting import _Older
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.suppression import Box, Cut, Example, Suppression, read_suppression
from personsearch.gallery.tables import Table
from personsearch.gallery.verify import verify
from personsearch.gallery.video import Moment, VideoRows
from personsearch.types import Detections

BEGIN = 1_700_000_000.0
MODEL = "a" * 64


def two() -> Detections:
    return Detections([[0, 0, 10, 30], [40, 0, 50, 30]], [0.9, 0.8], np.eye(2, 16))


def frames(gallery: Gallery, state: Callable, name: str, positions: list[float], begin: float | None) -> None:
    """A video with two people in each of these frames."""
    rows = VideoRows(gallery, state(gallery, name), sampling="every 1s", camera=None)
    for position in positions:
        time = None if begin is None else begin + position
        pts = round(1000 * position)
        moment = Moment(pts=pts, time_base=Fraction(1, 1000), position=position, time=time)
        rows.add(moment, two(), np.arange(2))
    rows.finish()
    gallery.flush()


def kept_out(gallery: Gallery, name: str, positions: list[float]) -> list[bool]:
    """Whether everybody (or else nobody) in frames at these positions is kept out."""
    out = [gallery.keeps_out(f"sha of {name}", two(), 10**6, position) for position in positions]
    assert all(several.all() == several.any() for several in out)
    return [bool(several.all()) for several in out]


def test_up_to_the_moment_everybody_and_from_it_on_nobody(new_gallery: Callable, state: Callable) -> None:
    with new_gallery(dim=16) as gallery:
        frames(gallery, state, "half.mkv", [0.0, 1.0, 2.0, 3.0], BEGIN)
        frames(gallery, state, "after.mkv", [0.0, 1.0], BEGIN + 100)
        frames(gallery, state, "undated.mkv", [0.0, 1.0], None)
        gallery.add_picture(state(gallery, "old.jpg"), two(), time=BEGIN)
        receipt = gallery.prune(BEGIN + 1.5)
        assert (receipt.deleted["people"], receipt.kept_out) == (6, 0)
        known = read_suppression(gallery.path)
        assert [(cut.sha256, cut.receipt) for cut in known.cuts] == [("sha of half.mkv", receipt.receipt)]
        assert known.cuts[0].until == pytest.approx(1.5, abs=1e-6)
        assert (known.boxes, known.examples) == ((), ())
        assert kept_out(gallery, "half.mkv", [0.0, 0.5, 1.49, 1.51, 2.0]) == [True] * 3 + [False] * 2
        assert kept_out(gallery, "after.mkv", [0.0, 9.0]) == [False] * 2
        gallery.prune(BEGIN + 3.0)  # and later another time
        assert kept_out(gallery, "half.mkv", [2.0, 2.99, 3.0]) == [True, True, False]
        gallery.prune(gallery.entry(state(gallery, "undated.mkv").place).recorded + 1)
        assert kept_out(gallery, "undated.mkv", [0.0, 10.0**6]) == [True] * 2
    assert verify(gallery.path).findings == ()
    with Gallery.open(gallery.path) as reader:
        assert kept_out(reader, "half.mkv", [0.5, 2.5]) == [True] * 2  # the whole video is older than now


@pytest.mark.parametrize("dies_at", ["job", "suppressed", "people", "ledger", "rewrite", "unlink"])
def test_a_death_anywhere_leaves_the_cut(
    dies_at: str, new_gallery: Callable, state: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def death(*_: object, **__: object) -> None:
        raise SystemExit

    gallery = new_gallery(dim=16)
    frames(gallery, state, "half.mkv", [0.0, 1.0, 2.0, 3.0], BEGIN)
    with monkeypatch.context() as patch:
        owner, name = {
            "job": (removal, "finish"),
            "suppressed": (Suppression, "write"),
            "people": (Table, "add"),
            "ledger": (Table, "put"),
            "rewrite": (Table, "rewrite"),
            "unlink": (Path, "unlink"),
        }[dies_at]
        patch.setattr(owner, name, death)
        with pytest.raises(SystemExit):
            gallery.prune(BEGIN + 1.5)
    gallery.close()
    with Gallery.open(gallery.path, writable=True) as again:
        assert kept_out(again, "half.mkv", [0.0, 1.25, 1.75]) == [True, True, False]
        assert len(read_suppression(gallery.path).cuts) == 1
        assert again.people == 4
    assert verify(gallery.path).findings == ()


def test_verify_finds_whoever_is_in_a_part_that_was_pruned(new_gallery: Callable, state: Callable) -> None:
    with new_gallery(dim=16) as gallery:
        frames(gallery, state, "half.mkv", [0.0, 1.0, 2.0], BEGIN)
        sha = "sha of half.mkv"
        for until, count in ((2.0, 4), (None, 6), (0.0, 0)):
            Suppression(cuts=(Cut(sha256=sha, until=until, receipt="r"),)).write(gallery.path)
            found = [one.count for one in verify(gallery.path).findings if one.rule == "forgotten"]
            assert found == ([count] if count else [])


@given(
    begin=st.floats(0, 4e9),
    positions=st.lists(st.floats(0, 1e6), min_size=1, max_size=20, unique=True),
    share=st.floats(0, 1),
)
def test_a_cut_is_between_those_who_go_and_those_who_stay(
    begin: float, positions: list[float], share: float
) -> None:
    """However sums of times round: of the people who say where it is, none is on the wrong side."""
    times = [begin + position for position in positions]
    before = min(times) + share * (max(times) + 1 - min(times))
    video = _Older()
    for position, time in zip(positions, times, strict=True):
        video.note(position, time < before, before - (time - position))
    older = [position for position, time in zip(positions, times, strict=True) if time < before]
    if not older:
        return
    cut = Cut(sha256="v", until=video.until, receipt="")
    assert [position for position in positions if cut.holds("v", position)] == older
    assert cut.until == pytest.approx(before - begin, abs=1e-5)


ALL = Suppression(
    boxes=(Box(sha256="p", box=(0, 0, 10, 20), receipt="r", frame=7, position=0.5),),
    examples=(Example(vector=(0.5, 1.0), fingerprint=MODEL, min_similarity=0.5, receipt="s"),),
    cuts=(Cut(sha256="v", until=1.5, receipt="t"), Cut(sha256="w", until=None, receipt="t")),
)


def test_what_is_kept_out_is_read_as_it_was_written(tmp_path: Path) -> None:
    ALL.write(tmp_path)
    assert read_suppression(tmp_path) == ALL
    assert ALL.including(ALL.boxes, ALL.examples, ALL.cuts) == ALL
    assert {item.receipt for item in (*ALL.under("u").boxes, *ALL.under("u").cuts)} == {"u"}
    copied = ALL.carried("v", "copy", (1.0, 1.0))
    assert copied.cuts == (*ALL.cuts, Cut(sha256="copy", until=1.5, receipt="t"))


def test_a_list_from_before_there_were_cuts_is_read(tmp_path: Path) -> None:
    ALL.write(tmp_path)
    path = tmp_path / suppression.FILE
    value = json.loads(path.read_text())
    del value["cuts"]
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match="is damaged: KeyError at 'cuts'"):
        read_suppression(tmp_path)
    path.write_text(json.dumps({**value, "schema": "personsearch.suppressed/1", "format": 1}))
    assert read_suppression(tmp_path) == Suppression(boxes=ALL.boxes, examples=ALL.examples)
    path.write_text(json.dumps({**value, "format": 3}))
    with pytest.raises(InputError, match="has format version 3, this personsearch reads 1 to 2"):
        read_suppression(tmp_path)
