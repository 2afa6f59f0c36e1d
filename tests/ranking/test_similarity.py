"""Similarities against hand-worked values, an exact slow form and what must hold for any vectors."""

from fractions import Fraction
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personsearch.ranking.similarity import norms, similarities


def slow_euclidean(a, b):
    """Minus the distance, summed in exact fractions."""
    return -sqrt(sum((Fraction(float(x)) - Fraction(float(y))) ** 2 for x, y in zip(a, b, strict=True)))


def test_cases_by_hand():
    queries = np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
    people = np.array([[5.0, 0.0], [-1.0, 0.0], [3.0, 4.0]], np.float32)
    assert similarities(queries, people, "cosine").round(6).tolist() == pytest.approx(
        np.array([[1, -1, 0.6], [0, 0, 0.8]])
    )
    expected = -np.sqrt([[16.0, 4.0, 20.0], [29.0, 5.0, 13.0]])
    assert similarities(queries, people, "euclidean") == pytest.approx(expected)
    assert similarities(queries, people, "euclidean").dtype == np.float32


def test_the_plain_product():
    queries, people = np.array([[3.0, 4.0]]), np.array([[1.0, 1.0], [0.0, 0.0], [-4.0, 3.0]])
    assert similarities(queries, people, "product").tolist() == [[7.0, 0.0, 0.0]]
    assert similarities(queries, people, "product", people_norms=norms(people)).tolist() == [[7.0, 0.0, 0.0]]


def test_who_stands_at_a_right_angle_is_at_zero_exactly():
    """So that all of them tie, whatever their lengths."""
    rng = np.random.default_rng(8)
    people = rng.integers(-9, 10, size=(50, 2)).astype(np.float32)
    queries = people[:, ::-1] * np.array([1, -1], np.float32)
    assert (np.diag(similarities(queries, people, "cosine")) == 0).all()


def test_zero_vectors_are_like_nobody():
    zero, some = np.zeros((1, 3)), np.array([[1.0, 2, 3], [0, 0, 0]])
    assert similarities(zero, some, "cosine").tolist() == [[0.0, 0.0]]
    assert similarities(some, zero, "cosine").tolist() == [[0.0], [0.0]]
    assert similarities(zero, zero, "euclidean").tolist() == [[0.0]]


@pytest.mark.parametrize("scale", [1e-20, 1e-6, 1.0, 1e4, 1e15])
def test_near_people_keep_their_distance_at_any_norm(scale):
    rng = np.random.default_rng(3)
    people = (rng.normal(size=(40, 64)) * scale).astype(np.float32)
    queries = (people[:8] * np.float32(1.0001)).astype(np.float32)
    got = similarities(queries, people, "euclidean").astype(np.float64)
    exact = np.array([[slow_euclidean(q, p) for p in people] for q in queries])
    lengths = norms(queries)[:, None] + norms(people)[None]
    assert (np.abs(got - exact) <= 1e-7 * lengths).all()
    same = np.diag(similarities(people, people, "euclidean"))
    assert (same <= 0).all()
    assert (np.abs(same) <= 1e-7 * norms(people)).all()


def test_blocks_change_nothing():
    """More rows than fit one block, against the plain product."""
    rng = np.random.default_rng(5)
    people = rng.normal(size=(5000, 256)).astype(np.float32)
    queries = rng.normal(size=(3, 256)).astype(np.float32)
    wide, narrow = queries.astype(np.float64), people.astype(np.float64)
    cosine = (wide @ narrow.T) / np.outer(np.sqrt((wide**2).sum(1)), np.sqrt((narrow**2).sum(1)))
    distance = np.sqrt(((wide[:, None] - narrow[None]) ** 2).sum(-1))
    assert np.allclose(similarities(queries, people, "cosine"), cosine, atol=1e-7)
    assert np.allclose(similarities(queries, people, "euclidean"), -distance, atol=1e-5)


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
def test_given_norms_change_nothing(kind):
    rng = np.random.default_rng(6)
    queries, people = rng.normal(size=(4, 8)), rng.normal(size=(30, 8))
    with_norms = similarities(queries, people, kind, people_norms=norms(people))
    assert np.array_equal(with_norms, similarities(queries, people, kind))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(1, 12), st.integers(0, 9), st.sampled_from(["cosine", "euclidean"])
)
def test_what_always_holds(seed, dim, n, kind):
    rng = np.random.default_rng(seed)
    people = rng.integers(-3, 4, size=(n, dim)).astype(np.float32)
    matrix = similarities(people, people, kind)
    assert matrix.shape == (n, n)
    assert np.isfinite(matrix).all()
    assert np.allclose(matrix, matrix.T, atol=1e-6)
    if kind == "cosine":
        assert (np.abs(matrix) <= 1).all()
        assert np.allclose(similarities(people * 7, people, kind), matrix, atol=1e-6)
    else:
        assert (matrix <= 0).all()
        shifted = people + np.float32(5)
        assert np.allclose(similarities(shifted, shifted, kind), matrix, atol=1e-5)


def test_nobody_is_no_error():
    assert similarities(np.zeros((0, 4)), np.zeros((3, 4)), "cosine").shape == (0, 3)
    assert similarities(np.zeros((2, 4)), np.zeros((0, 4)), "euclidean").shape == (2, 0)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="2 dimensions, people 3"):
        similarities(np.zeros((1, 2)), np.zeros((1, 3)), "cosine")
    with pytest.raises(ValueError, match="'dot'"):
        similarities(np.zeros((1, 2)), np.zeros((1, 2)), "dot")
    with pytest.raises(ValueError, match="shape"):
        similarities(np.zeros(2), np.zeros((1, 2)), "cosine")
    with pytest.raises(ValueError, match="people_norms"):
        similarities(np.zeros((1, 2)), np.zeros((1, 2)), "cosine", people_norms=np.zeros(3))
