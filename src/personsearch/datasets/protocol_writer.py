"""Protocols as files that others can use: COCO JSON with JSON protocols, or CUHK-SYSU's layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from personsearch.datasets.coco import PICTURES
from personsearch.datasets.coco_writer import write_coco
from personsearch.datasets.convert_fit import fit
from personsearch.datasets.convert_material import Loss, Material
from personsearch.datasets.cuhk_sysu import PICTURES as CUHK_PICTURES
from personsearch.datasets.cuhk_sysu_writer import write_annotations
from personsearch.datasets.dataset import Subset
from personsearch.datasets.protocol_file import write_protocol_file
from personsearch.datasets.protocol_folder import DEFAULT, MORE, gallery_file, subset_file
from personsearch.datasets.protocol_maker import Protocols
from personsearch.errors import UsageError
from personsearch.files import disk_errors, write_json
from personsearch.types import Trials

Layout = Literal["coco", "cuhk-sysu"]
RECORD = MORE / "made.json"


@dataclass(frozen=True, eq=False, kw_only=True)
class Written:
    """What writing left to do, and what the layout could not hold.

    Attributes:
        places: by name of scene where its picture belongs, below the folder.
        losses: what is not in the files.
    """

    places: Mapping[str, Path]
    losses: tuple[Loss, ...] = ()


def material_of(protocols: Protocols, frames: Mapping[str, int] | None = None) -> Material:
    """``protocols`` as what conversions to any layout start from."""
    subsets: dict[Subset, Trials] = {}
    if protocols.occlusion is not None:
        subsets["occlusion"] = protocols.occlusion
    if protocols.low_resolution is not None:
        subsets["low-resolution"] = protocols.low_resolution
    return Material(
        train=protocols.train,
        test=protocols.test,
        galleries=protocols.galleries,
        whole=protocols.full,
        subsets=subsets,
        frames=frames or {},
    )


def write_protocols(
    root: Path, protocols: Protocols, layout: Layout = "coco", *, frames: Mapping[str, int] | None = None
) -> Written:
    """Annotation and searches below ``root``; putting the pictures there is the caller's.

    ``coco`` writes ``annotations.json``, ``protocol.json`` (every query in all test pictures but its
    own) and ``protocols/gallery_50.json``, ..., ``occlusion.json``, ``low-resolution.json``, with the
    settings in ``made.json``; protocols of an earlier run that these have not are removed.
    ``cuhk-sysu`` writes what that layout can hold, and says what it cannot.

    Args:
        root: folder of the data set.
        protocols: as made.
        layout: which.
        frames: frame numbers by name of picture, where known (coco).

    Raises:
        UsageError: there is no such layout.
        DatasetError: the layout cannot hold the data at all.
    """
    material = material_of(protocols, frames)
    if layout == "cuhk-sysu":
        fitting, losses = fit(material, "cuhk-sysu")
        write_annotations(
            root,
            train=fitting.train,
            test=fitting.test,
            galleries=fitting.galleries,
            occlusion=fitting.subsets.get("occlusion"),
            low_resolution=fitting.subsets.get("low-resolution"),
        )
        pairs = zip(material.scenes, fitting.scenes, strict=True)
        return Written(places={old.name: CUHK_PICTURES / new.name for old, new in pairs}, losses=losses)
    if layout != "coco":
        raise UsageError(f"protocols are not written in layout {layout!r}", hint="one of: coco, cuhk-sysu")
    write_coco(root, train=protocols.train, test=protocols.test, frames=frames)
    files: dict[Path, tuple[Trials, str]] = {DEFAULT: (protocols.full, "every test picture but the query's")}
    for size, trials in protocols.galleries.items():
        files[gallery_file(size)] = (trials, f"{size} pictures drawn for each query, none of them its own")
    for subset, rule in _SUBSET_RULES.items():
        if subset in material.subsets:
            files[subset_file(subset)] = (material.subsets[subset], rule)
    with disk_errors(root):
        for path in (root / MORE).glob("*.json"):
            if path.relative_to(root) not in files:
                path.unlink()
    for name, (trials, rule) in files.items():
        write_protocol_file(root / name, trials, rule=rule)
    record = {
        "settings": asdict(protocols.settings),
        "pictures": {"train": len(protocols.train), "test": len(protocols.test)},
        "people": {"train": len(protocols.train_people), "test": len(protocols.test_people)},
        "queries": len(protocols.queries),
        "left_out": list(protocols.left_out),
        "notes": list(protocols.notes),
    }
    write_json(root / RECORD, record)
    return Written(places={scene.name: PICTURES / scene.name for scene in material.scenes})


_SUBSET_RULES: Mapping[Subset, str] = {
    "occlusion": "queries of whom more than 40% is hidden",
    "low-resolution": "the tenth of the queries with the smallest height",
}
