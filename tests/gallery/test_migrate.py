"""Another model takes over: the old answers until the new is whole, through deaths and changes meanwhile."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from personsearch.errors import InputError, ModelMismatch, PersonSearchError
from personsearch.files import sha256_of
from personsearch.gallery import batch
from personsearch.gallery import migrate as module
from personsearch.gallery.audit import AuditLog
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import FileState, Place
from personsearch.gallery.migrate import abandon, migrate
from personsearch.gallery.named import NamedPerson
from personsearch.gallery.session import save_as
from personsearch.gallery.side import FILE
from personsearch.gallery.verify import verify
from personsearch.ranking.calibration import Calibration
from personsearch.types import Array, Detections, Picture, Query

OLD, NEW = "a" * 64, "b" * 64
SOMEBODY = Query("query.jpg", [1, 2, 3, 4])


class Other:
    """Describes a person by the first byte of the picture and the left side of the box."""

    fingerprint, dim, similarity = NEW, 2, "euclidean"

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.breaks_on: set[str] = set()

    def embed(self, picture: Picture, boxes: Array) -> Array:
        self.seen.append(picture.name)
        if picture.name in self.breaks_on:
            raise RuntimeError("no\nidea")
        return np.array([[picture.pixels[0, 0, 0], box[0]] for box in boxes], np.float32)


def load(file: Path, frame: int | None, position: float | None = None) -> Picture:
    """A picture whose only pixel is the file's first byte (and the frame)."""
    pixels = np.full((1, 1, 3), file.read_bytes()[0] + (frame or 0), np.uint8)
    return Picture(pixels, file.name, file)


def add(gallery: Gallery, file: Path, content: bytes, people: int, frame: int | None = None) -> None:
    file.write_bytes(content)
    place = gallery.place(file)
    assert place is not None
    state = FileState(place=place, size=len(content), mtime_ns=1, sha256=sha256_of(file))
    boxes = [[20 * i, 0, 20 * i + 10, 30] for i in range(people)]
    vectors = np.arange(gallery.dim * people).reshape(people, gallery.dim) + 100 * content[0]
    gallery.add_picture(state, Detections(boxes, np.full(people, 0.9), vectors), camera="c", frame=frame)


@pytest.fixture
def gallery(new_gallery: Callable, pictures: Path) -> Path:
    """Pictures 1 to 5, of 0 to 4 people, and a copy of the last."""
    with new_gallery() as gallery:
        for number in range(1, 6):
            add(gallery, pictures / f"{number}.jpg", bytes([number]), number - 1)
        (pictures / "copy.jpg").write_bytes(bytes([5]))
        place = gallery.place(pictures / "copy.jpg")
        assert place is not None
        state = FileState(place=place, size=1, mtime_ns=1, sha256=sha256_of(pictures / "5.jpg"))
        number = gallery.picture_of(state.sha256)
        assert number is not None
        gallery.add_place(state, number)
        gallery.add_failure(FileState(place=Place(0, "broken.jpg"), size=1, mtime_ns=1), "decode", "broken")
    return gallery.path


def answers(path: Path, model: str, dim: int) -> list[tuple[int, str, list[float]]]:
    with Gallery.open(path) as opened:
        hits = opened.search(np.zeros(dim), 99, fingerprint=model, query=SOMEBODY, per="person").hits
        return sorted((hit.detection, Path(hit.picture).name, hit.box.tolist()) for hit in hits)


def test_everybody_is_described_anew_in_the_same_boxes(gallery: Path) -> None:
    before = answers(gallery, OLD, 3)
    curve = Calibration(
        method="isotonic", pairs=10, prior=0.5, similarities=(-10.0, 0.0), probabilities=(0.0, 1.0)
    )
    report = migrate(gallery, Other(), load, calibration=curve)
    assert (report.finished, report.pictures, report.people, report.kept) == (True, 5, 10, 0)
    assert (report.before, report.after, report.failures) == (OLD, NEW, ())
    assert answers(gallery, NEW, 2) == before
    with Gallery.open(gallery, writable=True) as opened:
        assert (opened.fingerprint, opened.dim, opened.similarity) == (NEW, 2, "euclidean")
        assert opened.calibration == curve
        hit = opened.search(np.array([5.0, 40.0]), 1, fingerprint=NEW, query=SOMEBODY).hits[0]
        assert (hit.similarity, hit.box.tolist(), hit.camera) == (0.0, [40, 0, 50, 30], "c")
        with pytest.raises(ModelMismatch):
            opened.search(np.zeros(3), fingerprint=OLD, query=SOMEBODY)
        failed = [entry for entry in opened.entries() if entry.state == "failed"]
        assert [entry.path for entry in failed] == ["broken.jpg"]
        add(opened, opened.file(Place(0, "9.jpg")), bytes([9]), 1)
    assert verify(gallery).findings == ()
    assert not (gallery / FILE).exists()
    assert not (gallery / "people.lance").exists()
    assert [record["action"] for record in AuditLog(gallery).records()] == ["migrate"]
    assert len(answers(gallery, NEW, 2)) == 11
    with pytest.raises(InputError, match="this very model"):
        migrate(gallery, Other(), load)


def test_a_picture_that_fails_leaves_the_old_model_in_place(gallery: Path, pictures: Path) -> None:
    before = answers(gallery, OLD, 3)
    (pictures / "2.jpg").write_bytes(b"changed")
    (pictures / "5.jpg").unlink()  # its copy is still there
    model = Other()
    model.breaks_on = {"4.jpg"}
    report = migrate(gallery, model, load)
    assert not report.finished
    assert [(Path(f.path).name, f.stage) for f in report.failures] == [
        ("2.jpg", "decode"),
        ("4.jpg", "embed"),
    ]
    assert report.failures[1].error == "RuntimeError: no idea"
    assert answers(gallery, OLD, 3) == before
    model.seen.clear()
    model.breaks_on.clear()
    again = migrate(gallery, model, load)
    assert (again.kept, again.pictures, len(again.failures), model.seen) == (3, 1, 1, ["4.jpg"])
    last = migrate(gallery, model, load, leave_out_failed=True)
    assert last.finished
    assert {name for _, name, _ in answers(gallery, NEW, 2)} == {"3.jpg", "4.jpg", "5.jpg"}
    with Gallery.open(gallery) as opened:
        (lost,) = [entry for entry in opened.entries() if entry.stage == "migrate"]
        assert (lost.path, lost.state, lost.size) == ("2.jpg", "failed", -1)
    assert verify(gallery).findings == ()


def test_who_is_left_out_keeps_the_number_and_what_the_new_model_cannot_use_is_said(
    gallery: Path, pictures: Path
) -> None:
    with Gallery.open(gallery, writable=True) as opened:
        save_as(opened, "Ana", NamedPerson(name="Ana", examples=tuple(opened.examples([2]))))
        opened.forget([1], keep_examples=-0.5)
    model = Other()
    model.breaks_on = {"5.jpg", "copy.jpg"}  # the newest four
    report = migrate(gallery, model, load, leave_out_failed=True)
    assert (report.finished, report.kept_examples, report.saved_people) == (True, 1, 1)
    with Gallery.open(gallery, writable=True) as opened:
        add(opened, pictures / "6.jpg", bytes([6]), 1)
        opened.flush()
        assert [person.detection for person in opened.stored(range(20))] == [2, 3, 4, 5, 6, 11]


@pytest.mark.parametrize("dies_at", ["described", "final ledger", "description", "audit", "cleaning"])
def test_killed_it_goes_on(dies_at: str, gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "FILES", 2)
    before = answers(gallery, OLD, 3)

    def death(*_: object, **__: object) -> None:
        raise SystemExit

    model = Other()
    with monkeypatch.context() as patch:
        if dies_at == "described":
            real = model.embed
            patch.setattr(
                model, "embed", lambda p, b: death() if len(model.seen) == 3 else real(p, b), raising=False
            )
        else:
            target = {
                "final ledger": (module.Table, "rewrite"),
                "description": (module.Description, "write"),
                "audit": (AuditLog, "append"),
                "cleaning": (module, "remove_leftovers"),
            }[dies_at]
            patch.setattr(*target, death)
        with pytest.raises(SystemExit):
            migrate(gallery, model, load)
    taken_over = dies_at in ("audit", "cleaning")
    assert verify(gallery).right
    assert answers(gallery, NEW if taken_over else OLD, 2 if taken_over else 3) == before
    if taken_over:
        Gallery.open(gallery, writable=True).close()  # clears the old tables away
        assert not (gallery / "people.lance").exists()
        assert not (gallery / FILE).exists()
        assert [record["action"] for record in AuditLog(gallery).records()] == ["migrate"]
    else:
        model.seen.clear()
        report = migrate(gallery, model, load)
        assert report.finished
        assert report.kept >= 2
        assert report.kept + report.pictures == 5
    assert answers(gallery, NEW, 2) == before
    assert verify(gallery).findings == ()


def test_changes_meanwhile_are_respected(gallery: Path, pictures: Path) -> None:
    model = Other()
    model.breaks_on = {"2.jpg"}
    assert not migrate(gallery, model, load).finished
    needle = np.array([5.0, 40.0], np.float32).tobytes()
    assert any(needle in file.read_bytes() for file in gallery.rglob("*") if file.is_file())
    with Gallery.open(gallery, writable=True) as opened:
        (gone,) = [p for p in opened.stored(range(20)) if p.box[0] == 40 and "4.jpg" not in p.picture]
        opened.forget([gone.detection])
        add(opened, pictures / "6.jpg", bytes([6]), 2)
        add(opened, pictures / "3.jpg", bytes([33]), 1)
    assert not any(needle in file.read_bytes() for file in gallery.rglob("*") if file.is_file())
    before = answers(gallery, OLD, 3)
    model.breaks_on.clear()
    report = migrate(gallery, model, load)
    assert report.finished
    assert answers(gallery, NEW, 2) == before
    assert not any(needle in file.read_bytes() for file in gallery.rglob("*") if file.is_file())
    assert verify(gallery).findings == ()


def test_missing_pictures_leave_and_come_back(gallery: Path, pictures: Path) -> None:
    with Gallery.open(gallery, writable=True) as opened:
        (pictures / "4.jpg").rename(pictures / "moved.jpg")
        opened.mark_missing(opened.place(pictures / "4.jpg"))
    migrate(gallery, Other(), load)
    with Gallery.open(gallery) as opened:
        assert opened.picture_of(sha256_of(pictures / "moved.jpg")) is None  # it will be looked at anew
        assert opened.people == 7
    assert verify(gallery).findings == ()


def test_a_reader_hears_that_another_model_took_over(gallery: Path) -> None:
    with Gallery.open(gallery) as reader:
        reader.search(np.zeros(3), fingerprint=OLD, query=SOMEBODY)
        migrate(gallery, Other(), load)
        with pytest.raises(ModelMismatch, match="was migrated to model bbbb"):
            reader.search(np.zeros(3), fingerprint=OLD, query=SOMEBODY)


def test_two_migrations_and_giving_up(gallery: Path) -> None:
    model = Other()
    model.breaks_on = {"2.jpg"}
    migrate(gallery, model, load)
    third = Other()
    third.fingerprint = "c" * 64
    with pytest.raises(PersonSearchError, match="is being migrated to model bbbb"):
        migrate(gallery, third, load)
    assert abandon(gallery)
    assert not abandon(gallery)
    assert sorted(item.name for item in gallery.glob("*.lance")) == ["ledger.lance", "people.lance"]
    assert migrate(gallery, third, load).finished
    again = Other()
    assert migrate(gallery, again, load).finished
    assert sorted(item.name for item in gallery.glob("*.lance")) == ["ledger-2.lance", "people-2.lance"]
    assert len(answers(gallery, NEW, 2)) == 10
    (gallery / FILE).write_text("{}")
    with pytest.raises(InputError, match=r"migration\.json is damaged"):
        migrate(gallery, third, load)
    assert abandon(gallery)
    assert migrate(gallery, third, load).finished


def test_a_model_that_fails_on_everything_stops(gallery: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MODEL_FAILURES", 2)
    model = Other()
    model.breaks_on = {f"{number}.jpg" for number in range(9)} | {"copy.jpg"}
    with pytest.raises(PersonSearchError, match="failed on 2 pictures in a row"):
        migrate(gallery, model, load)
    model.breaks_on = set()
    monkeypatch.setattr(model, "embed", lambda picture, boxes: np.full((len(boxes), 2), np.nan))
    monkeypatch.setattr(module, "MODEL_FAILURES", 99)
    assert len(migrate(gallery, model, load).failures) == 4


def test_frames_of_a_video_are_described_one_by_one(new_gallery: Callable, pictures: Path) -> None:
    with new_gallery() as gallery:
        add(gallery, pictures / "v.mp4", bytes([50]), 2, frame=7)
    migrate(gallery.path, Other(), load)
    with Gallery.open(gallery.path) as opened:
        hit = opened.search(np.array([57.0, 20.0]), 1, fingerprint=NEW, query=SOMEBODY).hits[0]
        assert hit.similarity == 0.0
