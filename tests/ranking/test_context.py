"""Context matching: by hand, against all permutations, and against what the field's evaluators printed."""

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.boxes import iou
from personsearch.ranking.context import match_in_context

GOLDEN = Path(__file__).resolve().parents[1] / "evaluation" / "golden"


def slow_match(values, pictures, people, context, k1, k2):
    """Try every one-to-one assignment."""
    order = sorted(range(len(values)), key=lambda i: -values[i])[:k1]
    revised = list(values)
    for picture in {pictures[i] for i in order}:
        rows = [i for i in range(len(values)) if pictures[i] == picture]
        asked = context[:k2]
        pairs = [[float(a @ people[i]) for i in rows] for a in asked]
        small = min(len(asked), len(rows))
        best, chosen = -np.inf, []
        for left in permutations(range(len(asked)), small):
            for right in permutations(range(len(rows)), small):
                total = sum(pairs[a][b] for a, b in zip(left, right, strict=True))
                if total > best + 1e-12:
                    best, chosen = total, list(zip(left, right, strict=True))
        for a, b in chosen:
            if a == 0:
                revised[rows[b]] = max(pairs[x][y] for x, y in chosen)
    return np.array(revised)


def unit(rng, n, d):
    vectors = rng.normal(size=(n, d))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_sure_companion_lifts_the_partner():
    """The query suits a best in picture 1, but the matching gives it b: 0.6 + 0.9 > 0.8 + 0.1."""
    context = np.eye(4)[:2]
    people = np.array([[0.8, 0.9, 0, 0], [0.6, 0.1, 0, 0], [0.5, 0.5, 0, 0]])
    people[:, 3] = np.sqrt(2 - (people**2).sum(1))  # lengths sqrt(2), so cosines keep their proportions
    values = people[:, 0] / np.sqrt(2)
    got = match_in_context(values, np.array([1, 1, 2]), people, context, k1=2, k2=2)
    assert got == pytest.approx(np.array([0.8, 0.9, 0.5]) / np.sqrt(2), abs=1e-6)


def test_alone_the_query_keeps_its_partner_and_its_similarity():
    rng = np.random.default_rng(0)
    people, context = unit(rng, 6, 5), unit(rng, 1, 5)
    values = (context @ people.T)[0]
    got = match_in_context(values, np.arange(6) // 2, people, context)
    assert got == pytest.approx(values, abs=1e-6)


def test_a_query_without_partner_changes_nothing():
    """One person in the picture, and the companion suits her better."""
    people = np.array([[0.6, 0.8]])
    got = match_in_context(np.array([0.6]), np.array([0]), people, np.eye(2), k2=2)
    assert got.tolist() == [0.6]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 4), st.integers(1, 6))
def test_equals_trying_everything(seed, m, k2, k1):
    rng = np.random.default_rng(seed)
    people, context = unit(rng, 9, 6), unit(rng, m, 6)
    values = (context[:1] @ people.T)[0]
    pictures = np.sort(rng.integers(0, 3, size=9))
    got = match_in_context(values, pictures, people, context, k1=k1, k2=k2)
    assert got == pytest.approx(slow_match(values, pictures, people, context, k1, k2), abs=1e-6)
    assert (got != values).sum() <= len(np.unique(pictures))


def test_euclidean_matches_by_distance():
    context = np.array([[0.0, 0.0], [10.0, 0.0]])
    people = np.array([[2.0, 0.0], [11.0, 0.0]])
    got = match_in_context(np.array([-2.0, -11.0]), np.array([0, 0]), people, context, k2=2, kind="euclidean")
    assert got.tolist() == [-1.0, -11.0]


def test_rows_of_a_table_stand_for_the_people():
    rng = np.random.default_rng(1)
    table, context, rows = unit(rng, 20, 5), unit(rng, 3, 5), rng.integers(0, 20, 9)
    values, pictures = (context[:1] @ table[rows].T)[0], np.arange(9) // 3
    got = match_in_context(values, pictures, table, context, rows=rows)
    assert got.tolist() == match_in_context(values, pictures, table[rows], context).tolist()


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        match_in_context(np.zeros(2), np.zeros(3), np.zeros((2, 4)), np.zeros((1, 4)))
    with pytest.raises(ValueError, match="begin with the query"):
        match_in_context(np.zeros(2), np.zeros(2), np.zeros((2, 4)), np.zeros((0, 4)))


class Golden:
    """One fixture's columns, and its searches scored slowly, detection by detection."""

    def __init__(self, name):
        with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as columns:
            self.columns = dict(columns)
        self.expected = json.loads((GOLDEN / f"{name}.expected.json").read_text())["configs"]

    def detections(self, picture):
        rows = np.arange(*self.columns["det_ptr"][picture : picture + 2])
        return rows[self.columns["det_score"][rows] >= np.float32(0.5)]

    def gallery(self, query, config):
        """(picture, box of the person or None) in protocol order, repeated pictures once."""
        c = self.columns
        if "gallery" in config:
            size = config["gallery"]
            pictures = c[f"gal{size}_img"][query].tolist()
            start, n = int(c[f"gal{size}_ngt"][:query].sum()), int(c[f"gal{size}_ngt"][query])
            boxes = [*c[f"gal{size}_gtbox"][start : start + n], *[None] * (len(pictures) - n)]
            return list(zip(pictures, boxes, strict=True))
        own = c["q_img"][query]
        entries = []
        for picture in range(len(c["img_name"])):
            if picture == own or (config["cams"] == "other" and c["img_cam"][picture] == c["img_cam"][own]):
                continue
            rows = np.arange(*c["gt_ptr"][picture : picture + 2])
            found = rows[c["gt_pid"][rows] == c["q_pid"][query]]
            entries.append((picture, c["gt_box"][found[0]] if len(found) else None))
        return entries

    def average_precision(self, query, config):
        c = self.columns
        seen, kept = set(), []
        positives = 0
        for picture, box in self.gallery(query, config):
            positives += box is not None
            rows = self.detections(picture)
            if picture not in seen and len(rows):
                kept.append((picture, box, rows))
            seen.add(picture)
        rows = np.concatenate([entry[2] for entry in kept])
        pictures = np.repeat([entry[0] for entry in kept], [len(entry[2]) for entry in kept])
        values = c["det_feat"][rows] @ c["q_feat"][query]
        context = c["qdet_feat"][slice(*c["qdet_ptr"][query : query + 2])]
        values = match_in_context(
            values, pictures, c["det_feat"][rows], context, k1=int(config["k1"]), k2=int(config["k2"])
        )
        right = np.zeros(len(rows), bool)
        for picture, box, _ in kept:
            if box is None:
                continue
            width, height = box[2:] - box[:2]
            enough = min(0.5, width * height / ((width + 10) * (height + 10)))
            here = np.flatnonzero(pictures == picture)
            for i in here[np.argsort(-values[here], kind="stable")]:
                if iou(c["det_box"][rows[i]][None], box[None].astype(np.float32))[0, 0] >= enough:
                    right[i] = True
                    break
        if not right.any():
            return 0.0
        ranks = [(values >= value).sum() for value in values[right]]
        return float(
            np.mean([(right & (values >= values[right][j])).sum() / r for j, r in enumerate(ranks)])
        ) * (right.sum() / positives)


@pytest.mark.parametrize("name", ["cuhk_a", "cuhk_tiny", "cuhk_quirks", "prw_quirks"])
def test_equals_the_published_evaluators(name):
    golden = Golden(name)
    keys = [key for key in golden.expected if "cbgm=1" in key]
    assert keys
    for key in keys:
        config = dict(part.split("=") for part in key.split("|")[1:])
        got = [golden.average_precision(query, config) for query in range(len(golden.columns["q_img"]))]
        assert got == pytest.approx(golden.expected[key]["ap_per_query"], abs=1e-6), key
