"""Features survive: a kill at any moment, a second call, a change of anything they depend on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from personsearch import images
from personsearch.errors import DatasetError, InputError, ModelMismatch, PersonSearchError, UsageError
from personsearch.features import Features, extract, extraction
from personsearch.types import UNLABELLED, Array, Detections, Picture, Scene, Similarity, Trials


class ColourSearcher:
    """Sees one person per 10 rows of a picture; describes a box by the mean colour in it and its place."""

    dim = 4
    similarity: Similarity = "euclidean"

    def __init__(self, fingerprint: str = "f" * 64, die_after: int = 10**9) -> None:
        self.fingerprint, self.left, self.looked = fingerprint, die_after, list[str]()

    def embed(self, picture: Picture, boxes: Array) -> Array:
        rows = []
        for x1, y1, x2, y2 in np.asarray(boxes).astype(int):
            inside = picture.pixels[max(y1, 0) : y2, max(x1, 0) : x2].reshape(-1, 3)
            rows.append([*(inside.mean(axis=0) if len(inside) else (0, 0, 0)), y1])
        return np.array(rows, np.float32).reshape(-1, 4)

    def detect(self, picture: Picture) -> Detections:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.looked.append(picture.name)
        boxes = np.array([[0, y, 8, y + 10] for y in range(0, picture.size[1] - 9, 10)], np.float32)
        scores = np.linspace(0.9, 0.3, len(boxes))
        return Detections(boxes.reshape(-1, 4), scores, self.embed(picture, boxes))


@pytest.fixture
def world(tmp_path: Path) -> tuple[list[Scene], Trials]:
    """Seven pictures of heights 5 to 65 (nobody is seen in the first), three queries, two in one picture."""
    rng, scenes = np.random.default_rng(0), []
    for k in range(7):
        path = tmp_path / "pictures" / f"s{k}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(images.encode_jpeg(rng.integers(0, 256, (5 + 10 * k, 20, 3), np.uint8)))
        boxes = np.array([[1, 1, 7, 4], [8, 0, 15, 5]])[: k % 3]
        scenes.append(Scene(path.name, path=path, boxes=boxes, people=np.full(len(boxes), UNLABELLED)))
    trials = Trials(
        name="tiny gallery=2",
        scenes=("s6.jpg", "s2.jpg", "s4.jpg", "s0.jpg"),
        query_scene=np.array([2, 1, 2]),
        query_box=np.array([[0, 0, 8, 11], [1, 1, 7, 4], [0, 12, 8, 20]]),
        query_person=np.array([0, 1, 2]),
        entry_ptr=np.array([0, 2, 3, 3]),
        entry_scene=np.array([0, 3, 1]),
        truth_ptr=np.zeros(4),
        truth_box=np.zeros((0, 4)),
        ignore_ptr=np.zeros(4),
        ignore_box=np.zeros((0, 4)),
    )
    return scenes, trials


def same(a: Features, b: Features) -> None:
    assert (a.scenes, dict(a.meta)) == (b.scenes, dict(b.meta))
    for name in ("det_ptr", "det_box", "det_score", "det_feat", "q_img", "q_box", "q_pid", "q_feat"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("qdet_ptr", "qdet_box", "qdet_score", "qdet_feat"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_every_row_is_what_the_searcher_said(world, tmp_path: Path) -> None:
    scenes, trials = world
    searcher = ColourSearcher()
    features = extract(searcher, scenes, trials, tmp_path / "f.npz")
    assert features.scenes == tuple(scene.name for scene in scenes)
    for scene in scenes:
        said, kept = searcher.detect(images.load(scene.path)), features.detections(scene.name)
        for column in ("boxes", "scores", "embeddings"):
            np.testing.assert_array_equal(getattr(kept, column), getattr(said, column))
    wanted = [
        searcher.embed(images.load(scenes[row].path), trials.query_box[i : i + 1])[0]
        for i, row in enumerate((4, 2, 4))
    ]
    np.testing.assert_array_equal(features.q_feat, wanted)
    np.testing.assert_array_equal(features.query_embeddings(trials), wanted)
    assert features.q_img.tolist() == [4, 2, 4]
    assert features.q_pid.tolist() == [0, 1, 2]
    assert (features.fingerprint, features.similarity, features.dim) == ("f" * 64, "euclidean", 4)
    assert features.meta["dataset"] == "tiny gallery=2"
    assert not (tmp_path / "f.npz.parts").exists()


def test_the_query_stands_first_among_the_people_around_it(world, tmp_path: Path) -> None:
    scenes, trials = world
    features = extract(ColourSearcher(), scenes, trials, tmp_path / "f.npz")
    around = features.context(0)  # box 0,0,8,11 of s4.jpg, where people stand at y = 0, 10, 20 and 30
    assert around.boxes.tolist() == [[0, 0, 8, 11], [0, 10, 8, 20], [0, 20, 8, 30], [0, 30, 8, 40]]
    assert around.scores[0] == 1
    np.testing.assert_array_equal(around.embeddings[0], features.q_feat[0])
    np.testing.assert_array_equal(around.embeddings[1:], features.detections("s4.jpg").embeddings[1:])


def test_saved_and_loaded_they_are_the_same(world, tmp_path: Path) -> None:
    features = extract(ColourSearcher(), *world, tmp_path / "f.npz")
    same(Features.load(tmp_path / "f.npz"), features)
    features.save(tmp_path / "g.npz")
    assert (tmp_path / "g.npz").read_bytes() == (tmp_path / "f.npz").read_bytes()
    with np.load(tmp_path / "f.npz", allow_pickle=False) as file:
        assert {"img_name", "det_feat", "q_feat", "qdet_ptr", "meta"} <= set(file.files)


def test_killed_after_any_picture_it_goes_on_and_ends_with_the_same_bytes(
    world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extraction, "SHARD_SCENES", 2)
    extract(ColourSearcher(), *world, tmp_path / "whole.npz")
    for after in range(7):
        path = tmp_path / f"killed{after}.npz"
        with pytest.raises(KeyboardInterrupt):
            extract(ColourSearcher(die_after=after), *world, path)
        assert not path.exists()
        second = ColourSearcher()
        extract(second, *world, path)
        assert len(second.looked) == 7 - after // 2 * 2  # only what no shard holds is looked at again
        assert path.read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_killed_while_a_file_is_written(world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "SHARD_SCENES", 2)
    extract(ColourSearcher(), *world, tmp_path / "whole.npz")
    wanted = (tmp_path / "whole.npz").read_bytes()
    write = np.savez
    for nth in range(1, 6):  # four shards and the whole
        calls = 0

        def torn(file, *args, nth=nth, **arrays) -> None:
            nonlocal calls
            calls += 1
            if calls == nth:
                file.write(b"half of it")
                raise KeyboardInterrupt
            write(file, *args, **arrays)

        path = tmp_path / f"torn{nth}.npz"
        with monkeypatch.context() as patch:
            patch.setattr(np, "savez", torn)
            with pytest.raises(KeyboardInterrupt):
                extract(ColourSearcher(), *world, path)
        assert not path.exists()
        extract(ColourSearcher(), *world, path)
        assert path.read_bytes() == wanted


def test_a_finished_file_is_used_again(world, tmp_path: Path) -> None:
    first = extract(ColourSearcher(), *world, tmp_path / "f.npz")
    idle = ColourSearcher(die_after=0)
    same(extract(idle, *world, tmp_path / "f.npz"), first)


def test_a_finished_file_of_anything_else_is_refused(world, tmp_path: Path) -> None:
    scenes, trials = world
    path = tmp_path / "f.npz"
    extract(ColourSearcher(), scenes, trials, path)
    before = path.read_bytes()
    with pytest.raises(ModelMismatch, match="features of model ffff"):
        extract(ColourSearcher("e" * 64), scenes, trials, path)
    moved = replace(trials, query_box=trials.query_box + 1)
    for other in ((scenes[::-1], trials), (scenes, moved)):
        with pytest.raises(UsageError, match="other pictures, searches or boxes"):
            extract(ColourSearcher(), *other, path)
    with pytest.raises(UsageError):
        extract(ColourSearcher(), scenes, trials, path, boxes="annotated")
    picture = scenes[0].path.read_bytes()
    scenes[0].path.write_bytes(scenes[1].path.read_bytes())  # another picture of the same name
    with pytest.raises(UsageError):
        extract(ColourSearcher(), scenes, trials, path)
    scenes[0].path.write_bytes(picture)
    assert path.read_bytes() == before
    extract(ColourSearcher(die_after=0), scenes, trials, path)


def test_parts_of_another_job_are_dropped_aloud(world, tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(extraction, "SHARD_SCENES", 2)
    path = tmp_path / "f.npz"
    with pytest.raises(KeyboardInterrupt):
        extract(ColourSearcher("e" * 64, die_after=5), *world, path)
    searcher = ColourSearcher()
    features = extract(searcher, *world, path)
    assert len(searcher.looked) == 7
    assert features.fingerprint == "f" * 64
    assert "starting anew" in caplog.text


def test_no_shard_of_another_job_is_ever_joined(world, tmp_path: Path, monkeypatch, caplog) -> None:
    """Its first shard is gone, so nothing of it can be used yet; a new first shard would close the gap."""
    path = tmp_path / "f.npz"
    for size, dying in ((2, ColourSearcher("e" * 64, die_after=6)), (4, ColourSearcher(die_after=0))):
        monkeypatch.setattr(extraction, "SHARD_SCENES", size)
        with pytest.raises(KeyboardInterrupt):
            extract(dying, *world, path)
        (tmp_path / "f.npz.parts" / "shard-00000000-00000002.npz").unlink(missing_ok=True)
    assert "starting anew" in caplog.text
    assert not list((tmp_path / "f.npz.parts").glob("shard-*"))


def test_shards_that_overlap_are_counted_once(world, tmp_path: Path, monkeypatch) -> None:
    """Two processes at one job may cut it differently."""
    extract(ColourSearcher(), *world, tmp_path / "whole.npz")
    path = tmp_path / "f.npz"
    for size, after in ((3, 4), (2, 6)):
        monkeypatch.setattr(extraction, "SHARD_SCENES", size)
        with monkeypatch.context() as patch:
            patch.setattr(extraction, "_finished", lambda parts: 0)
            with pytest.raises(KeyboardInterrupt):
                extract(ColourSearcher(die_after=after), *world, path)
    assert len(list((tmp_path / "f.npz.parts").glob("shard-*"))) == 4
    extract(ColourSearcher(), *world, path)
    assert path.read_bytes() == (tmp_path / "whole.npz").read_bytes()


class Embedding:
    """Describes people, but finds nobody."""

    def __init__(self) -> None:
        searcher = ColourSearcher()
        self.embed, self.dim = searcher.embed, searcher.dim
        self.similarity, self.fingerprint = searcher.similarity, searcher.fingerprint


def test_annotated_boxes_instead_of_detected_ones(world, tmp_path: Path) -> None:
    scenes, trials = world
    features = extract(Embedding(), scenes, trials, tmp_path / "f.npz", boxes="annotated")
    for scene in scenes:
        seen = features.detections(scene.name)
        np.testing.assert_array_equal(seen.boxes, scene.boxes)
        assert (seen.scores == 1).all()
        np.testing.assert_array_equal(
            seen.embeddings, ColourSearcher().embed(images.load(scene.path), scene.boxes)
        )
    assert features.meta["settings"] == {"boxes": "annotated"}
    with pytest.raises(UsageError, match="does not find them"):
        extract(Embedding(), scenes, trials, tmp_path / "g.npz")


def test_several_protocols_share_their_queries(world, tmp_path: Path) -> None:
    scenes, trials = world
    more = replace(trials, name="more", query_box=np.array([[0, 0, 8, 11], [1, 1, 7, 4], [2, 2, 9, 9]]))
    features = extract(ColourSearcher(), scenes, [trials, more], tmp_path / "f.npz")
    assert features.query_rows(trials).tolist() == [0, 1, 2]
    assert features.query_rows(more).tolist() == [0, 1, 3]
    other = replace(more, query_box=more.query_box + 1)
    with pytest.raises(DatasetError, match="do not describe the query"):
        features.query_rows(other)


def test_nobody_anywhere_and_no_queries(world, tmp_path: Path) -> None:
    scenes, _ = world
    features = extract(ColourSearcher(), scenes[:1], [], tmp_path / "f.npz")
    assert (len(features.det_box), len(features.q_feat)) == (0, 0)
    assert Features.load(tmp_path / "f.npz").detections("s0.jpg").embeddings.shape == (0, 4)
    assert extract(ColourSearcher(), [], [], tmp_path / "g.npz").scenes == ()


def test_bad_input_is_named(world, tmp_path: Path) -> None:
    scenes, trials = world
    path = tmp_path / "f.npz"
    with pytest.raises(DatasetError, match=r"names s\d\.jpg, which is not among the scenes"):
        extract(ColourSearcher(), scenes[:3], trials, path)
    with pytest.raises(DatasetError, match="nothing of s9"):
        extract(ColourSearcher(), scenes, trials, path).detections("s9")
    path.unlink()
    scenes[3].path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"s3\.jpg"):
        extract(ColourSearcher(), scenes, trials, path)
    scenes[3].path.unlink()
    with pytest.raises(InputError, match=r"s3\.jpg is missing"):
        extract(ColourSearcher(), scenes, trials, path)


def test_a_broken_model_is_named_not_stored(world, tmp_path: Path) -> None:
    class Broken(ColourSearcher):
        def embed(self, picture: Picture, boxes: Array) -> Array:
            return super().embed(picture, boxes) * np.float32(np.nan)

    with pytest.raises(PersonSearchError, match=r"s1\.jpg by numbers that are not finite"):
        extract(Broken(), *world, tmp_path / "f.npz")


@pytest.mark.parametrize("damage", ["cut", "other", "empty", "version", "missing"])
def test_a_damaged_file_is_one_line(world, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "f.npz"
    features = extract(ColourSearcher(), *world, path)
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "other":
        np.savez(path, x=np.ones(3))
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "version":
        replace(features, meta={**features.meta, "version": 99}).save(path)
    else:
        path.unlink()
    with pytest.raises(InputError, match=r"f\.npz") as caught:
        Features.load(path)
    assert "\n" not in str(caught.value)
    assert caught.value.hint


def test_rows_that_do_not_belong_together_are_refused(world, tmp_path: Path) -> None:
    features = extract(ColourSearcher(), *world, tmp_path / "f.npz")
    with pytest.raises(ValueError, match="det_feat must have shape"):
        replace(features, det_feat=features.det_feat[1:])
    with pytest.raises(ValueError, match="q_feat must have shape"):
        replace(features, q_feat=features.q_feat[1:])
    with pytest.raises(ValueError, match="det_ptr must rise"):
        replace(features, det_ptr=features.det_ptr[::-1])
    with pytest.raises(ValueError, match="two pictures have one name"):
        replace(features, scenes=("s0.jpg",) * len(features.scenes))


def test_shifting_embeddings_by_a_row_would_be_seen(world, tmp_path: Path, monkeypatch) -> None:
    """The planted mistake behind the paper's own numbers: the features of one beside the box of another."""
    write = extraction._write_shard

    def shifted(parts, batch) -> None:
        write(
            parts,
            [
                replace(look, seen=replace(look.seen, embeddings=np.roll(look.seen.embeddings, 1, axis=0)))
                for look in batch
            ],
        )

    monkeypatch.setattr(extraction, "_write_shard", shifted)
    with pytest.raises(AssertionError):
        test_every_row_is_what_the_searcher_said(world, tmp_path)


def test_the_bytes_depend_on_nothing_but_the_inputs(world, tmp_path: Path) -> None:
    digests = set()
    for name in ("a.npz", "b.npz"):
        extract(ColourSearcher(), *world, tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1
