"""The stages that make something: data, our network, the baselines' parts, and what goes beyond the paper."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.baselines.parts import CONFIG, WEIGHTS
from personsearch.datasets.synthetic.make import make_dataset
from personsearch.datasets.synthetic.presets import preset as data_preset
from personsearch.experiments.ablation import AblationSettings, run_ablation, with_loss
from personsearch.experiments.baseline_training import BaselineSettings, baseline_preset, train_baselines
from personsearch.experiments.benchmark import run_benchmark
from personsearch.experiments.found import found_by_picture
from personsearch.experiments.reproduction.contents import contents
from personsearch.experiments.reproduction.detection_intervals import DRAWS, recall_interval
from personsearch.experiments.reproduction.records import MEASURES, kept
from personsearch.experiments.reproduction.workshop import Workshop
from personsearch.features import Features
from personsearch.files import sha256_of
from personsearch.model.checkpoint import load_searcher
from personsearch.training.folder import data_summary
from personsearch.training.presets import deep, idnet
from personsearch.training.presets import preset as training_preset
from personsearch.training.settings import TrainingSettings, shaping
from personsearch.training.snapshots import INITIAL
from personsearch.training.train import train
from personsearch.types import Scene, Searcher

ENDS = ("low", "high")


def make_data(shop: Workshop) -> dict[str, Any]:
    """Draw the data where none were given, and say which they are."""
    if shop.asked.root is None:
        make_dataset(shop.root, data_preset(shop.size.data), progress=shop.progress)
    train_half, test_half = shop.data.scenes("train"), shop.data.scenes("test")
    return {
        "name": shop.data.name,
        "generated": shop.asked.dataset == "synthetic",
        "train": data_summary(train_half),
        "test": data_summary(test_half),
        "gallery_sizes": list(shop.data.gallery_sizes),
        "gallery_size": shop.gallery_size,
        **contents(shop.data),
    }


def data_settings(shop: Workshop) -> dict[str, Any]:
    """What the data are: annotations, searches and picture files, once they are there."""
    if shop.asked.root is None and not (shop.root / "annotation").is_dir():
        return {"drawn": data_preset(shop.size.data).as_json()}
    halves = (shop.data.scenes("train"), shop.data.scenes("test"))
    return {"checksums": [data_summary(half)["checksum"] for half in halves], **contents(shop.data)}


def folder_fingerprint(folder: Path) -> str | None:
    """Of a part or model in ``folder``; None where there is none."""
    files = (folder / WEIGHTS, folder / CONFIG)
    return sha256_of(*files) if all(file.exists() for file in files) else None


def ablation_settings(shop: Workshop, seeds: tuple[int, ...], only: tuple[str, ...]) -> AblationSettings:
    """Of the ablation that is made here."""
    return AblationSettings(
        preset=shop.size.training,
        seeds=seeds,
        only=only,
        gallery_size=shop.gallery_size,
        points=shop.size.points,
        pretrained=shop.asked.pretrained,
        steps=shop.size.steps,
    )


def train_ours(shop: Workshop) -> dict[str, Any]:
    """Our joint network, unless one was given: stage 1, then stage 2 with RSS."""
    if shop.asked.model is None:
        scenes = shop.data.scenes("train")
        if shop.foreign_ablation is not None:
            train(scenes, shop.our_folder, shop.base(), device=shop.asked.device, progress=shop.progress)
        else:
            settings = ablation_settings(shop, (shop.seed,), ("rss",))
            if folder_fingerprint(shop.our_folder) is None:
                # Its scores without its weights are of no use here; they are made again together.
                (shop.ablation / "results" / f"{shop.our_folder.name}.json").unlink(missing_ok=True)
            run_ablation(
                shop.data, shop.ablation, settings, device=shop.asked.device, progress=shop.progress,
                say=shop.say,
            )  # fmt: skip
    return {"fingerprint": shop.ours.fingerprint, "given": shop.asked.model is not None}


def ours_settings(shop: Workshop) -> dict[str, Any]:
    """The training, or the model that was given."""
    given = shop.asked.model
    return (
        {"training": shaping(shop.base().to_json())}
        if given is None
        else {"model": folder_fingerprint(given)}
    )


def ours_intact(shop: Workshop, result: Mapping[str, Any]) -> bool:
    """Whether the network is there."""
    return bool(folder_fingerprint(shop.our_folder) == result["fingerprint"])


def baseline_settings(shop: Workshop) -> tuple[str, BaselineSettings]:
    """The trainings of the six parts, and what their folder calls them."""
    base = shop.base()
    classical = baseline_preset(shop.size.classical)
    settings = dataclasses.replace(classical, deep=deep(base), idnet=idnet(base), joint=base)
    return f"reproduce {shop.size.name}, {shop.asked.pretrained}", settings


def train_part(kind: str, shop: Workshop) -> dict[str, Any]:
    """One of the six parts; the hand-made descriptors that are planned are trained together."""
    name, settings = baseline_settings(shop)
    together = shop.classical if kind in shop.classical else (kind,)
    trained = train_baselines(
        shop.data.scenes("train"),
        shop.parts,
        name,
        only=together,
        seed=shop.seed,
        device=shop.asked.device,
        progress=shop.progress,
        settings=settings,
        source={"dataset": shop.asked.dataset},
        say=shop.say,
    )
    (part,) = (one for one in trained.parts if one.kind == kind)
    return {"fingerprint": part.fingerprint}


def part_settings(kind: str, shop: Workshop) -> dict[str, Any]:
    """What shapes a part."""
    _, settings = baseline_settings(shop)
    return {"training": settings.with_seed(shop.seed).of(kind)}


def part_intact(kind: str, shop: Workshop, result: Mapping[str, Any]) -> bool:
    """Whether the part is there."""
    return bool(folder_fingerprint(shop.parts / kind) == result["fingerprint"])


def of_part(kind: str) -> dict[str, Callable[..., Any]]:
    """The three functions of a part's stage."""
    return {
        "work": partial(train_part, kind),
        "settings": partial(part_settings, kind),
        "intact": partial(part_intact, kind),
    }


def sweep_settings(shop: Workshop) -> dict[str, Any]:
    """Which K, and which softmax, which is K = C + 1, is beside them."""
    made_here = _ablated_softmax(shop)
    softmax = "of its own" if made_here is None else folder_fingerprint(made_here)
    return {"k": list(shop.size.sweep), "softmax": softmax, "draws": DRAWS}


def sweep(shop: Workshop) -> dict[str, Any]:
    """RSS with other K, from the same initial point, and softmax, which is K = C + 1."""
    scenes = shop.data.scenes("train")
    base, start = shop.base(), _start(shop, scenes)
    with_k = [(k, f"k{k}-{shop.seed}", with_loss(base, "rss", k=k)) for k in shop.size.sweep]
    rows = []
    for k, name, settings in (*with_k, (None, _softmax_name(shop), with_loss(base, "softmax"))):
        folder = _ablated_softmax(shop) if k is None else None
        if folder is None:
            folder = shop.out / "sweep" / name
            _train_on(shop, scenes, folder, settings, start)
        rows.append({"k": k, **_scored(shop, load_searcher(folder, shop.asked.device))})
    rows.append({"k": shop.ours.settings.network.losses.k, "ours": True, **_scored(shop, shop.ours)})
    return {"classes": _classes(shop), "rows": sorted(rows, key=lambda row: row["k"] or float("inf"))}


def _softmax_name(shop: Workshop) -> str:
    """Of the folder of the softmax run of our seed, as the ablation calls it, too."""
    return f"softmax-{shop.seed}"


def _ablated_softmax(shop: Workshop) -> Path | None:
    """The softmax run of an ablation that was made here; one made elsewhere may be of other settings.

    A sweep that has one of its own keeps it, whatever is made later.
    """
    if shop.foreign_ablation is not None or folder_fingerprint(shop.out / "sweep" / _softmax_name(shop)):
        return None
    folder = shop.ablation / _softmax_name(shop)
    return folder if folder_fingerprint(folder) else None


def _train_on(
    shop: Workshop, scenes: tuple[Scene, ...], folder: Path, settings: TrainingSettings, start: Path
) -> None:
    """Stage 2 alone, from the point that stage 1 has reached in ``start``."""
    settings = dataclasses.replace(
        settings,
        initial=dataclasses.replace(settings.initial, steps=0),
        initial_from=str(start.resolve()),
    )
    train(scenes, folder, settings, device=shop.asked.device, progress=shop.progress)


def _classes(shop: Workshop) -> int:
    """C + 1 of our network."""
    return shop.ours.settings.identities + 1


def _start(shop: Workshop, scenes: tuple[Scene, ...]) -> Path:
    """A folder with stage 1's point that our network started from, or one like it."""
    for folder in (shop.ablation / f"start-{shop.seed}", shop.out / "model", shop.out / "start"):
        if (folder / INITIAL).exists():
            return folder
    base = shop.base()
    settings = dataclasses.replace(base, joint=dataclasses.replace(base.joint, steps=0))
    return train(scenes, shop.out / "start", settings, device=shop.asked.device, progress=shop.progress)


def _scored(shop: Workshop, searcher: Searcher) -> dict[str, Any]:
    """A network's searches and detection."""
    result = run_benchmark(searcher, shop.data, shop.protocol(), shop.features, progress=shop.progress)
    found, people = found_by_picture(shop.data.scenes("test"), Features.load(result.features))
    return {
        "record": kept(result),
        "recall": round(result.detection.recall, 5),
        "recall_interval": recall_interval(found, people, shop.seed),
        "ap": round(result.detection.ap, 5),
    }


def best_settings(shop: Workshop) -> dict[str, Any]:
    """Which network is our best."""
    if shop.asked.best is not None:
        return {"model": folder_fingerprint(shop.asked.best)}
    brought = _brought(shop)
    if brought is not None:
        return {"results": sha256_of(brought)}
    return {"training": shaping(_best_training(shop).to_json())}


def best_given(shop: Workshop) -> bool:
    """Whether it is not trained here."""
    return shop.asked.best is not None or _brought(shop) is not None


def best(shop: Workshop) -> dict[str, Any]:
    """The network that we would recommend on such data: longer trained, on more varied pictures."""
    folder, brought = shop.asked.best, _brought(shop)
    if folder is None and brought is not None:
        return of_raw(json.loads(brought.read_text(encoding="utf-8")))
    if folder is None:
        folder = shop.out / "best"
        settings = _best_training(shop)
        train(shop.data.scenes("train"), folder, settings, device=shop.asked.device, progress=shop.progress)
    name = shop.size.best if shop.asked.best is None else folder.name
    return {"name": name, **_scored(shop, load_searcher(folder, shop.asked.device))}


def _brought(shop: Workshop) -> Path | None:
    """Results of the longer run among the ablation's that were made elsewhere, of the first seed there is."""
    if shop.asked.best is not None or shop.foreign_ablation is None:
        return None
    return next(iter(sorted(shop.foreign_ablation.glob("rss-longer-*.json"))), None)


def of_raw(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A run of the ablation, as :func:`best` tells of a network."""
    search = raw["search"]
    record = {
        "protocol": search["protocol"],
        "gallery_size": search["gallery_size"],
        "queries": sum(value is not None for value in search["ap_per_query"]),
        **{
            key: {"mean": round(search[key], 5), **{e: round(search["intervals"][key][e], 5) for e in ENDS}}
            for key in MEASURES.values()
        },
        "rules": {name: search["rules"].get(name) for name in ("ap", "det_threshold")},
        "ap_per_query": search["ap_per_query"],
        "first_hit_per_query": search["first_hit_per_query"],
    }
    name = f"{raw['variant']}, seed {raw['seed']}, of the ablation"
    return {
        "name": name,
        "record": record,
        "recall": raw["detection"]["recall"],
        **recall_of_raw(raw),
        "ap": raw["detection"]["ap"],
    }


def recall_of_raw(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The interval of a run's detection recall; nothing where the run did not note it by picture."""
    counts = [raw["detection"].get(key) for key in ("found_per_picture", "people_per_picture")]
    if None in counts:
        return {}
    found, people = (np.asarray(values) for values in counts)
    return {"recall_interval": recall_interval(found, people, int(raw["seed"]))}


def _best_training(shop: Workshop) -> TrainingSettings:
    chosen = training_preset(shop.size.best)
    return dataclasses.replace(chosen, seed=shop.seed, pretrained=shop.asked.pretrained)
