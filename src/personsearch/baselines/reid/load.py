"""Any classical descriptor by the folder of its part."""

from __future__ import annotations

from pathlib import Path

from personsearch.baselines.parts import read_part
from personsearch.baselines.reid.bow import BOW, BowEmbedder, bow_of
from personsearch.baselines.reid.dense import EUCLIDEAN, KISSME, DenseEmbedder, dense_of
from personsearch.errors import InputError

KINDS = (EUCLIDEAN, KISSME, BOW)


def load_descriptor(folder: Path) -> DenseEmbedder | BowEmbedder:
    """The descriptor in the part folder ``folder``, ready to describe people.

    Raises:
        InputError: there is none, it is damaged, or it is a part of another kind.
    """
    part = read_part(Path(folder))
    if part.kind not in KINDS:
        raise InputError(
            f"{folder} holds a part of kind {part.kind!r}, which describes nobody",
            hint=f"a descriptor is one of {', '.join(KINDS)}",
        )
    return bow_of(part, str(folder)) if part.kind == BOW else dense_of(part, str(folder))
