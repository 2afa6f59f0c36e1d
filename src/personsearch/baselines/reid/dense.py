"""DenseSIFT + ColorHist, reduced to 256 numbers, compared by Euclidean distance or by a learned metric.

The paper's first two descriptors (Xiao et al. 2016, section 5.1). It says only "reduced to 256
dimension by using PCA"; here is what that is taken to mean. All patches of a person are put one
after the other, top to bottom, so that a number stands for one place on the body: whoever
averages patches first forgets where the red was. Those are 300 x 672 = 201,600 numbers, whose
projection alone would be 200 MB; so PCA is done twice: every patch to 64 numbers, by one
projection for all places, and the 300 x 64 = 19,200 numbers of the person to 256.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.baselines.parts import Part, read_part
from personsearch.baselines.reid.crops import described
from personsearch.baselines.reid.patches import PatchSettings, describe_patches
from personsearch.errors import InputError
from personsearch.types import Array, Picture, Similarity

EUCLIDEAN, KISSME = "dense-euclidean", "dense-kissme"


@dataclass(frozen=True, eq=False, kw_only=True)
class Reduction:
    """Two projections onto principal components.

    Attributes:
        patch_mean, patch_basis: (p,) and (k, p): every patch to k numbers.
        mean, basis: (m k,) and (d, m k): all m patches of a person to d numbers.
    """

    patch_mean: Array
    patch_basis: Array
    mean: Array
    basis: Array

    def patches(self, patches: Array) -> Array:
        """(m k,) float32 of one person's patches (m, p), one after the other."""
        return ((patches - self.patch_mean) @ self.patch_basis.T).ravel()

    def people(self, rows: Array) -> Array:
        """(n, d) float32 of what :meth:`patches` gave for each of n people."""
        reduced: Array = (rows - self.mean) @ self.basis.T
        return reduced


class DenseEmbedder:
    """Describes people by colour and gradient of their patches; an ``Embedder`` without a network.

    Args:
        settings: how a crop is taken apart.
        reduction: learned on training people.
        metric: (r, d) of KISSME, applied to what the reduction gives; None: plain Euclidean distance.
        fingerprint: of the part's folder.
        name: how people call it.
    """

    similarity: Similarity = "euclidean"

    def __init__(
        self,
        settings: PatchSettings,
        reduction: Reduction,
        metric: Array | None = None,
        *,
        fingerprint: str = "",
        name: str = "",
    ) -> None:
        self.settings, self.metric = settings, metric
        self.fingerprint, self.name = fingerprint, name
        if metric is not None:  # two linear maps are one
            reduction = dataclasses.replace(reduction, basis=(metric @ reduction.basis).astype(np.float32))
        self._reduction = reduction

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return len(self._reduction.basis)

    def embed(self, picture: Picture, boxes: Array) -> Array:
        """(n, dim) float32 descriptions of the people in ``boxes`` (n, 4), pixels of ``picture``.

        Raises:
            InputError: a box has no area inside the picture.
        """
        return described(self.describe, picture, boxes, self.settings.crop, self.dim)

    def describe(self, crops: Array) -> Array:
        """(n, dim) float32 descriptions of crops (n, h, w, 3) uint8 of the settings' size."""
        rows = [self._reduction.patches(describe_patches(crop, self.settings)) for crop in crops]
        return self._reduction.people(np.stack(rows)).astype(np.float32)


def read_dense(folder: Path) -> DenseEmbedder:
    """The descriptor in the part folder ``folder``, with its learned metric if it has one.

    Raises:
        InputError: there is none, it is damaged, or it is a part of another kind.
    """
    return dense_of(read_part(Path(folder)), str(folder))


def dense_of(part: Part, where: str) -> DenseEmbedder:
    """The descriptor that ``part`` holds; ``where`` it was read from, for messages."""
    if part.kind not in (EUCLIDEAN, KISSME):
        raise InputError(
            f"{where} holds a part of kind {part.kind!r}, not a patch descriptor",
            hint="give the folder of a trained patch descriptor",
        )
    settings = _settings(part, where)
    rows, columns = settings.grid
    found = {name: np.asarray(array) for name, array in part.arrays.items()}
    length = len(found.get("patch_basis", ()))
    dim = len(found.get("basis", ()))
    wanted = {
        "patch_mean": (settings.length,),
        "patch_basis": (length, settings.length),
        "mean": (rows * columns * length,),
        "basis": (dim, rows * columns * length),
    }
    if part.kind == KISSME:
        wanted["metric"] = (len(found.get("metric", ())), dim)
    check_arrays(found, wanted, where)
    reduction = Reduction(**{name: found[name] for name in ("patch_mean", "patch_basis", "mean", "basis")})
    return DenseEmbedder(
        settings,
        reduction,
        found.get("metric") if part.kind == KISSME else None,
        fingerprint=part.fingerprint,
        name=part.kind,
    )


def check_arrays(found: dict[str, Array], wanted: dict[str, tuple[int, ...]], where: str) -> None:
    """Hold the arrays of a part against the shapes that its settings ask for."""
    for name, shape in wanted.items():
        array = found.get(name)
        if array is None or array.shape != shape or 0 in shape or not np.isfinite(array).all():
            said = "missing" if array is None else f"{array.shape}" if array.shape != shape else "not finite"
            raise InputError(
                f"{where} does not fit its settings: {name} is {said}, it should be {shape}",
                hint="train the part again",
            )


def _settings(part: Part, where: str) -> PatchSettings:
    """How crops are taken apart, as the part's configuration says."""
    try:
        said: dict[str, Any] = part.settings["settings"]
        height, width = (int(side) for side in said["crop"])
        patch, step, bins = (int(said[name]) for name in ("patch", "step", "bins"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{where} does not say how crops are taken apart", hint="train it again") from error
    settings = PatchSettings(crop=(height, width), patch=patch, step=step, bins=bins)
    check_patches(settings)
    return settings


def check_patches(settings: PatchSettings) -> None:
    """Refuse settings that leave no patch.

    Raises:
        InputError: the patch is larger than half of the crop, or a number is not positive.
    """
    smallest = min(settings.crop) // 2
    if not (2 <= settings.patch <= smallest and settings.step >= 1 and 2 <= settings.bins <= 256):
        raise InputError(
            f"crops of {settings.crop} pixels cannot be taken apart into patches of {settings.patch} "
            f"every {settings.step} with {settings.bins} bins",
            hint="a patch has 2 pixels or more and at most half of the crop's shorter side",
        )
