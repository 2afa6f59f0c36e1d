"""The matrix of everybody: rows in the order of their numbers, however the table holds them."""

import numpy as np
import pyarrow as pa

from personsearch.gallery.people import Circumstances, People, to_rows
from personsearch.types import Detections


def table() -> pa.Table:
    """Two people in picture 1, one in picture 2, three in two frames of picture 3."""
    parts = []
    for picture, frame, people in ((1, None, 2), (2, None, 1), (3, 5, 2), (3, 6, 1)):
        first = sum(len(part) for part in parts) + 1
        embeddings = np.arange(first, first + people)[:, None] * [1.0, 10.0]
        seen = Detections(np.full((people, 4), first), np.ones(people), embeddings)
        known = Circumstances(picture=picture, model="m", camera=f"camera {picture}", frame=frame)
        parts.append(to_rows(seen, first, known))
    return pa.concat_tables(parts)


def test_rows_stay_together_in_any_order() -> None:
    rows = table()
    rng = np.random.default_rng(0)
    for _ in range(5):
        shuffled = rows.take(rng.permutation(len(rows)))
        people = People.load(shuffled.to_batches(max_chunksize=2), np.array([1, 3]), len(rows), 2)
        assert people.detection.tolist() == [1, 2, 4, 5, 6]
        assert people.picture.tolist() == [1, 1, 3, 3, 3]
        assert people.shot.tolist() == [0, 0, 1, 1, 2]
        assert people.vectors.tolist() == [[n, 10 * n] for n in (1, 2, 4, 5, 6)]
        assert people.box[:, 0].tolist() == [1, 1, 4, 4, 6]
        np.testing.assert_allclose(people.lengths, np.hypot(*people.vectors.T))
        assert [camera for camera, *_ in people.circumstances_of(range(5))] == [
            f"camera {n}" for n in (1, 1, 3, 3, 3)
        ]
        assert people.counts() == {1: 2, 3: 3}


def test_the_piece_of_a_video_in_which_a_person_is_seen() -> None:
    """Of each row against a look at everybody, in any order of asking."""
    rng = np.random.default_rng(3)
    rows = []
    for picture in (1, 2, 3):
        for frame in range(6):
            n = int(rng.integers(1, 4))
            seen = Detections(np.zeros((n, 4)), np.ones(n), rng.standard_normal((n, 2)))
            known = Circumstances(
                picture=picture, model="m", frame=frame, position=None if picture == 2 else frame / 2
            )
            tracklets = None if picture == 2 else rng.permutation(4)[:n]
            rows.append(to_rows(seen, sum(map(len, rows)) + 1, known, tracklets))
    table = pa.concat_tables(rows)
    people = People.load(table.to_batches(), np.array([1, 2, 3]), len(table), 2)
    asked = rng.permutation(len(people))
    for row, (_, _, position, piece) in zip(asked, people.circumstances_of(asked), strict=True):
        if people.picture[row] == 2:
            assert position is piece is None
            continue
        mine = [p for p, shot in zip(people.position, people.shot, strict=True) if shot == people.shot[row]]
        assert (piece.first, piece.last, piece.frames) == (min(mine), max(mine), len(mine))
        assert people.circumstances(int(row))[3] == piece


def test_nobody() -> None:
    people = People.load([], np.zeros(0, np.int64), 0, 2)
    assert len(people) == 0
    rows, alike = people.best(np.ones(2, np.float32), 5, "cosine", "picture", None, 0.0)
    assert (len(rows), len(alike)) == (0, 0)
    nobody_wanted = People.load(table().to_batches(), np.zeros(0, np.int64), 6, 2)
    assert (len(nobody_wanted), nobody_wanted.vectors.shape) == (0, (0, 2))
