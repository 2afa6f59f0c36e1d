"""The six trained parts of the paper's Table 2, each in a folder of its own; what is finished is skipped."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from personsearch.baselines.acf.settings import AcfSettings
from personsearch.baselines.acf.train import train_acf
from personsearch.baselines.open import TRAINED
from personsearch.baselines.parts import CONFIG, WEIGHTS
from personsearch.baselines.reid.bow import WordSettings
from personsearch.baselines.reid.bow_training import BowSettings, train_bow
from personsearch.baselines.reid.dense_training import (
    DenseSettings,
    KissmeSettings,
    train_dense,
    train_kissme,
)
from personsearch.errors import UsageError
from personsearch.files import WriterLock, disk_errors, sha256_of, write_json
from personsearch.model.network import capacity
from personsearch.model.presets import build_network
from personsearch.progress import Progress, clock, silent
from personsearch.training.folder import data_summary
from personsearch.training.presets import deep, idnet
from personsearch.training.presets import preset as training_preset
from personsearch.training.settings import TrainingSettings, shaping
from personsearch.training.train import make_plan, train
from personsearch.types import Scene

STATE, LOCK, CACHE = "baselines.json", "lock", "unfinished"
SCHEMA = "personsearch.baselines-training/1"
NETWORKS = {"tiny": "compact-tiny", "demo": "demo", "medium": "medium"}
"""Which training preset each preset of the baselines takes its networks from."""
PRESETS = tuple(NETWORKS)


@dataclass(frozen=True, kw_only=True)
class BaselineSettings:
    """All six trainings.

    Attributes:
        acf, dense, kissme, bow: of the classical parts; ``kissme`` stands on ``dense``.
        deep, idnet: of the two networks.
        joint: of the network that both are parts of, for its size.
    """

    acf: AcfSettings
    dense: DenseSettings
    kissme: KissmeSettings
    bow: BowSettings
    deep: TrainingSettings
    idnet: TrainingSettings
    joint: TrainingSettings

    def with_seed(self, seed: int) -> BaselineSettings:
        """The same trainings with other draws."""
        dense = dataclasses.replace(self.dense, seed=seed)
        return BaselineSettings(
            acf=dataclasses.replace(self.acf, seed=seed),
            dense=dense,
            kissme=dataclasses.replace(self.kissme, dense=dense, seed=seed),
            bow=dataclasses.replace(self.bow, seed=seed),
            deep=dataclasses.replace(self.deep, seed=seed),
            idnet=dataclasses.replace(self.idnet, seed=seed),
            joint=dataclasses.replace(self.joint, seed=seed),
        )

    def of(self, kind: str) -> dict[str, Any]:
        """What shapes one of the six parts, as JSON."""
        chosen = self.dense if kind == "euclidean" else getattr(self, kind)
        given = (
            shaping(chosen.to_json()) if isinstance(chosen, TrainingSettings) else dataclasses.asdict(chosen)
        )
        plain: dict[str, Any] = json.loads(json.dumps(given))
        return plain


def baseline_preset(name: str) -> BaselineSettings:
    """The trainings called ``tiny`` (tests), ``demo`` or ``medium``: networks as in that preset of ``train``.

    The classical parts are as their sources have them, whatever the preset: they take what they
    need from the data. Only ``tiny``, whose data set has a dozen people, makes do with less.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in NETWORKS:
        raise UsageError(
            f"there is no preset {name!r} of baselines", hint=f"choose one of {', '.join(PRESETS)}"
        )
    joint = training_preset(NETWORKS[name])
    acf, dense, bow = AcfSettings(), DenseSettings(), BowSettings()
    if name == "tiny":
        acf = AcfSettings(trees=(4, 8), views=1, negatives=200, negatives_added=100, feature_share=0.02)
        dense = DenseSettings(patch_dim=8, dim=8, most_patches=2000)
        bow = BowSettings(crops=WordSettings(assigned=3), words=8, most_patches=1000)
    return BaselineSettings(
        acf=acf,
        dense=dense,
        kissme=KissmeSettings(dense=dense),
        bow=bow,
        deep=deep(joint),
        idnet=idnet(joint),
        joint=joint,
    )


@dataclass(frozen=True, kw_only=True)
class TrainedPart:
    """One finished part.

    Attributes:
        kind: as ``--model`` takes it.
        folder: where it lies. fingerprint: of it.
        seconds: that its training took, over all runs but what was cut off by a hard kill.
        skipped: whether an earlier call had finished it.
    """

    kind: str
    folder: Path
    fingerprint: str
    seconds: float
    skipped: bool


@dataclass(frozen=True, kw_only=True)
class TrainedParts:
    """What a call did.

    Attributes:
        parts: in the order of training.
        capacity: weights of the networks among them, and beside ``idnet`` of ``joint``: the paper's
            5.1 says of IDNet that it "is approximately the same as our framework".
    """

    parts: tuple[TrainedPart, ...]
    capacity: dict[str, int]


def train_baselines(
    scenes: Sequence[Scene],
    out: Path,
    preset: str = "demo",
    *,
    only: Sequence[str] = TRAINED,
    seed: int | None = None,
    device: str = "auto",
    progress: Progress = silent,
    source: dict[str, str] | None = None,
    settings: BaselineSettings | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> TrainedParts:
    """Train what is not finished yet of ``only``, each part in ``out/KIND``.

    Killed at any moment, the same call goes on in the middle of a part. Crops and intermediate
    steps that the classical parts share lie in ``out/unfinished`` until all of ``only`` are done.

    Args:
        scenes: the training half of a data set.
        out: folder that belongs to these parts.
        preset: see :func:`baseline_preset`.
        only: which of the six; the order of training is the table's.
        seed: None takes the presets' own.
        source: where the scenes came from, in the caller's words, for the record.
        settings: in the place of the preset's; ``preset`` is then what ``out`` calls them.
        say: hears a line at the beginning and end of every part.

    Raises:
        UsageError: ``out`` holds parts of another preset, seed, settings or data, or a name is unknown.
        DatasetError: the scenes have too few people with an identity for a part that learns them; where
            it is ``idnet``, nothing has been trained or written by then.
        LockedError: another process trains there.
    """
    unknown = [name for name in only if name not in TRAINED]
    if unknown or not only:
        raise UsageError(
            f"there is no baseline called {unknown[0]!r}" if unknown else "no baseline is asked for",
            hint=f"choose among {', '.join(TRAINED)}",
        )
    settings = baseline_preset(preset) if settings is None else settings
    if seed is not None:
        settings = settings.with_seed(seed)
    _check_own(out)
    sizes = capacities(scenes, settings, only)  # first, as it refuses data that idnet cannot learn from
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    lock = WriterLock(out / LOCK)
    try:
        book = _Book(out, {"preset": preset, "seed": seed, "data": data_summary(scenes)}, source or {})
        todo = _trainings(scenes, out, settings, device, progress)
        parts = []
        for kind in (kind for kind in TRAINED if kind in only):
            book.check(kind, settings.of(kind))
            parts.append(_one(kind, out / kind, todo[kind], book, say))
        shutil.rmtree(out / CACHE, ignore_errors=True)
    finally:
        lock.release()
    return TrainedParts(parts=tuple(parts), capacity=sizes)


def capacities(
    scenes: Sequence[Scene], settings: BaselineSettings, only: Sequence[str] = TRAINED
) -> dict[str, int]:
    """Weights of the networks in ``only``, and beside IDNet's the joint network's, for these people.

    Raises:
        DatasetError: the scenes have too few people with an identity for one of them.
    """
    counts = {}
    wanted = {"deep": "deep", "idnet": "idnet", "joint": "idnet"}
    for name in (name for name, part in wanted.items() if part in only):
        plan = make_plan(scenes, getattr(settings, name))
        with torch.device("meta"):
            counts[name] = capacity(build_network(plan.settings.model))["all"]
    return counts


def _trainings(
    scenes: Sequence[Scene], out: Path, settings: BaselineSettings, device: str, progress: Progress
) -> dict[str, Callable[[Path], Any]]:
    """How each part is trained into its folder."""
    cache = out / CACHE

    def network(chosen: TrainingSettings) -> Callable[[Path], Any]:
        return lambda folder: train(scenes, folder, chosen, device=device, progress=progress)

    return {
        "acf": lambda folder: train_acf(scenes, settings.acf, folder, progress=progress),
        "deep": network(settings.deep),
        "euclidean": lambda folder: train_dense(
            scenes, settings.dense, folder, cache=cache, progress=progress
        ),
        "kissme": lambda folder: train_kissme(
            scenes, settings.kissme, folder, cache=cache, progress=progress
        ),
        "bow": lambda folder: train_bow(scenes, settings.bow, folder, cache=cache, progress=progress),
        "idnet": network(settings.idnet),
    }


def _check_own(out: Path) -> None:
    """Raise UsageError unless ``out`` is new, empty, or holds baselines: nothing else is trained into."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder", hint="give a new folder with --out")
    if out.is_dir() and not (out / STATE).exists():
        foreign = next((path for path in out.iterdir() if path.name != LOCK), None)
        if foreign is not None:
            raise UsageError(
                f"{out} is not empty and holds no baselines ({foreign.name})",
                hint="give another folder with --out",
            )


class _Book:
    """What the folder is made from, and how long each part took."""

    def __init__(self, out: Path, made_from: dict[str, Any], source: dict[str, str]) -> None:
        self.path = out / STATE
        self.values: dict[str, Any] = {"schema": SCHEMA, **json.loads(json.dumps(made_from))}
        if self.path.exists():
            found = _read(self.path)
            differs = next((key for key in made_from if found.get(key) != self.values[key]), None)
            if found.get("schema") != SCHEMA or differs is not None:
                raise UsageError(
                    f"{out} holds baselines of another {differs or 'kind'}",
                    hint="give another folder with --out, or remove this one",
                )
            self.values = found
        else:
            self.values |= {"source": source, "seconds": {}}
            self._save()

    def check(self, kind: str, settings: dict[str, Any]) -> None:
        """Raise UsageError where a part was begun with other settings; note them where it was not.

        A part from before settings were written down is taken as it is: its folder tells no better.
        """
        known = self.values.setdefault("settings", {})
        if kind not in known and kind not in self.values["seconds"]:
            known[kind] = settings
            self._save()
        elif known.get(kind, settings) != settings:
            raise UsageError(
                f"{self.path.parent / kind} was trained with other settings",
                hint="remove it and its entries in baselines.json, or give another folder with --out",
            )

    def spent(self, kind: str) -> float:
        """Seconds that all runs have spent on a part."""
        return float(self.values["seconds"].get(kind, 0.0))

    def add(self, kind: str, seconds: float) -> None:
        """Note that so many more seconds were spent."""
        self.values["seconds"][kind] = round(self.spent(kind) + seconds, 2)
        self._save()

    def _save(self) -> None:
        write_json(self.path, self.values)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read", hint="remove the folder and train again") from error
    if not isinstance(values, dict) or not isinstance(values.get("seconds"), dict):
        raise UsageError(f"{path} holds no record of baselines", hint="remove the folder and train again")
    return values


def _one(
    kind: str, folder: Path, training: Callable[[Path], Any], book: _Book, say: Callable[[str], None]
) -> TrainedPart:
    """Train one part unless it is finished; that it is of these data and settings, the book says."""
    skipped = (folder / CONFIG).exists()
    if skipped:
        say(f"{kind}: finished before")
    else:
        say(f"{kind}: begins")
        start = time.monotonic()
        try:
            training(folder)
        finally:
            book.add(kind, time.monotonic() - start)
        say(f"{kind}: ready after {clock(book.spent(kind))}")
    return TrainedPart(
        kind=kind,
        folder=folder,
        fingerprint=sha256_of(folder / WEIGHTS, folder / CONFIG),
        seconds=book.spent(kind),
        skipped=skipped,
    )
