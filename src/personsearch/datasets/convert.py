"""A data set in another layout: everything that it can hold, and nothing silently lost.

The copy is made beside its place under another name and moved there when it is whole and has
been read back: what an interrupted conversion leaves is no data set, and the same call goes on
with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from personsearch.datasets.checks import count
from personsearch.datasets.convert_fit import fit, renamed
from personsearch.datasets.convert_material import Loss, Material, Target, read_material
from personsearch.datasets.dataset import Dataset, Split
from personsearch.datasets.open import open_dataset
from personsearch.datasets.rows import sized
from personsearch.datasets.staging import Transfer, build, check_free, transfer
from personsearch.errors import DatasetError
from personsearch.progress import Progress, silent
from personsearch.types import Query, Trials


@dataclass(frozen=True, kw_only=True)
class ConversionSettings:
    """How to convert.

    Attributes:
        target: the layout to write.
        pictures: copy them, link to them where they are, or leave them away.
        allow: what may be lost: nothing, fractions of pixels (``round``), or whatever the layout
            cannot hold (``lossy``).
        seed: of galleries that have to be drawn.
    """

    target: Target
    pictures: Transfer = "copy"
    allow: Literal["nothing", "round", "lossy"] = "nothing"
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What was written.

    Attributes:
        root: the new data set.
        counts: pictures, boxes and identities of each half, as read back.
        losses: what the layout could not hold.
        renamed: pictures that have another name now.
    """

    root: Path
    counts: Mapping[str, int | None]
    losses: tuple[Loss, ...]
    renamed: int


class NotHeldError(DatasetError):
    """The layout cannot hold everything, and nothing was said to be lost (exit code 4).

    Args:
        target: the layout.
        losses: what it cannot hold.
    """

    def __init__(self, target: str, losses: Sequence[Loss]) -> None:
        rounding = all(loss.cure == "round" for loss in losses)
        super().__init__(
            f"{target} cannot hold all of it: {'; '.join(f'{loss.count:,} {loss.what}' for loss in losses)}",
            hint="--round puts boxes on whole pixels" if rounding else "--lossy goes on without what is lost",
        )
        self.losses = tuple(losses)


def convert(
    dataset: Dataset, out: Path, settings: ConversionSettings, *, progress: Progress = silent
) -> Conversion:
    """Write ``dataset`` to ``out`` in another layout.

    Args:
        dataset: what to convert; it is only read.
        out: folder of the new data set; new or empty.
        settings: layout, pictures, and what may be lost.
        progress: told of every gallery read and picture copied.

    Raises:
        NotHeldError: the layout cannot hold everything, and ``settings`` does not allow for it.
        UsageError: ``out`` is not empty, or holds an interrupted conversion of something else.
        DatasetError: the data set is damaged, or a picture is missing.
    """
    out = Path(out)
    check_free(out, dataset.root)
    source = read_material(dataset, progress)
    material, losses = fit(source, settings.target, settings.seed)
    refused = [loss for loss in losses if settings.allow == "nothing" or loss.cure != "round"]
    if settings.allow != "lossy" and refused:
        raise NotHeldError(settings.target, refused)
    counts: dict[str, int | None] = {}
    names = dict(material.renamed)

    def make(part: Path) -> dict[str, Any]:
        places = _WRITERS[settings.target](part, material, progress)
        pairs = zip(source.scenes, material.scenes, strict=True)
        transfer(part, [(old, places[new.name]) for old, new in pairs], settings.pictures, progress)
        counts.update(_read_back(part, settings, material))
        lost = [{"count": loss.count, "what": loss.what} for loss in losses]
        if settings.target == "mot":
            names.update({old: new.as_posix() for old, new in places.items() if old != new.as_posix()})
        return {"losses": lost, "renamed": names}

    asked = {
        "schema": "personsearch.conversion/1",
        "dataset": dataset.name,
        "root": str(dataset.root.resolve()),
        "layout": settings.target,
        "pictures": settings.pictures,
        "seed": settings.seed,
    }
    build(out, asked, make)
    return Conversion(root=out, counts=counts, losses=losses, renamed=len(names))


def _write_cuhk_sysu(root: Path, material: Material, progress: Progress) -> dict[str, Path]:
    from personsearch.datasets.cuhk_sysu import PICTURES
    from personsearch.datasets.cuhk_sysu_writer import write_annotations

    write_annotations(
        root,
        train=material.train,
        test=material.test,
        galleries=material.galleries,
        occlusion=material.subsets.get("occlusion"),
        low_resolution=material.subsets.get("low-resolution"),
    )
    return {scene.name: PICTURES / scene.name for scene in material.scenes}


def _write_prw(root: Path, material: Material, progress: Progress) -> dict[str, Path]:
    from personsearch.datasets.prw_files import FRAMES
    from personsearch.datasets.prw_writer import write_prw

    assert material.whole is not None  # fitting sees to it
    numbers = {split: _as_numbers(material.names.get(split)) for split in get_args(Split)}
    if any(found is None for found in numbers.values()):
        numbers = dict.fromkeys(numbers)
    write_prw(
        root,
        train=material.train,
        test=material.test,
        queries=queries_of(material.whole),
        train_ids=numbers["train"],
        test_ids=numbers["test"],
    )
    return {scene.name: Path(FRAMES) / scene.name for scene in material.scenes}


def _write_coco(root: Path, material: Material, progress: Progress) -> dict[str, Path]:
    from personsearch.datasets.coco import PICTURES
    from personsearch.datasets.coco_writer import write_coco

    given = {split: names for split, names in material.names.items() if names is not None}
    names = given if len(given) == len(get_args(Split)) else None
    known = [sized(scene) for scene in progress(material.scenes, "reading headers")]
    write_coco(
        root,
        train=known[: len(material.train)],
        test=known[len(material.train) :],
        person_names=names,
        frames=material.frames,
    )
    _write_protocols(root, material, None if names is None else names["test"])
    return {scene.name: PICTURES / scene.name for scene in material.scenes}


def _write_mot(root: Path, material: Material, progress: Progress) -> dict[str, Path]:
    from personsearch.datasets.mot_writer import write_mot

    sizes: dict[str | None, set[tuple[int, int] | None]] = {}
    for scene in material.scenes:
        sizes.setdefault(scene.camera, set()).add(scene.size)
    # A sequence says one size or none; pictures know theirs themselves.
    fitting = material.with_scenes(lambda s: replace(s, size=s.size if len(sizes[s.camera]) == 1 else None))
    places = write_mot(root, train=fitting.train, test=fitting.test)
    names = {name: place.as_posix() for name, place in places.items()}
    most = max((int(scene.people.max(initial=-1)) for scene in fitting.test), default=-1) + 1
    _write_protocols(root, renamed(fitting, names), [str(person + 1) for person in range(most)])
    return places


def _write_protocols(root: Path, material: Material, names: Sequence[str] | None) -> None:
    """All searches as JSON files; those that a reader would draw by itself are not written."""
    from personsearch.datasets.protocol_file import write_protocol_file
    from personsearch.datasets.protocol_folder import DEFAULT, gallery_file, subset_file

    searches = {gallery_file(size): trials for size, trials in material.galleries.items()}
    searches |= {subset_file(subset): trials for subset, trials in material.subsets.items()}
    if material.whole is not None and "queries=drawn" not in material.whole.name:
        searches[DEFAULT] = material.whole
    for path, trials in searches.items():
        write_protocol_file(root / path, trials, person_names=names)


_Writer = Callable[[Path, Material, Progress], dict[str, Path]]
_WRITERS: Mapping[Target, _Writer] = {
    "cuhk-sysu": _write_cuhk_sysu,
    "prw": _write_prw,
    "coco": _write_coco,
    "mot": _write_mot,
}


def queries_of(trials: Trials) -> list[Query]:
    """The queries of searches, in their order."""
    rows = zip(trials.query_scene.tolist(), trials.query_box, trials.query_person.tolist(), strict=True)
    return [Query(trials.scenes[scene], box, person) for scene, box, person in rows]


def _as_numbers(names: Sequence[str] | None) -> list[int] | None:
    """Names that are whole numbers, as such; None where one is something else."""
    if names is None or not all(name.isdecimal() and name.isascii() and len(name) < 8 for name in names):
        return None
    return [int(name) for name in names]


def _read_back(root: Path, settings: ConversionSettings, material: Material) -> dict[str, int | None]:
    """What a reader sees in the new folder, which must be what was to be written."""
    dataset = open_dataset(settings.target, root)
    splits: tuple[Split, Split] = get_args(Split)
    here = count({split: dataset.scenes(split) for split in splits})
    wanted = count({"train": material.train, "test": material.test})
    if here != wanted:
        differ = next(key for key in wanted if wanted[key] != here[key])
        raise DatasetError(
            f"{root} reads back with {here[differ]} {differ.replace('_', ' ')} instead of {wanted[differ]}",
            hint="two boxes of one picture may have become equal; this copy is not finished",
        )
    return here
