"""Learning the words of colour, and how much each of them says, from labelled people."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.baselines.parts import save_part
from personsearch.baselines.reid.bow import (
    BOW,
    BowEmbedder,
    Words,
    WordSettings,
    average_idf,
    check_words,
    patch_names,
    read_bow,
    root_shares,
    weighted,
    word_counts,
)
from personsearch.baselines.reid.colour_names import focal_table, read_table
from personsearch.baselines.reid.crops import LabelledCrops, cut_labelled
from personsearch.baselines.reid.dense_training import finished
from personsearch.baselines.reid.stages import stage
from personsearch.errors import DatasetError
from personsearch.files import sha256_of
from personsearch.progress import Progress, silent
from personsearch.types import Array, Scene


@dataclass(frozen=True, kw_only=True)
class BowSettings:
    """How words are learned.

    Attributes:
        crops: how a crop becomes a histogram.
        words: size of the codebook (350 in the source).
        most_patches: patches that k-means sees, drawn evenly from all people and places.
        most_people: appearances that IDF and mean are learned from; more are drawn from.
        colour_names: the learned table ``w2c.mat``, for those who have it; None: focal colours.
        seed: of drawing and k-means.
    """

    crops: WordSettings = field(default_factory=WordSettings)
    words: int = 350
    most_patches: int = 100_000
    most_people: int = 4000
    colour_names: Path | None = None
    seed: int = 0


def train_bow(
    scenes: Sequence[Scene],
    settings: BowSettings,
    folder: Path,
    *,
    cache: Path | None = None,
    progress: Progress = silent,
) -> BowEmbedder:
    """The words of colour of the labelled people of ``scenes``; who they are does not matter.

    Killed and called again it goes on behind the last finished step; a finished part is read. The
    source's words are those of another data set where it does not train on Market-1501 itself;
    here they are those of the training scenes.

    Args:
        folder: of the part.
        cache: for crops and intermediate steps, which then stay there and are shared with other
            trainings on the same scenes; None: beside the part, and deleted at the end.

    Raises:
        DatasetError: nobody is labelled, or there are fewer kinds of patches than words.
        UsageError: ``folder`` holds a part that was trained otherwise.
        InputError: a picture cannot be read.
    """
    check_words(settings.crops, settings.words)
    with_cache = cache if cache is not None else folder / "unfinished"
    crops = cut_labelled(scenes, settings.crops.crop, with_cache, progress=progress)
    said = _said(settings, crops)
    if not finished(folder, BOW, said):
        learned = _learned(crops, settings, said, with_cache, progress)
        save_part(folder, BOW, said, vars(learned))
    if cache is None:
        shutil.rmtree(with_cache, ignore_errors=True)
    return read_bow(folder)


def _said(settings: BowSettings, crops: LabelledCrops) -> dict[str, Any]:
    """What the part's configuration says of how it was made."""
    names = settings.colour_names
    return {
        "similarity": "cosine",
        "settings": {**asdict(settings.crops), "crop": list(settings.crops.crop)},
        "training": {
            "words": settings.words,
            "most_patches": settings.most_patches,
            "most_people": settings.most_people,
            "seed": settings.seed,
            "colour_names": "focal colours" if names is None else f"file {_digest_of(names)[:12]}",
            "appearances": len(crops),
            "digest": crops.digest,
        },
    }


def _digest_of(path: Path) -> str:
    """Hex digest of the table's file; a missing one is told as such by its reader."""
    return sha256_of(path) if path.is_file() else ""


def _learned(
    crops: LabelledCrops, settings: BowSettings, said: dict[str, Any], cache: Path, progress: Progress
) -> Words:
    table = focal_table() if settings.colour_names is None else read_table(settings.colour_names)
    roots = root_shares(table)
    rows = np.arange(len(crops))
    if len(rows) > settings.most_people:
        chosen = np.random.default_rng([settings.seed, 1]).choice(rows, settings.most_people, replace=False)
        rows = np.sort(chosen)

    def words() -> dict[str, Array]:
        drawn = _draw_patches(crops, rows, roots, settings, progress)
        return {"words": codebook(drawn, settings.words, settings.seed)}

    made_of = {**said, "version": 1}
    found, _ = stage(cache, "words", made_of, words)
    weights, _ = stage(
        cache, "weights", made_of, lambda: _weights(crops, rows, roots, found["words"], settings, progress)
    )
    return Words(table=table, words=found["words"], **weights)


def _draw_patches(
    crops: LabelledCrops, rows: Array, roots: Array, settings: BowSettings, progress: Progress
) -> Array:
    """(n, 11) patches drawn evenly from all people and places."""
    rng = np.random.default_rng([settings.seed, 2])
    count = int(np.prod(settings.crops.grid))
    each = max(1, min(count, settings.most_patches // len(rows)))
    drawn = []
    for pixels in progress(crops.take(rows), "drawing patches", total=len(crops.files)):
        for crop in pixels:
            places = rng.choice(count, each, replace=False)
            drawn.append(patch_names(crop, roots, settings.crops)[places])
    return np.concatenate(drawn)


def codebook(patches: Array, words: int, seed: int) -> Array:
    """(words, 11) float32 centres of k-means; deterministic in ``seed``.

    Raises:
        DatasetError: there are fewer distinct patches than words.

    >>> codebook(np.array([[0.0], [1.0], [4.0], [5.0]]), 2, 0).ravel().tolist()
    [0.5, 4.5]
    """
    from sklearn.cluster import KMeans  # slow to import, and only needed to train
    from sklearn.exceptions import ConvergenceWarning

    too_few = DatasetError(
        f"the training people have fewer than {words} kinds of patches",
        hint="train on more people, or ask for fewer words",
    )
    if len(patches) < words:
        raise too_few
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            found = KMeans(words, n_init=1, max_iter=100, random_state=seed).fit(
                np.asarray(patches, np.float64)
            )
        except ConvergenceWarning as error:
            raise too_few from error
    # In an order of their own: two runs with the same words are the same to the byte.
    centres: Array = found.cluster_centers_.astype(np.float32)
    ordered: Array = centres[np.lexsort(centres.T[::-1])]
    return ordered


def _weights(
    crops: LabelledCrops, rows: Array, roots: Array, words: Array, settings: BowSettings, progress: Progress
) -> dict[str, Array]:
    """IDF of the words, and the mean of the vectors weighted by it.

    The mean needs the IDF, which needs everybody: counts are kept in between (4,000 people of
    5,600 numbers: 90 MB).
    """
    stripes = settings.crops.stripes
    counts = np.empty((len(rows), stripes, len(words)), np.float32)
    row = 0
    for pixels in progress(crops.take(rows), "counting words", total=len(crops.files)):
        for crop in pixels:
            counts[row] = word_counts(patch_names(crop, roots, settings.crops), words, settings.crops)
            row += 1
    shares = counts.sum(axis=1, dtype=np.float64)
    idf = average_idf(shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    total = np.zeros(stripes * len(words))
    for one in counts:
        total += weighted(one, idf)
    return {"idf": idf, "mean": (total / len(rows)).astype(np.float32)}
