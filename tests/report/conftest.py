"""Small pictures and results that reports are made of."""

import numpy as np
import pytest

from personsearch.types import Hit, Picture, Query, SearchResult


@pytest.fixture
def picture():
    """Makes a picture of a size whose pixels differ from place to place."""

    def make(width=64, height=48, name=""):
        y, x = np.mgrid[:height, :width]
        pixels = np.stack(
            [x * 255 // max(width - 1, 1), y * 255 // max(height - 1, 1), (x + y) % 256], axis=-1
        )
        return Picture(pixels.astype(np.uint8), name=name)

    return make


@pytest.fixture
def result():
    """Makes a search result from (picture, box) pairs, best first."""

    def make(*hits, similarity="cosine", probabilities=None, query="query.jpg", **more):
        return SearchResult(
            query=Query(query, np.array([4, 4, 20, 40])),
            hits=tuple(
                Hit(
                    rank=i + 1,
                    similarity=0.9 - 0.1 * i if similarity == "cosine" else -1.0 - i,
                    picture=name,
                    box=np.array(box, np.float32),
                    score=0.9,
                    detection=i,
                    probability=None if probabilities is None else probabilities[i],
                    **more,
                )
                for i, (name, box) in enumerate(hits)
            ),
            gallery="photos.gallery",
            model="0123456789abcdef0123",
            similarity=similarity,
            pictures=7,
            people=1234,
        )

    return make
