"""Looking for somebody by several examples: who is left out, in which order, and whether anybody is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from personsearch.errors import InputError, ModelMismatch, UsageError
from personsearch.files import sha256_of
from personsearch.gallery.asking import Sought
from personsearch.gallery.description import Source
from personsearch.gallery.everybody import similarities_to_everybody
from personsearch.gallery.filters import Filter
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import FileState, Ledger
from personsearch.gallery.named import Example, NamedPeople, NamedPerson
from personsearch.gallery.near import add_near
from personsearch.gallery.people import People
from personsearch.gallery.searching import CHOSEN, Asked, Order
from personsearch.gallery.session import Session, read_session, save_as
from personsearch.gallery.terms import Terms
from personsearch.gallery.video import Moment, VideoRows
from personsearch.ranking.calibration import Calibration, SearchFit
from personsearch.ranking.combining import combined
from personsearch.ranking.context import match_in_context
from personsearch.ranking.kreciprocal import KReciprocalRules, rerank
from personsearch.ranking.presence import hit_probabilities, search_evidence
from personsearch.ranking.similarity import similarities
from personsearch.types import Detections, Query

MODEL = "a" * 64
SOMEBODY = Query("query.jpg", [1, 2, 3, 4])
CURVE = Calibration(method="platt", pairs=1000, prior=0.05, slope=8.0, intercept=-5.0)


def outside(vector: np.ndarray, *, right: bool = True, **more) -> Example:
    """An example of a picture that the gallery does not know."""
    return Example(vector=vector, model=MODEL, right=right, picture="", box=[0, 0, 10, 30], **more)


@pytest.fixture
def crowd(new_gallery: Callable, state: Callable) -> Gallery:
    """Eight pictures of three people each, 4 numbers a person; person i has the number i + 1."""
    gallery = new_gallery(dim=4, similarity="cosine", calibration=CURVE)
    rng = np.random.default_rng(8)
    for picture in range(8):
        boxes = np.array([[20 * i, 0, 20 * i + 10, 30] for i in range(3)], np.float32)
        seen = Detections(boxes, [0.9, 0.8, 0.7], rng.standard_normal((3, 4)))
        gallery.add_picture(
            state(gallery, f"{picture}.jpg"), seen, camera="north" if picture < 4 else "south"
        )
    gallery.flush()
    return gallery


def everything(gallery: Gallery):
    people = gallery._newest().people
    return people.detection, people.picture, people.vectors


def numbers(answered) -> list[int]:
    return [hit.detection for hit in answered.result.hits]


EVERYBODY = Asked(k=100, per="person", min_score=0.0)


def test_several_examples_rank_as_their_combination_does(crowd: Gallery) -> None:
    detection, _, vectors = everything(crowd)
    right, wrong = np.random.default_rng(1).standard_normal((2, 2, 4)).astype(np.float32)
    examples = [outside(v) for v in right] + [outside(v, right=False) for v in wrong]
    for some in (examples[:1], examples[:2], examples):
        found = crowd.ask(Sought(name="x", examples=tuple(some)), EVERYBODY)
        query = combined(right[: len([e for e in some if e.right])], wrong if len(some) == 4 else None)
        alike = similarities(query[None], vectors, "cosine")[0]
        assert numbers(found) == detection[np.argsort(-alike, kind="stable")].tolist()
        assert found.ranked == 24


def test_probabilities_are_of_the_mean_pair_and_the_verdict_of_the_best_pictures(crowd: Gallery) -> None:
    detection, picture, vectors = everything(crowd)
    right = np.random.default_rng(2).standard_normal((3, 4)).astype(np.float32)
    sought = Sought(name="x", examples=tuple(outside(v) for v in right))
    found = crowd.ask(sought, EVERYBODY)
    mean = similarities(right, vectors, "cosine").mean(axis=0)
    row = {number: i for i, number in enumerate(detection.tolist())}
    for hit in found.result.hits:
        expected = hit_probabilities(CURVE, mean[[row[hit.detection]]], 24)[0]
        assert hit.probability == pytest.approx(expected, rel=1e-5)
    best = [mean[picture == number].max() for number in np.unique(picture)]
    assert found.judgement is not None
    assert found.judgement.evidence == pytest.approx(search_evidence(CURVE, np.array(best), 24), rel=1e-4)
    for k in (1, 5, 8):  # however many hits are shown, the same verdict
        assert crowd.ask(sought, Asked(k=k, min_score=0.0)).judgement == found.judgement


def test_absence_is_said_where_it_was_measured(crowd: Gallery) -> None:
    _, _, vectors = everything(crowd)
    query = np.array([1.0, 0, 0, 0], np.float32)
    nearest = similarities(query[None], vectors, "cosine").max()
    sought = Sought(name="x", examples=(outside(query),))
    for bar, verdict in ((nearest + 0.001, "likely absent"), (nearest - 0.001, "unsure")):
        crowd.calibration = never_likely(bar)
        assert crowd.ask(sought, Asked(min_score=0.0)).judgement.verdict == verdict
    crowd.calibration = None
    assert crowd.ask(sought, Asked()).judgement is None


def never_likely(absent_below: float, present: tuple[float, float] | None = None) -> Calibration:
    """A calibration by which every hit is improbable, so that the nearest alone decides the verdict."""
    fit = SearchFit(slope=0.0, intercept=-3.0, present=present, absent_below=absent_below, searches=40)
    return replace(CURVE, searches=fit)


def test_nobody_is_not_absent_where_nobody_was_compared(crowd: Gallery) -> None:
    crowd.calibration = never_likely(2.0, present=(0.5, -5.0))
    sought = Sought(name="x", examples=(outside(np.array([1.0, 0, 0, 0])),))
    assert crowd.ask(sought, EVERYBODY).judgement.verdict == "likely absent"
    for where in (Filter(cameras=("nroth",)), Filter(since=0.0), Filter(paths=("none/*",))):
        found = crowd.ask(sought, replace(EVERYBODY, where=where))
        assert (found.ranked, found.judgement.verdict, found.judgement.present) == (0, "unsure", None)
        assert found.strange == where.cameras
    assert crowd.ask(sought, replace(EVERYBODY, where=Filter(cameras=("north",)))).strange == ()


def test_somebody_who_looks_like_one_of_the_examples_is_not_absent(crowd: Gallery) -> None:
    """Two looks of one person: their mean is like neither, and whoever is exactly like one is there."""
    _, _, vectors = everything(crowd)
    look = vectors[7] / np.linalg.norm(vectors[7])
    other = np.array([look[1], -look[0], look[3], -look[2]])  # at a right angle
    crowd.calibration = never_likely(0.95)
    sought = Sought(name="x", examples=(outside(look), outside(other)))
    mean = similarities(np.stack([look, other]), vectors, "cosine").mean(axis=0)
    assert mean.max() < 0.95  # the mean alone would say that nobody is near
    assert crowd.ask(sought, EVERYBODY).judgement.verdict == "unsure"
    apart = replace(EVERYBODY, where=Filter(cameras=("south",)))  # without her
    assert similarities(np.stack([look, other]), vectors[12:], "cosine").max() < 0.95
    assert crowd.ask(sought, apart).judgement.verdict == "likely absent"
    # a wrong example leads the order away, but not what is near the right one
    led = Sought(name="x", examples=(outside(look), outside(look + 0.1 * other, right=False)))
    assert crowd.ask(led, EVERYBODY).judgement.verdict == "unsure"


def test_conditions_make_nobody_more_probable(crowd: Gallery) -> None:
    """The fewer meet a condition, the fewer of the person's appearances do: a hit is worth what it was."""
    query = outside(np.array([0.4, -1.0, 0.3, 0.9]))
    sought = Sought(name="x", examples=(query,))
    for curve in (CURVE, replace(CURVE, searches=SearchFit(slope=0.7, intercept=0.5, present=(0.8, 0.5)))):
        crowd.calibration = curve
        plain = crowd.ask(sought, EVERYBODY)
        chances = {hit.detection: hit.probability for hit in plain.result.hits}
        assert chances == pytest.approx(
            {
                hit.detection: float(hit_probabilities(curve, np.array([hit.similarity]), 24)[0])
                for hit in plain.result.hits
            },
            rel=1e-5,
        )
        for where in (Filter(cameras=("south",)), Filter(paths=("3.jpg",)), Filter(min_height=30.0)):
            asked = replace(EVERYBODY, where=where)
            found = crowd.ask(sought, asked)
            assert found.result.hits
            assert {h.detection: h.probability for h in found.result.hits}.items() <= chances.items()
            assert found.judgement.evidence <= plain.judgement.evidence
            assert (found.judgement.present or 0) <= (plain.judgement.present or 0)
            (same,) = crowd.search_many(
                query.vector[None], [sought.query()], asked, fingerprint=MODEL, exclude_pictures=[None]
            )
            assert [h.probability for h in same.hits] == pytest.approx(
                [h.probability for h in found.result.hits]
            )


@pytest.mark.parametrize("where", ["in its place", "a copy elsewhere", "no file any more"])
def test_a_picture_saved_anew_leaves_out_the_stored_one(
    where: str, crowd: Gallery, state: Callable, pictures: Path, tmp_path: Path
) -> None:
    """A near duplicate of the query's own picture is the query's own picture, too."""
    again = pictures / "again.jpg"
    again.write_bytes(b"saved anew")
    content = sha256_of(again)
    add_near(crowd, state(crowd, "again.jpg", content), 2)
    crowd.flush()
    file = again
    if where != "in its place":
        file = tmp_path / "elsewhere.jpg"
        again.rename(file)
        if where == "no file any more":
            file.unlink()
    example = replace(outside(np.ones(4)), picture=str(file), sha256=content)
    assert set(range(1, 25)) - set(numbers(crowd.ask(Sought(name="x", examples=(example,)), EVERYBODY))) == {
        4,
        5,
        6,
    }
    wrong = replace(example, right=False, box=[20, 0, 30, 30])
    found = numbers(crowd.ask(Sought(name="x", examples=(outside(np.ones(4)), wrong)), EVERYBODY))
    assert set(range(1, 25)) - set(found) == {5}
    if where != "no file any more":
        hits = crowd.search(
            np.ones(4),
            100,
            fingerprint=MODEL,
            query=SOMEBODY,
            per="person",
            min_score=0,
            exclude_picture=file,
        ).hits
        assert set(range(1, 25)) - {hit.detection for hit in hits} == {4, 5, 6}


def test_who_is_left_out_is_found_by_a_few_looks_at_everybody(
    crowd: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many examples there are; and it is whom one look an example finds."""
    detection, picture, _ = everything(crowd)
    looks = []
    real = np.isin
    monkeypatch.setattr(np, "isin", lambda *given, **more: looks.append(1) or real(*given, **more))
    rng = np.random.default_rng(11)
    for _ in range(10):
        several = rng.permutation(24)[:10] + 1
        examples = crowd.examples(several[:6].tolist()) + crowd.examples(several[6:].tolist(), right=False)
        for i in (1, 7):  # by place
            examples[i] = replace(examples[i], detection=None, picture="elsewhere.jpg")
        expected = set()
        for number, example in zip(several.tolist(), examples, strict=True):
            mine = picture == picture[number - 1]
            expected |= set(detection[mine].tolist()) if example.right else {number}
        looks.clear()
        found = numbers(crowd.ask(Sought(name="x", examples=tuple(examples)), EVERYBODY))
        assert set(range(1, 25)) - set(found) == expected
        assert len(looks) <= 3


def test_frames_are_told_apart_where_the_best_are_and_not_everywhere(
    crowd: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    real = np.unique

    def unique(of: np.ndarray, *given: object, **more: object) -> object:
        sizes.extend([np.shape(of)[1]] if np.ndim(of) == 2 else [])
        return real(of, *given, **more)

    monkeypatch.setattr(np, "unique", unique)
    _, _, vectors = everything(crowd)
    sought = Sought(name="x", examples=(outside(np.ones(4)),), context=vectors[:1])
    sizes.clear()
    assert crowd.ask(sought, replace(EVERYBODY, k=1), Order(kind="context", k1=2)).result.hits
    assert 3 <= max(sizes) <= 6  # of two pictures, not of all eight


def test_who_is_known_is_left_out(crowd: Gallery) -> None:
    right, wrong = crowd.examples([5]), crowd.examples([8, 10], right=False)
    found = numbers(crowd.ask(Sought(name="x", examples=(*right, *wrong)), EVERYBODY))
    # 4, 5, 6 are in the picture of the person; 8 and 10 are others, whose neighbours may be the person
    assert set(range(1, 25)) - set(found) == {4, 5, 6, 8, 10}
    found = numbers(crowd.ask(Sought(name="x", examples=(*right, *wrong), own=True), EVERYBODY))
    assert set(range(1, 25)) - set(found) == {8, 10}
    place = [
        replace(e, detection=None, picture="elsewhere.jpg") for e in (*right, *wrong)
    ]  # by content and box
    found = numbers(crowd.ask(Sought(name="x", examples=tuple(place)), EVERYBODY))
    assert set(range(1, 25)) - set(found) == {4, 5, 6, 8, 10}


def test_of_a_video_only_the_tracklet_is_left_out(new_gallery: Callable, state: Callable) -> None:
    gallery = new_gallery(dim=4, similarity="cosine")
    boxes = np.array([[0, 0, 10, 30], [20, 0, 30, 30]], np.float32)
    seen = Detections(boxes, [0.9, 0.8], np.eye(4)[:2])
    video = VideoRows(gallery, state(gallery, "v.mp4"), sampling="all", camera=None)
    for frame, tracklets in ((0, [0, 1]), (1, [0, 2]), (2, [3, 1])):
        moment = Moment(pts=frame, time_base=Fraction(1), position=float(frame))
        video.add(moment, seen, np.array(tracklets))
    video.finish()
    gallery.add_picture(state(gallery, "b.jpg"), seen)
    gallery.flush()

    def left_out(*examples: Example) -> set[int]:
        sought = Sought(name="x", examples=(*examples, outside(np.ones(4))))
        return set(range(1, 9)) - set(numbers(gallery.ask(sought, EVERYBODY)))

    assert left_out(*gallery.examples([1])) == {1, 3}  # tracklet 0; 5 is somebody else in the same place
    assert left_out(*gallery.examples([2])) == {2, 6}  # tracklet 1, seen again two frames later
    assert left_out(*gallery.examples([4, 5])) == {4, 5}
    assert left_out(*gallery.examples([1], right=False)) == {1}


def test_k_reciprocal_is_that_of_the_ranking_room(crowd: Gallery) -> None:
    detection, _, vectors = everything(crowd)
    query = np.array([0.4, -1.0, 0.3, 0.9], np.float32)
    sought = Sought(name="x", examples=(outside(query),))
    alike = similarities(query[None], vectors, "cosine")[0]
    for top in (10, 24):
        rules = KReciprocalRules(top=top, k1=5, k2=2)
        found = numbers(crowd.ask(sought, EVERYBODY, Order(kind="k-reciprocal", rules=rules)))
        best, _ = rerank(query, vectors, alike, "cosine", rules)
        plain = np.argsort(-alike, kind="stable")
        rest = [row for row in plain.tolist() if row not in set(best.tolist())]
        assert found == detection[[*best.tolist(), *rest]].tolist()
        assert found != detection[plain].tolist()
    per = crowd.ask(sought, Asked(k=8, min_score=0.0), Order(kind="k-reciprocal", rules=rules))
    assert len({hit.picture for hit in per.result.hits}) == 8


def test_context_is_that_of_the_ranking_room(crowd: Gallery) -> None:
    detection, picture, vectors = everything(crowd)
    rng = np.random.default_rng(3)
    query, others = rng.standard_normal(4).astype(np.float32), rng.standard_normal((2, 4)).astype(np.float32)
    sought = Sought(name="x", examples=(outside(query),), context=others)
    found = numbers(crowd.ask(sought, EVERYBODY, Order(kind="context", k1=4, k2=3)))
    alike = similarities(query[None], vectors, "cosine")[0]
    revised = match_in_context(alike, picture, vectors, np.vstack([query[None], others]), k1=4, k2=3)
    assert found == detection[np.argsort(-revised, kind="stable")].tolist()
    assert found != detection[np.argsort(-alike, kind="stable")].tolist()


def test_companions_of_a_hit_are_the_gallerys(crowd: Gallery) -> None:
    _, _, vectors = everything(crowd)
    hit = crowd.examples([5])
    given = Sought(name="x", examples=tuple(hit), context=vectors[[3, 5]])
    order = Order(kind="context", k1=4)
    by_itself = crowd.ask(Sought(name="x", examples=tuple(hit)), EVERYBODY, order)
    assert numbers(by_itself) == numbers(crowd.ask(given, EVERYBODY, order))
    with pytest.raises(UsageError, match="no context"):
        crowd.ask(Sought(name="x", examples=(outside(vectors[0]),)), EVERYBODY, order)


def test_who_meets_the_conditions_is_remembered_while_nobody_writes(
    crowd: Gallery, state: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    real = People.meeting
    monkeypatch.setattr(People, "meeting", lambda *given: looks.append(1) or real(*given))

    def south() -> list[int]:
        where = Filter(cameras=("south",), paths=("7.jpg", "8.jpg"))
        asked = replace(EVERYBODY, where=where)
        (found,) = crowd.search_many(np.ones((1, 4)), [SOMEBODY], asked, fingerprint=MODEL)
        everybody = similarities_to_everybody(crowd, np.ones(4), asked, fingerprint=MODEL)
        assert len(everybody) == len(found.hits)
        return sorted(hit.detection for hit in found.hits)

    assert south() == south() == [22, 23, 24]
    assert len(looks) == 2  # with the conditions and without, once each
    seen = Detections([[0, 0, 10, 30]], [0.9], np.ones((1, 4)))
    crowd.add_picture(state(crowd, "8.jpg"), seen, camera="south")
    crowd.flush()
    assert south() == [22, 23, 24, 25]
    for score in np.linspace(0, 1, 3 * CHOSEN).tolist():
        crowd.search(np.ones(4), fingerprint=MODEL, query=SOMEBODY, min_score=score)
        assert len(crowd._newest().chosen) <= CHOSEN


def test_paths_of_hits_are_remembered_and_never_old(
    crowd: Gallery, state: Callable, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(gallery: Gallery, **where: tuple[str, ...]) -> set[str]:
        asked = replace(EVERYBODY, where=Filter(**where))
        (answer,) = gallery.search_many(np.ones((1, 4)), [SOMEBODY], asked, fingerprint=MODEL)
        return {hit.picture for hit in answer.hits}

    def slow(gallery: Gallery) -> set[str]:
        live = [entry for entry in gallery.entries() if entry.state == "done" and entry.people]
        return {str(gallery.file(gallery.entries_of(entry)[0].place)) for entry in live}

    with Gallery.open(crowd.path) as reader:
        assert found(crowd) == found(crowd) == slow(crowd) == found(reader) == found(reader)
        asked = []
        real = Ledger.first_of
        with monkeypatch.context() as patch:
            patch.setattr(Ledger, "first_of", lambda *given: asked.append(1) or real(*given))
            assert found(reader) == slow(reader)
            assert asked == []
        # the same picture at another place, which comes first
        crowd.add_place(state(crowd, "00.jpg", "sha of 3.jpg"), crowd.picture_of("sha of 3.jpg"))
        crowd.flush()
        assert found(crowd) == found(reader) == slow(crowd)
        assert str(pictures / "00.jpg") in found(reader)
        assert found(reader, paths=("3.jpg",)) == {str(pictures / "3.jpg")}
        assert found(reader) == slow(crowd)
        with monkeypatch.context() as patch:  # gallery and pictures are moved together
            patch.setattr(Source, "folder", lambda *_: tmp_path / "moved")
            assert found(reader) == slow(reader)
            assert all(path.startswith(str(tmp_path / "moved")) for path in found(reader))
        crowd.add_source(tmp_path / "more")
        place = crowd.place(tmp_path / "more" / "x.jpg")
        seen = Detections([[0, 0, 10, 30]], [0.9], np.ones((1, 4)))
        crowd.add_picture(FileState(place=place, size=1, mtime_ns=1, sha256="x"), seen)
        crowd.flush()
        assert found(crowd) == found(reader) == slow(crowd)
        assert str(tmp_path / "more" / "x.jpg") in found(reader)


def test_conditions_hold_in_every_order(crowd: Gallery) -> None:
    sought = Sought(name="x", examples=tuple(crowd.examples([5])))
    asked = replace(EVERYBODY, where=Filter(cameras=("south",)))
    for order in (Order(), Order(kind="k-reciprocal"), Order(kind="context")):
        found = crowd.ask(sought, asked, order)
        assert sorted(numbers(found)) == list(range(13, 25))
        assert found.ranked == 12


def test_nobody_at_all_is_an_answer_in_every_order(crowd: Gallery) -> None:
    sought = Sought(name="x", examples=tuple(crowd.examples([5])))
    for order in (Order(), Order(kind="k-reciprocal"), Order(kind="context")):
        found = crowd.ask(sought, replace(EVERYBODY, where=Filter(cameras=("nowhere",))), order)
        assert (found.result.hits, found.ranked) == ((), 0)
        assert found.judgement is not None
        assert found.judgement.verdict == "unsure"


def test_another_models_examples_and_nobodys_numbers(crowd: Gallery) -> None:
    with pytest.raises(InputError, match="no example by model"):
        crowd.ask(Sought(name="x", examples=(replace(outside(np.ones(4)), model="b" * 64),)), EVERYBODY)
    with pytest.raises(InputError, match="has the number 99"):
        crowd.examples([1, 99])


def test_a_session_goes_on_without_those_who_were_forgotten(crowd: Gallery, tmp_path) -> None:
    path = tmp_path / "s.json"
    examples = (*crowd.examples([5, 8]), *crowd.examples([10], right=False))
    person = NamedPerson(name="x", examples=examples, shown=(1, 2, 8))
    asked = Asked(
        k=7, per="person", min_score=0.25, where=Filter(cameras=("north",), min_height=3.0), exact=False
    )
    order = Order(kind="k-reciprocal", rules=KReciprocalRules(top=9, weight=0.5))
    terms = Terms(asked=asked, order=order, own=True)
    Session(person=person, model=MODEL, terms=terms, saved="Ana").write(path)
    back, gone = read_session(path, crowd)
    assert (back.terms, back.saved, gone) == (terms, "Ana", 0)
    assert back.person.to_json() == person.to_json()
    crowd.forget([8, 10])
    back, gone = read_session(path, crowd)
    assert [e.detection for e in back.person.examples] == [5]
    assert (gone, back.person.shown) == (2, (1, 2, 0))  # the third rank is nobody's now
    crowd.forget([5])
    with pytest.raises(InputError, match="nobody is left"):
        read_session(path, crowd)


def test_an_example_kept_out_by_place_leaves_a_session(crowd: Gallery, tmp_path) -> None:
    path = tmp_path / "s.json"
    place = replace(crowd.examples([5])[0], detection=None)
    person = NamedPerson(name="x", examples=(place, outside(np.ones(4))))
    Session(person=person, model=MODEL).write(path)
    crowd.forget([5])
    assert [e.picture for e in read_session(path, crowd)[0].person.examples] == [""]


def test_a_session_of_before_orders_were_kept(crowd: Gallery, tmp_path) -> None:
    path = tmp_path / "s.json"
    person = NamedPerson(name="x", examples=(outside(np.ones(4)),))
    Session(person=person, model=MODEL, terms=Terms(asked=Asked(k=3))).write(path)
    value = json.loads(path.read_text())
    del value["order"]
    path.write_text(json.dumps(value))
    assert read_session(path, crowd)[0].terms == Terms(asked=Asked(k=3))
    for order in ({"kind": "best"}, {"kind": "context", "k1": 0}, {"kin": "context"}, "context"):
        path.write_text(json.dumps({**value, "order": order}))
        with pytest.raises(InputError, match="is no session"):
            read_session(path, crowd)


def test_an_answer_says_on_which_terms_it_can_be_had_again(crowd: Gallery) -> None:
    _, _, vectors = everything(crowd)
    asked = replace(EVERYBODY, k=5, where=Filter(cameras=("south",)))
    order = Order(kind="context", k1=4)
    by_hit = Sought(name="x", examples=tuple(crowd.examples([5])), own=True)
    found = crowd.ask(by_hit, asked, order)
    assert found.terms == Terms(asked=asked, order=order, own=True)
    again = crowd.ask(by_hit, found.terms.asked, found.terms.order)
    assert numbers(again) == numbers(found)
    # who is beside the person in a picture of one's own is nobody's to keep
    lost = crowd.ask(Sought(name="x", examples=(outside(np.ones(4)),), context=vectors[:2]), asked, order)
    assert lost.terms == Terms(asked=asked)


def test_a_saved_person_keeps_the_terms_with_what_was_shown(crowd: Gallery) -> None:
    terms = Terms(asked=Asked(k=3, where=Filter(paths=("*.jpg",))), own=True)
    person = NamedPerson(name="x", examples=tuple(crowd.examples([5, 8])), shown=(9, 1), terms=terms)
    save_as(crowd, "Ana", person)
    crowd.forget([9])
    kept = NamedPeople(crowd.path).load("Ana")
    assert (kept.shown, kept.terms) == ((0, 1), terms)
    save_as(crowd, "Ana", NamedPerson(name="x", examples=tuple(crowd.examples([10])), shown=kept.shown))
    assert NamedPeople(crowd.path).load("Ana").terms == terms  # who is added changes no search
    assert "terms" not in NamedPerson(name="x").to_json()


def test_sessions_that_are_none(crowd: Gallery, tmp_path) -> None:
    path = tmp_path / "s.json"
    with pytest.raises(InputError, match="no session"):
        read_session(path, crowd)
    for text in ("{", "[]", "{}", '{"schema": "personsearch.session/1"}'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"s\.json"):
            read_session(path, crowd)
    Session(person=NamedPerson(name="x", examples=(outside(np.ones(4)),)), model="b" * 64).write(path)
    with pytest.raises(ModelMismatch):
        read_session(path, crowd)


def test_saving_leaves_out_who_was_forgotten_meanwhile(crowd: Gallery) -> None:
    person = NamedPerson(name="x", examples=tuple(crowd.examples([5, 8])), shown=(8, 9))
    crowd.forget([8])
    saved = save_as(crowd, "Ana", person)
    assert [e.detection for e in saved.examples] == [5]
    assert NamedPeople(crowd.path).load("Ana").shown == (0, 9)  # the first rank is nobody's now
    crowd.forget([5])
    with pytest.raises(InputError, match="nobody is left"):
        save_as(crowd, "Ben", person)
    assert NamedPeople(crowd.path).names() == []
