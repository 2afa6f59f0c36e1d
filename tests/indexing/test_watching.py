"""A watch tells of named people once, whatever happens in between."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personsearch.errors import InputError, LockedError
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.named import Example, NamedPeople, NamedPerson
from personsearch.indexing.watch_state import WatchState
from personsearch.indexing.watching import Bar, Crowd, Lookout, Named, load_named
from personsearch.ranking.calibration import Calibration

ANA, BEN = np.array([1, 0, 0], np.float32), np.array([0, 1, 0], np.float32)
CURVE = Calibration(method="isotonic", pairs=40, prior=0.5, similarities=(0.0, 1.0), probabilities=(0.0, 1.0))


def both(calibration=None) -> Named:
    vectors = np.stack([ANA, BEN])
    return Named(
        names=("Ana", "Ben"),
        vectors=vectors,
        examples=(vectors[:1], vectors[1:]),
        kind="cosine",
        calibration=calibration,
    )


def crowd(*looks, clock=0.0, source="cam", tracklets=None) -> Crowd:
    numbers = None if tracklets is None else np.array(tracklets, np.int64)
    table = np.array(looks, np.float32).reshape(-1, 3)
    return Crowd(embeddings=table, source=source, clock=clock, tracklets=numbers)


@pytest.fixture
def lookout(tmp_path: Path):
    with WatchState(tmp_path / "w.jsonl") as state:
        yield Lookout(named=both(), bar=Bar(similarity=0.8), state=state, quiet=10.0)


def told(lookout: Lookout, *crowds: Crowd) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    for one in crowds:
        lookout.news(one, lambda match, c=one: found.append((c.clock, match.person)))
    return found


def test_who_is_alike_enough_and_only_the_most_alike(lookout: Lookout) -> None:
    found = lookout.matches(crowd([0.9, 0.1, 0], [5, 0, 0], [0, 0, 1], tracklets=[4, 5, 6]))
    assert [(m.person, m.row, m.tracklet, m.similarity) for m in found] == [("Ana", 1, 5, 1.0)]
    assert lookout.matches(crowd()) == []
    lookout.bar = Bar(similarity=-1)
    assert {m.person for m in lookout.matches(crowd([1, 1, 0]))} == {"Ana", "Ben"}


def test_the_bar_may_be_a_probability(lookout: Lookout) -> None:
    lookout.named = both(CURVE)
    lookout.bar = Bar(probability=0.5)
    (match,) = lookout.matches(crowd([1, 0.1, 0]))
    # odds of s : 1 - s at even chances become 49 times smaller at 2 of 100
    odds = match.similarity / (1 - match.similarity) / 49
    assert match.probability == pytest.approx(odds / (1 + odds), rel=1e-3)
    assert lookout.matches(crowd([1, 0.6, 0])) == []
    # of several examples it is the mean similarity that was calibrated
    lookout.named = replace(lookout.named, examples=(np.stack([ANA, BEN]), lookout.named.examples[1]))
    lookout.bar = Bar(similarity=0.8)
    (match,) = lookout.matches(crowd([1, 0, 0]))
    assert match.similarity == 1.0
    assert match.probability == pytest.approx(1 / 50)  # a similarity of 0.5 says nothing
    assert not Bar(probability=0.5).passes(np.array([1.0]), None)[0]  # nothing is probable without a curve


def test_one_way_past_a_camera_is_told_once(lookout: Lookout) -> None:
    here = [crowd([1, 0, 0], clock=t, tracklets=[3]) for t in (0.0, 1.0, 60.0)]
    assert told(lookout, *here) == [(0.0, "Ana")]
    # another tracklet soon after is the same stay, behind a pillar; after the quiet time it is news
    assert told(lookout, crowd([1, 0, 0], clock=65.0, tracklets=[4])) == []
    assert told(lookout, crowd([1, 0, 0], clock=76.0, tracklets=[5])) == [(76.0, "Ana")]
    assert told(lookout, crowd([1, 0, 0], clock=76.0, source="other", tracklets=[5])) == [(76.0, "Ana")]


def test_pictures_without_tracklets_are_told_again_after_the_quiet_time(lookout: Lookout) -> None:
    shots = [crowd([1, 0, 0], clock=t) for t in (0.0, 9.0, 18.0, 27.0, 40.0, 35.0)]
    assert told(lookout, *shots) == [(0.0, "Ana"), (40.0, "Ana")]  # each shot within 10 s of the one before
    lookout.quiet = 0.0
    assert told(lookout, *shots[:2]) == [(0.0, "Ana"), (9.0, "Ana")]


def test_what_was_told_survives(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    with WatchState(path) as state:
        lookout = Lookout(named=both(), bar=Bar(similarity=0.8), state=state, quiet=10.0)
        told(lookout, crowd([1, 0, 0], clock=5.0, tracklets=[0]), crowd([1, 0, 0], clock=20.0, tracklets=[0]))
        state.looked_at("/a\udce9.mp4", 7, 9)
        state.looked_through([(1, 4)], [(1, 7), (9, 9)])
    for _ in range(2):  # reading it writes it anew
        with WatchState(path) as state:
            again = Lookout(named=both(), bar=Bar(similarity=0.8), state=state, quiet=10.0)
            assert told(again, crowd([1, 0, 0], clock=999.0, tracklets=[0])) == []
            assert state.last_seen("Ana", "cam") is not None
            assert state.has_looked_at("/a\udce9.mp4", 7, 9)
            assert not state.has_looked_at("/a\udce9.mp4", 8, 9)
            assert (state.pictures, state.people) == ([(1, 4)], [(1, 7), (9, 9)])


def test_who_was_forgotten_is_forgotten_here_too(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    with WatchState(path) as state:
        state.told("Ana", "cam", 1, 0.0)
        state.told("Ben", "cam", 2, 0.0)
    with WatchState(path, ["Ben"]):
        pass
    assert b"Ana" not in path.read_bytes()
    with WatchState(path) as state:
        assert state.was_told("Ben", "cam", 2)


def test_an_alert_is_remembered_after_it_was_told_never_before(tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def die(match: object) -> None:
        raise Killed

    path = tmp_path / "w.jsonl"
    with pytest.raises(Killed), WatchState(path) as state:
        Lookout(named=both(), bar=Bar(similarity=0.8), state=state).news(crowd([1, 0, 0]), die)
    with WatchState(path) as state:
        assert told(Lookout(named=both(), bar=Bar(similarity=0.8), state=state), crowd([1, 0, 0])) == [
            (0.0, "Ana")
        ]


def test_a_kill_at_any_byte_loses_the_last_line_at_most(tmp_path: Path) -> None:
    path = tmp_path / "w.jsonl"
    with WatchState(path) as state:
        for number in range(3):
            state.told("Ana", "cam", number, float(number))
    content = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(content) if byte == 10]
    for cut in range(ends[0], len(content) + 1):
        path.write_bytes(content[:cut])
        with WatchState(path) as state:
            whole = sum(end <= cut for end in ends) - 1
            assert [state.was_told("Ana", "cam", n) for n in range(3)] == [n < whole for n in range(3)]


@pytest.mark.parametrize(
    "content", [b"x", b"x\n", b"[]\n", b'{"schema": "personsearch.watch/1", "format": 2}\n', b"\xff\n" * 3]
)
def test_another_file_is_not_taken_for_a_memory_nor_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="no memory of a watch"):
        WatchState(path)
    assert path.read_bytes() == content


def test_one_watch_at_a_time(tmp_path: Path) -> None:
    with WatchState(tmp_path / "w.jsonl"), pytest.raises(LockedError):
        WatchState(tmp_path / "w.jsonl")
    with WatchState(tmp_path / "w.jsonl"):
        pass


@given(
    st.lists(
        st.tuples(st.floats(0, 3), st.sampled_from([None, 0, 1]), st.booleans()), min_size=1, max_size=25
    )
)
def test_nobody_is_told_twice_within_the_quiet_time_and_nobody_new_is_missed(steps) -> None:
    """Against a slow telling of the rule: told, unless this way was, or seen less than 2 s ago."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder, WatchState(Path(folder) / "w") as state:
        lookout = Lookout(named=both(), bar=Bar(similarity=0.8), state=state, quiet=2.0)
        clock, seen, ways = 0.0, None, set()
        for wait, tracklet, there in steps:
            clock += wait
            look = [1, 0, 0] if there else [0, 0, 1]
            numbers = None if tracklet is None else [tracklet]
            got = told(lookout, crowd(look, clock=clock, tracklets=numbers))
            new = there and tracklet not in ways and (seen is None or clock - seen >= 2.0)
            assert bool(got) == new
            if there:
                seen = clock
            if new and tracklet is not None:
                ways.add(tracklet)


def example(vector, model="m", right=True) -> Example:
    return Example(vector=vector, model=model, right=right, picture="a.jpg", box=np.array([0, 0, 1, 1]))


def test_named_people_of_a_gallery(tmp_path: Path) -> None:
    with Gallery.create(tmp_path / "g", "m", 3, "cosine"):
        pass
    with Gallery.open(tmp_path / "g") as gallery:
        with pytest.raises(InputError, match="nobody to watch for"):
            load_named(gallery)
        people = NamedPeople(tmp_path / "g")
        people.change("Ana", lambda _: NamedPerson(name="Ana", examples=(example(ANA),)))
        people.change("Old", lambda _: NamedPerson(name="Old", examples=(example(BEN, "older"),)))
        said: list[str] = []
        named = load_named(gallery, complain=said.append)
        assert named.names == ("Ana",)
        assert named.vectors.tolist() == [ANA.tolist()]
        assert len(said) == 1
        assert "Old" in said[0]
        with pytest.raises(InputError, match="Old has no example"):
            load_named(gallery, ["Old"])
        with pytest.raises(InputError, match="nobody called Eve"):
            load_named(gallery, ["Eve"])
    json.loads((tmp_path / "g" / "named" / "Ana.json").read_text())
