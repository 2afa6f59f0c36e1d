"""The ledger in memory against a slow one that keeps nothing but the last entry of each place."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.gallery.ledger import SCHEMA, Entry, Ledger, Place, to_rows


def entry(
    path: str, state: str = "done", picture: int | None = None, people: int = 0, **more: object
) -> Entry:
    sha = f"sha {picture}" if picture is not None else "unread"
    known = {"source": 0, "path": path, "size": 5, "mtime_ns": 7, "sha256": sha, "people": people}
    return Entry(**known, state=state, picture=picture, **more)


def test_worked_by_hand() -> None:
    ledger = Ledger()
    assert ledger.put(entry("b.jpg", picture=1, people=3)) is None
    assert ledger.put(entry("a/z.jpg", picture=1, people=3)) is None
    assert ledger.live() == {1: 3}
    assert ledger.place_of(1) == Place(0, "a/z.jpg")
    assert ledger.put(entry("a/z.jpg", picture=2, people=1)) is None  # b.jpg still has picture 1
    assert ledger.put(entry("b.jpg", "failed", error="broken", stage="decode")) == 1
    assert (ledger.live(), ledger.picture_of("sha 1"), ledger.known().tolist()) == ({2: 1}, None, [2])
    assert ledger.put(entry("a/z.jpg", "missing", picture=2, people=1)) is None
    assert (ledger.live(), ledger.picture_of("sha 2"), ledger.is_live(2)) == ({}, 2, False)
    assert ledger.newest_picture == 2


def test_rows_of_the_table_give_the_same_entries() -> None:
    entries = [
        entry("ümlaut/日本.jpg", picture=4, people=2),
        entry("f.jpg", "failed", stage="decode", error='it\'s "broken"', attempts=3),
        entry("m.jpg", "missing", recorded=12.5),
    ]
    table = to_rows(entries)
    assert table.schema == SCHEMA
    assert list(Ledger.from_batches(table.to_batches())) == entries
    assert list(Ledger.from_batches(pa.Table.from_batches([], SCHEMA).to_batches())) == []


steps = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["done", "failed", "missing"]), st.integers(1, 4)),
    max_size=30,
)


@given(steps)
@settings(max_examples=100, deadline=None)
def test_agrees_with_a_slow_ledger(steps: list[tuple[str, str, int]]) -> None:
    ledger, last = Ledger(), {}
    for path, state, picture in steps:
        before = {e.picture for e in last.values()} - {None}
        last[path] = entry(path, state, None if state == "failed" else picture, people=picture)
        now = {e.picture for e in last.values()} - {None}
        lost = before - now
        assert ledger.put(last[path]) == (lost.pop() if lost else None)
        live = {e.picture: e.people for e in last.values() if e.state == "done"}
        assert ledger.live() == live
        assert ledger.known().tolist() == sorted(now)
        assert {p: ledger.picture_of(f"sha {p}") for p in range(1, 5)} == {
            p: p if p in now else None for p in range(1, 5)
        }
        for number in now:
            assert ledger.first_of(number) is ledger.entry_of(number)
            assert ledger.followed_by([]).first_of(number) is ledger.entry_of(number)
            places = [e.place for e in last.values() if e.picture == number and e.state == "done"]
            assert ledger.is_live(number) == bool(places)
            if places:
                assert ledger.place_of(number) == min(places)


def test_asked_by_one_thread_while_another_writes() -> None:
    """Threads that read ahead ask about a picture while the writer gives it one more place."""
    ledger = Ledger()
    done = {"size": 9, "mtime_ns": 0, "sha256": "ab", "state": "missing", "picture": 1, "people": 2}
    ledger.put(Entry(source=0, path="a.jpg", **done))
    ledger.put(Entry(source=0, path="b.jpg", **done))

    class Interrupted(dict):
        """A dictionary in which the other thread comes to its turn at every look."""

        def __getitem__(self, place: Place) -> Entry:
            dict.__setitem__(
                self, new := Place(0, f"{len(self)}.jpg"), Entry(source=0, path=new.path, **done)
            )
            ledger._places[1].add(new)
            return dict.__getitem__(self, place)

    ledger._entries = Interrupted(ledger._entries)
    assert not ledger.is_live(1)
    assert len(ledger.entries_of(1)) > 2
    assert ledger.entry_of(1).people == 2
    with pytest.raises(KeyError):
        ledger.entry_of(7)


def test_what_a_picture_saved_anew_shows() -> None:
    near = {"source": 0, "size": 5, "mtime_ns": 7, "state": "near"}
    ledger = Ledger([entry("a.jpg", picture=3), Entry(**near, path="b.jpg", sha256="anew", like=3)])
    ledger.put(Entry(**near, path="c.jpg", sha256="anew", like=3))
    assert (ledger.shown_by("sha 3"), ledger.shown_by("anew"), ledger.shown_by("other")) == (3, 3, None)
    assert ledger.picture_of("anew") is None  # it is not stored
    later = ledger.followed_by(to_rows([entry("b.jpg", "failed")]).to_batches())
    assert later.shown_by("anew") == 3  # by c.jpg
    later.put(entry("c.jpg", picture=4))
    assert (later.shown_by("anew"), ledger.shown_by("anew")) == (None, 3)
    ledger.put(Entry(**{**near, "state": "done"}, path="d.jpg", sha256="anew", picture=9))
    assert ledger.shown_by("anew") == 9  # stored by now: its own people


def test_the_number_of_what_a_copy_is_like_is_not_given_again() -> None:
    ledger = Ledger([entry("a.jpg", picture=8)])
    ledger.put(Entry(source=0, path="b.jpg", size=5, mtime_ns=7, sha256="anew", state="near", like=8))
    ledger.put(entry("a.jpg", "failed"))
    again = Ledger(list(ledger))
    assert (again.known().tolist(), again.newest_picture) == ([], 8)
