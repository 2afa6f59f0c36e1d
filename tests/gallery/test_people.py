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
        assert [people.circumstances(row)[0] for row in range(5)] == [f"camera {n}" for n in (1, 1, 3, 3, 3)]
        assert people.counts() == {1: 2, 3: 3}


def test_nobody() -> None:
    people = People.load([], np.zeros(0, np.int64), 0, 2)
    assert len(people) == 0
    rows, alike = people.best(np.ones(2, np.float32), 5, "cosine", "picture", None, 0.0)
    assert (len(rows), len(alike)) == (0, 0)
    nobody_wanted = People.load(table().to_batches(), np.zeros(0, np.int64), 6, 2)
    assert (len(nobody_wanted), nobody_wanted.vectors.shape) == (0, (0, 2))
