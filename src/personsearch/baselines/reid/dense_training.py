"""Learning the projections of the patch descriptor, and the metric on top of it, from labelled people."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.baselines.parts import CONFIG, read_part, save_part
from personsearch.baselines.reid.crops import LabelledCrops, cut_labelled
from personsearch.baselines.reid.dense import (
    EUCLIDEAN,
    KISSME,
    DenseEmbedder,
    Reduction,
    check_patches,
    read_dense,
)
from personsearch.baselines.reid.kissme import learn_metric
from personsearch.baselines.reid.patches import PatchSettings, describe_patches
from personsearch.baselines.reid.stages import stage
from personsearch.errors import DatasetError, UsageError
from personsearch.progress import Progress, silent
from personsearch.types import Array, Scene

PATCH_PEOPLE = 1000
"""The projection of patches is learned from the patches of at most so many people."""


@dataclass(frozen=True, kw_only=True)
class DenseSettings:
    """How the projections are learned.

    Attributes:
        patches: how a crop is taken apart.
        patch_dim: numbers that a patch is reduced to.
        dim: numbers that a person is reduced to (256 in the paper).
        most_people: people's appearances that the projections are learned from; more are drawn from.
        most_patches: patches that the first projection is learned from.
        seed: of the drawing.
    """

    patches: PatchSettings = field(default_factory=PatchSettings)
    patch_dim: int = 64
    dim: int = 256
    most_people: int = 4000
    most_patches: int = 60_000
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class KissmeSettings:
    """How the metric is learned.

    Attributes:
        dense: the descriptor that it is learned on.
        pairs: at most so many pairs of one person, and as many of two.
        shrinkage: of both matrices towards a multiple of the unit matrix.
        seed: of the drawing.
    """

    dense: DenseSettings = field(default_factory=DenseSettings)
    pairs: int = 200_000
    shrinkage: float = 0.05
    seed: int = 0


def train_dense(
    scenes: Sequence[Scene],
    settings: DenseSettings,
    folder: Path,
    *,
    cache: Path | None = None,
    progress: Progress = silent,
) -> DenseEmbedder:
    """The patch descriptor with Euclidean distance, learned from the labelled people of ``scenes``.

    Killed and called again it goes on behind the last finished step; a finished part is read.

    Args:
        folder: of the part.
        cache: for crops and intermediate steps, which then stay there and are shared with other
            trainings on the same scenes; None: beside the part, and deleted at the end.

    Raises:
        DatasetError: nobody is labelled, or too few people.
        UsageError: ``folder`` holds a part that was trained otherwise.
        InputError: a picture cannot be read.
    """
    with_cache = cache if cache is not None else folder / "unfinished"
    crops = cut_labelled(scenes, settings.patches.crop, with_cache, progress=progress)
    said = _said(settings, crops)
    if not finished(folder, EUCLIDEAN, said):
        reduction, _ = _reduction(crops, settings, with_cache, progress)
        save_part(folder, EUCLIDEAN, said, vars(reduction))
    if cache is None:
        shutil.rmtree(with_cache, ignore_errors=True)
    return read_dense(folder)


def train_kissme(
    scenes: Sequence[Scene],
    settings: KissmeSettings,
    folder: Path,
    *,
    cache: Path | None = None,
    progress: Progress = silent,
) -> DenseEmbedder:
    """The patch descriptor with the learned metric; both are in the part, which stands alone.

    Args and errors are those of :func:`train_dense`; people have to appear more than once.
    """
    with_cache = cache if cache is not None else folder / "unfinished"
    dense = settings.dense
    crops = cut_labelled(scenes, dense.patches.crop, with_cache, progress=progress)
    said = _said(dense, crops) | {
        "pairs": settings.pairs,
        "shrinkage": settings.shrinkage,
        "metric_seed": settings.seed,
    }
    if not finished(folder, KISSME, said):
        reduction, digest = _reduction(crops, dense, with_cache, progress)
        embedder = DenseEmbedder(dense.patches, reduction)

        def describe() -> Mapping[str, Array]:
            shards = progress(crops.shards(), "describing people", total=len(crops.files))
            return {"vectors": np.concatenate([embedder.describe(pixels) for pixels in shards])}

        described, _ = stage(with_cache, "vectors", {"reduction": digest}, describe)
        metric = learn_metric(
            described["vectors"],
            crops.people,
            pairs=settings.pairs,
            shrinkage=settings.shrinkage,
            seed=settings.seed,
        )
        save_part(folder, KISSME, said, {**vars(reduction), "metric": metric.astype(np.float32)})
    if cache is None:
        shutil.rmtree(with_cache, ignore_errors=True)
    return read_dense(folder)


def finished(folder: Path, kind: str, said: Mapping[str, Any]) -> bool:
    """Whether ``folder`` holds the finished part of this kind, trained in just this way.

    Raises:
        UsageError: it holds another part.
    """
    if not (folder / CONFIG).exists():
        return False
    part = read_part(folder)
    if part.kind != kind or part.settings != dict(said):
        raise UsageError(
            f"{folder} holds a {part.kind} part that was trained otherwise",
            hint="give another folder, or delete that one",
        )
    return True


def _said(settings: DenseSettings, crops: LabelledCrops) -> dict[str, Any]:
    """What the part's configuration says of how it was made."""
    patches = settings.patches
    return {
        "similarity": "euclidean",
        "settings": {**asdict(patches), "crop": list(patches.crop)},
        "training": {
            **{key: value for key, value in asdict(settings).items() if key != "patches"},
            "people": len(np.unique(crops.people)),
            "appearances": len(crops),
            "digest": crops.digest,
        },
    }


def _reduction(
    crops: LabelledCrops, settings: DenseSettings, cache: Path, progress: Progress
) -> tuple[Reduction, str]:
    """Both projections, and the digest of what they were learned from."""
    check_patches(settings.patches)
    if len(crops) < 3:
        raise DatasetError(
            f"only {len(crops)} labelled people to learn projections from", hint="label more people"
        )
    rows = np.arange(len(crops))
    if len(crops) > settings.most_people:
        chosen = np.random.default_rng([settings.seed, 1]).choice(rows, settings.most_people, replace=False)
        rows = np.sort(chosen)
    made_of = {"crops": crops.digest, **asdict(settings), "version": 1}
    first, _ = stage(cache, "patches", made_of, lambda: _patch_projection(crops, rows, settings, progress))
    second, digest = stage(
        cache, "people", made_of, lambda: _people_projection(crops, rows, settings, first, progress)
    )
    return Reduction(**first, **second), digest


def _patch_projection(
    crops: LabelledCrops, rows: Array, settings: DenseSettings, progress: Progress
) -> dict[str, Array]:
    """Principal components of patches drawn evenly from all people and places."""
    rng = np.random.default_rng([settings.seed, 2])
    columns = int(np.prod(settings.patches.grid))
    if len(rows) > PATCH_PEOPLE:  # describing a person costs the same for one patch as for all
        rows = np.sort(rng.choice(rows, PATCH_PEOPLE, replace=False))
    each = max(1, min(columns, settings.most_patches // len(rows)))
    drawn = []
    for pixels in progress(crops.take(rows), "learning patches", total=len(crops.files)):
        for crop in pixels:
            places = rng.choice(columns, each, replace=False)
            drawn.append(describe_patches(crop, settings.patches)[places])
    mean, basis = principal_components(np.concatenate(drawn), settings.patch_dim, settings.seed)
    return {"patch_mean": mean, "patch_basis": basis}


def _people_projection(
    crops: LabelledCrops,
    rows: Array,
    settings: DenseSettings,
    first: Mapping[str, Array],
    progress: Progress,
) -> dict[str, Array]:
    """Principal components of whole people."""
    columns = int(np.prod(settings.patches.grid)) * len(first["patch_basis"])
    nothing = np.zeros((0, columns), np.float32)
    reduction = Reduction(**first, mean=nothing, basis=nothing)
    table = np.empty((len(rows), columns), np.float32)
    row = 0
    for pixels in progress(crops.take(rows), "learning people", total=len(crops.files)):
        for crop in pixels:
            table[row] = reduction.patches(describe_patches(crop, settings.patches))
            row += 1
    mean, basis = principal_components(table, settings.dim, settings.seed)
    return {"mean": mean, "basis": basis}


def principal_components(table: Array, most: int, seed: int) -> tuple[Array, Array]:
    """(d,) mean and (k, d) orthonormal directions of largest variance, k at most ``most`` and rows - 1.

    >>> mean, basis = principal_components(np.array([[0.0, 1], [2, 1], [4, 1]]), 1, 0)
    >>> mean.tolist(), np.abs(basis).round(6).tolist()
    ([2.0, 1.0], [[1.0, 0.0]])
    """
    from sklearn.decomposition import PCA  # slow to import, and only needed to train

    rank = min(most, len(table) - 1, table.shape[1])
    found = PCA(rank, random_state=seed).fit(table)
    return found.mean_.astype(np.float32), found.components_.astype(np.float32)
