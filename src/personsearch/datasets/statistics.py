"""How much is in a data set, and how tall its people are: the paper's Table 1 row and Fig. 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from personsearch.datasets.dataset import Dataset, Part, Split
from personsearch.datasets.inventory import other_scenes, trials_if_there
from personsearch.errors import DatasetError
from personsearch.types import UNLABELLED, Array, Scene

SPLITS: tuple[Split, Split] = ("train", "test")
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
UNKNOWN = "unknown"
ALL = "all"


@dataclass(frozen=True, eq=False, kw_only=True)
class Group:
    """The pictures of one half (or both) and one source (or all), and the people in them.

    Ignored boxes count as nobody, and stand apart.

    Attributes:
        split: ``train``, ``test``, ``both`` of them, or ``val``.
        source: where the pictures come from (``street``, ``movie``), ``all``, or ``unknown``.
        pictures: how many.
        identities: people with an identity; in ``both``, those of either half.
        queries: how many searches start from these pictures.
        ignored: boxes that count neither way.
        people: (n,) heights in pixels of everybody with an identity (the paper's "test persons").
        background: (m,) heights of everybody else.
        query: (queries,) heights of the queries.
    """

    split: str
    source: str
    pictures: int
    identities: int
    ignored: int
    people: Array
    background: Array
    query: Array

    @property
    def boxes(self) -> int:
        """Everybody who is annotated."""
        return len(self.people) + len(self.background)

    @property
    def people_a_picture(self) -> float:
        """Mean number of annotated people in a picture: the paper's 5.3 is this one, of all pictures."""
        return self.boxes / self.pictures if self.pictures else float("nan")

    @property
    def background_a_picture(self) -> float:
        """Mean number of people without an identity in a picture."""
        return len(self.background) / self.pictures if self.pictures else float("nan")


def statistics(
    dataset: Dataset, sources: Mapping[str, str] | None = None, *, min_height: float = 0.0
) -> tuple[Group, ...]:
    """Both halves, each half, each source of each, and a validation part: one group a line of the table.

    Args:
        dataset: whose annotation is counted; no picture is read.
        sources: by name of a picture, what it comes from; None where nobody knows. The published
            CUHK-SYSU does not say which pictures are of the street and which of films.
        min_height: leave out people who are less tall, as the paper's Fig. 2 does below 50 pixels.

    Raises:
        DatasetError: the annotation cannot be read, or ``sources`` names a picture that is not there.

    >>> from personsearch.types import Scene
    >>> group = _group("test", "all", [Scene("a", boxes=[[0, 0, 4, 9], [5, 0, 9, 60]], people=[0, -1])], {})
    >>> group.boxes, group.people.tolist(), group.background_a_picture
    (2, [9.0], 1.0)
    """
    halves: dict[Part, tuple[Scene, ...]] = {split: dataset.scenes(split) for split in SPLITS}
    halves["val"] = other_scenes(dataset)
    known = dict(sources or {})
    names = {scene.name for scenes in halves.values() for scene in scenes}
    strange = sorted(set(known) - names)
    if strange:
        raise DatasetError(f"there is no picture {strange[0]}", hint="sources are by the picture's name")
    queries = _query_heights(dataset)
    groups = []
    for split, scenes in halves.items():
        if scenes:
            groups.append(_group(split, ALL, scenes, queries if split == "test" else {}, min_height))
        for source in _sources(scenes, known):
            part = [scene for scene in scenes if known.get(scene.name, UNKNOWN) == source]
            groups.append(_group(split, source, part, queries if split == "test" else {}, min_height))
    return (*_both(groups), *groups)


def quantiles(heights: Array) -> dict[str, float]:
    """Mean and quantiles of ``heights``, NaN of none.

    >>> quantiles(np.array([10.0, 20, 60]))["q50"], quantiles(np.array([10.0, 20, 60]))["mean"]
    (20.0, 30.0)
    """
    values = np.quantile(heights, QUANTILES) if len(heights) else np.full(len(QUANTILES), np.nan)
    mean = float(np.mean(heights)) if len(heights) else float("nan")
    return {"mean": mean, **{f"q{100 * q:g}": float(v) for q, v in zip(QUANTILES, values, strict=True)}}


def histogram(heights: Array, edges: Array) -> Array:
    """(len(edges) - 1,) how many heights lie in each step; the last takes all that are taller."""
    counts: Array = np.histogram(np.minimum(heights, np.nextafter(edges[-1], 0)), edges)[0]
    return counts


def height_edges(groups: Sequence[Group]) -> Array:
    """Edges of steps for all groups: about thirty, of a round number of pixels.

    Beyond the height of 99.5 % there is one step for everybody who is taller.
    """
    everybody = np.concatenate([np.zeros(0), *(h for g in groups for h in (g.people, g.background))])
    top = float(np.quantile(everybody, 0.995)) if len(everybody) else 1.0
    rough = max(top / 30, 1e-9)
    scale = 10.0 ** np.floor(np.log10(rough))
    step = max(float(scale * next(n for n in (1, 2, 5, 10) if n * scale >= rough)), 1.0)
    edges: Array = np.arange(np.floor(top / step) + 2) * step
    return edges


def record_of(groups: Sequence[Group]) -> list[dict[str, object]]:
    """The groups as JSON holds them: numbers, quantiles and the counts behind Fig. 2."""
    edges = height_edges(groups)
    return [
        {
            "split": group.split,
            "source": group.source,
            "pictures": group.pictures,
            "identities": group.identities,
            "queries": len(group.query),
            "boxes": group.boxes,
            "labelled": len(group.people),
            "background": len(group.background),
            "ignored": group.ignored,
            "people_a_picture": group.people_a_picture,
            "background_a_picture": group.background_a_picture,
            "heights": {
                kind: {**quantiles(heights), "edges": edges, "counts": histogram(heights, edges)}
                for kind, heights in (
                    ("identity", group.people),
                    ("background", group.background),
                    ("query", group.query),
                )
            },
        }
        for group in groups
    ]


def _sources(scenes: Sequence[Scene], known: Mapping[str, str]) -> list[str]:
    """The sources of ``scenes``; none where nothing is known."""
    if not known:
        return []
    return sorted({known.get(scene.name, UNKNOWN) for scene in scenes})


def _query_heights(dataset: Dataset) -> dict[str, list[float]]:
    """Heights of the queries by their picture; empty for a data set without searches."""
    heights: dict[str, list[float]] = {}
    trials = trials_if_there(dataset)
    if trials is None:
        return heights
    for scene, box in zip(trials.query_scene.tolist(), trials.query_box.tolist(), strict=True):
        heights.setdefault(trials.scenes[scene], []).append(box[3] - box[1])
    return heights


def _group(
    split: str,
    source: str,
    scenes: Sequence[Scene],
    queries: Mapping[str, Sequence[float]],
    min_height: float = 0.0,
) -> Group:
    """One line of the table."""
    nobody = [np.zeros(0, np.float64)]
    heights = np.concatenate([*nobody, *((s.boxes[:, 3] - s.boxes[:, 1]).astype(float) for s in scenes)])
    people = np.concatenate([np.zeros(0, np.int64), *(scene.people for scene in scenes)])
    ignored = np.concatenate([np.zeros(0, bool), *(scene.ignore for scene in scenes)])
    tall = ~ignored & (heights >= min_height)
    named = tall & (people != UNLABELLED)
    asked = np.array([h for scene in scenes for h in queries.get(scene.name, ())], np.float64)
    return Group(
        split=split,
        source=source,
        pictures=len(scenes),
        identities=len(np.unique(people[named])),
        ignored=int(ignored.sum()),
        people=heights[named],
        background=heights[tall & ~named],
        query=asked[asked >= min_height],
    )


def _both(groups: Sequence[Group]) -> list[Group]:
    """The halves of one source as one: they share no picture and no identity."""
    result = []
    for source in dict.fromkeys(group.source for group in groups):
        parts = [group for group in groups if group.source == source and group.split in SPLITS]
        if len(parts) > 1:
            result.append(
                Group(
                    split="both",
                    source=source,
                    pictures=sum(part.pictures for part in parts),
                    identities=sum(part.identities for part in parts),
                    ignored=sum(part.ignored for part in parts),
                    people=np.concatenate([part.people for part in parts]),
                    background=np.concatenate([part.background for part in parts]),
                    query=np.concatenate([part.query for part in parts]),
                )
            )
    return result
