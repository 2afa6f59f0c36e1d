"""Boosted trees of two levels on features of 8 bits, and how they are learnt.

A tree asks one question, then one of two others, and answers with one of four numbers; what a
window is worth is the sum of the answers. Each tree is fitted to where the sum so far is wrong
(real AdaBoost), among the features that its own drawing left in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from personsearch.types import Array

LEAF_STEP = 1 / 1024
"""Leaves are multiples of this: sums of thousands of them are exact in float32, in any order."""
MOST_SURE = 4.0
"""No leaf says more than this; a question that separates all it saw must not outvote every other."""


@dataclass(frozen=True, eq=False)
class Trees:
    """T trees; node 0 asks first, node 1 where its answer is yes, node 2 where it is no.

    Attributes:
        features: (T, 3) int32, which feature a node asks about.
        thresholds: (T, 3) uint8; the answer is yes below it.
        leaves: (T, 4) float32 multiples of 1/1024, after no-no, no-yes, yes-no, yes-yes.
    """

    features: Array
    thresholds: Array
    leaves: Array

    def __post_init__(self) -> None:
        count = len(self.features)
        shapes = (self.features.shape, self.thresholds.shape, self.leaves.shape)
        if shapes != ((count, 3), (count, 3), (count, 4)):
            raise ValueError(f"trees need features (T, 3), thresholds (T, 3) and leaves (T, 4), got {shapes}")

    def __len__(self) -> int:
        return len(self.features)

    def answers(self, values: Array) -> Array:
        """(n, T) float32 leaves that n windows reach.

        Args:
            values: (n, T, 3) uint8, each window's features that the nodes ask about.
        """
        yes = values < self.thresholds
        leaf = np.where(yes[..., 0], yes[..., 1], yes[..., 2]) + 2 * yes[..., 0]
        found: Array = self.leaves[np.arange(len(self)), leaf]
        return found

    def sums(self, features: Array) -> Array:
        """(n,) float32 full sums of windows with ``features`` (n, f) uint8.

        >>> one = Trees(np.int32([[0, 1, 1]]), np.uint8([[10, 5, 7]]), np.float32([[-1, -0.5, 0.5, 1]]))
        >>> one.sums(np.uint8([[9, 4], [9, 5], [10, 6], [10, 7]])).tolist()
        [1.0, 0.5, -0.5, -1.0]
        """
        total = np.zeros(len(features), np.float32)
        for start in range(0, len(self), 64):
            part = self.take(slice(start, start + 64))
            total += part.answers(features[:, part.features]).sum(axis=1)
        return total

    def take(self, rows: slice) -> Trees:
        """The trees in ``rows``."""
        return Trees(self.features[rows], self.thresholds[rows], self.leaves[rows])


def grow_trees(
    people: Array, background: Array, count: int, *, share: float, slack: float, rng: np.random.Generator
) -> Iterator[Trees]:
    """``count`` trees, one after the other, that tell ``people`` from ``background``.

    Both sides weigh the same at first; a leaf is half the logarithm of how much heavier the people
    in it are, and each window is weighed anew by how wrong the sum is about it.

    Args:
        people, background: (n, f) and (m, f) uint8, at least one each.
        count: how many trees.
        share: of the features, drawn anew for every tree.
        slack: added to every leaf once it has done its part in the weights.
        rng: draws the features.

    Yields:
        one tree at a time.

    Source: Friedman, Hastie and Tibshirani, Additive Logistic Regression (Annals of Statistics 2000),
    algorithm 2; Schapire and Singer, Improved Boosting Algorithms (1999), section 4, for the
    choice of questions and for what keeps empty leaves finite.
    """
    table = np.ascontiguousarray(np.concatenate([people, background]).T)  # a feature is a row
    is_person = np.arange(table.shape[1]) < len(people)
    weights = np.where(is_person, 0.5 / len(people), 0.5 / len(background))
    drawn = max(round(share * len(table)), 1)
    for _ in range(count):
        chosen = np.sort(rng.choice(len(table), drawn, replace=False))
        features, thresholds, leaf = _questions(table, chosen, is_person, weights)
        heavy = np.bincount(leaf + 4 * is_person, weights=weights, minlength=8).reshape(2, 4)
        smallest = 1 / table.shape[1]
        said = np.clip(0.5 * np.log((heavy[1] + smallest) / (heavy[0] + smallest)), -MOST_SURE, MOST_SURE)
        weights *= np.exp(np.where(is_person, -1.0, 1.0) * said[leaf])
        weights /= weights.sum()
        leaves = np.round((said + slack) / LEAF_STEP) * LEAF_STEP
        yield Trees(features[None], thresholds[None], leaves[None].astype(np.float32))


def _questions(table: Array, chosen: Array, is_person: Array, weights: Array) -> tuple[Array, Array, Array]:
    """The three best questions of a tree: (3,) features, (3,) thresholds, and each window's leaf."""
    feature, threshold = _best(_histograms(table, chosen, is_person, weights, 1)[0])
    features, thresholds = [chosen[feature]], [threshold]
    yes = table[features[0]] < threshold
    both = _histograms(table, chosen, is_person + 2 * yes.astype(np.int64), weights, 2)
    for side in (1, 0):
        feature, threshold = _best(both[side])
        features.append(chosen[feature])
        thresholds.append(threshold)
    second = np.where(yes, table[features[1]] < thresholds[1], table[features[2]] < thresholds[2])
    leaf = second.astype(np.int64) + 2 * yes
    return np.array(features, np.int32), np.array(thresholds, np.uint8), leaf


def _histograms(table: Array, chosen: Array, group: Array, weights: Array, nodes: int) -> Array:
    """(nodes, features, 2, 256) weight of background and people by node, feature and value."""
    found = np.empty((len(chosen), nodes * 2 * 256))
    base = np.asarray(group, np.int64) * 256
    for row, feature in enumerate(chosen):
        found[row] = np.bincount(base + table[feature], weights=weights, minlength=found.shape[1])
    return found.reshape(len(chosen), nodes, 2, 256).swapaxes(0, 1)


def _best(heavy: Array) -> tuple[int, int]:
    """(row, threshold in 0..255) of the question whose two sides are purest; the first of equals.

    Args:
        heavy: (features, 2, 256) weights of background and people by value.
    """
    below = np.concatenate([np.zeros((*heavy.shape[:2], 1)), heavy.cumsum(axis=2)[..., :-1]], axis=2)
    above = np.maximum(heavy.sum(axis=2, keepdims=True) - below, 0)  # rounding may leave a little less than 0
    impurity = np.sqrt(below[:, 0] * below[:, 1]) + np.sqrt(above[:, 0] * above[:, 1])
    row, threshold = np.unravel_index(int(impurity.argmin()), impurity.shape)
    return int(row), int(threshold)
