"""The figures of the report, drawn from stages' results; some show pictures of the data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from personsearch.experiments.reproduction.paper import BEST_RECALL, FIG6_MAP, RECALLS
from personsearch.experiments.reproduction.workshop import OURS
from personsearch.images import encode_jpeg
from personsearch.report.cost_figure import Priced, cost_plot
from personsearch.report.curves import failure_bars
from personsearch.report.document import Image
from personsearch.report.figure_style import small_png
from personsearch.report.network_figure import NetworkBox, network_figure
from personsearch.report.paper_figures import (
    Mark,
    detector_curves,
    gallery_curves,
    height_distributions,
    recall_curves,
    search_bars,
    sweep_curve,
    training_and_search,
)
from personsearch.report.photo_figures import PeopleRow, SearchRow, people_sheet, search_sheet
from personsearch.report.plots import Curve
from personsearch.types import Array

Record = Mapping[str, Any]
Load = Callable[[str], Array]
"""Pixels of a test picture by its name."""
QUALITY = 78
PICTURED = {
    "fig1.jpg": (
        "Queries, gallery pictures that show the person in a box, and distractors",
        "Left: the query. In a green box: the person in pictures of the gallery. Right: distractors.",
    ),
    "fig3.jpg": ("People of each subset, cut out at one height", ""),
}
"""Figures of pictures of the data set: what they show, and the caption."""
SMOOTH = 5
"""Lines of a training's log over which figure 6 takes running means."""
TITLES = {
    OURS: "ours", "acf": "ACF", "deep": "Deep", "gt": "GT", "euclidean": "Euclidean", "kissme": "KISSME",
    "bow": "BoW", "idnet": "IDNet",
}  # fmt: skip
LOSSES = {
    "box": "smooth L1 of boxes",
    "identity": "identity",
    "person": "person or not",
    "proposal_box": "smooth L1 of anchors",
    "proposal_class": "softmax of anchors",
    "triplet": "triplet",
    "first_box": "smooth L1, first part",
    "first_person": "person, first part",
}


def named(method: str) -> str:
    """A method as people read it.

    >>> named("deep+bow"), named("ours")
    ('Deep+BoW', 'ours')
    """
    return "+".join(TITLES.get(part, part) for part in method.split("+"))


def png(name: str, drawn: Array, alt: str, caption: str = "") -> Image:
    """A drawing as a block."""
    return Image(name=f"{name}.png", content=small_png(drawn), alt=alt, caption=caption)


def fig1(result: Record, load: Load) -> Image:
    """Searches: query, hits, distractors."""
    rows = []
    for one in result["searches"]:
        query = one["query"]
        rows.append(
            SearchRow(
                query=(load(query["picture"]), np.asarray(query["box_xyxy"])),
                hits=[(load(hit["picture"]), np.asarray(hit["box_xyxy"])) for hit in one["hits"]],
                distractors=[load(other["picture"]) for other in one["distractors"]],
                text=f"{one['right']} of {one['gallery']} gallery pictures show this person",
            )
        )
    return pictured("fig1.jpg", search_sheet(rows))


def pictured(name: str, drawn: Array) -> Image:
    """A figure of pictures of the data set as a block."""
    alt, caption = PICTURED[name]
    return Image(name=name, content=encode_jpeg(drawn, QUALITY), alt=alt, caption=caption)


def fig2(result: Record) -> Image:
    """Heights of the test half's people with an identity, and of everybody else."""
    (test,) = (row for row in result["groups"] if row["split"] == "test" and row["source"] == "all")
    heights = test["heights"]
    edges = np.asarray(heights["identity"]["edges"])
    panels = [
        (
            f"Test people ({test['labelled']:,})",
            {
                name: np.asarray(heights[kind]["counts"])
                for name, kind in (("with an identity", "identity"), ("queries", "query"))
            },
        ),
        (
            f"Background people ({test['background']:,})",
            {"without an identity": np.asarray(heights["background"]["counts"])},
        ),
    ]
    return png("fig2", height_distributions(panels, edges), "Two histograms of heights in pixels")


def fig3(result: Record, load: Load) -> Image | None:
    """Queries that are easy to see, occluded, and of low resolution; None where there is nobody."""
    rows = []
    for kind in ("high resolution", "occlusion", "low-resolution"):
        found = result["queries"][kind]
        if found is None or not found["queries"]:
            continue
        people = [(load(one["picture"]), np.asarray(one["box_xyxy"])) for one in found["queries"]]
        rows.append(
            PeopleRow(people=people, text=f"{kind}, {found['n']:,} quer{'y' if found['n'] == 1 else 'ies'}")
        )
    if not rows:
        return None
    return pictured("fig3.jpg", people_sheet(rows))


def fig4(result: Record) -> Image:
    """The network as it was walked."""
    picture = f"{result['picture'][0]}x{result['picture'][1]} picture"
    shape = f"scaled and padded to {_shape(result['input'])}"
    trunk = [NetworkBox(part="input", key="-1", name=picture, detail=shape)]
    branches: dict[str, list[NetworkBox]] = {"proposals": [], "head": []}
    read = [parent for block in result["blocks"] for parent in block["parents"]]
    maps = []
    for number, block in enumerate(result["blocks"]):
        box = _network_box(number, block, result)
        if block["part"] == "map":
            maps.append((read.count(number), number, box))
        else:
            (trunk if block["part"] == "trunk" else branches[_branch(block["part"])]).append(box)
    # The map that most read stands last, from where it is seen by both branches.
    trunk += [box for _, _, box in sorted(maps, key=lambda one: one[:2])]
    keys = {block["key"]: str(number) for number, block in enumerate(result["blocks"])}
    for loss, layers in result["losses"].items():
        branch = "proposals" if loss.startswith("proposal") else "head"
        kinds = {"rss": f"RSS, K = {result['k']}", "softmax": "softmax", "oim": "OIM"}
        identity = str(result["identity_loss"])
        detail = kinds.get(identity, identity) if loss == "identity" else ""
        branches[branch].append(
            NetworkBox(
                part="loss",
                key=loss,
                name=f"{LOSSES.get(loss, loss)} loss",
                detail=detail,
                parents=tuple(keys[layer] for layer in layers if layer in keys),
            )
        )
    drawn = network_figure(trunk, [branches["proposals"], branches["head"]])
    whole = result["parameters"]["all"]
    return png(
        "fig4",
        drawn,
        f"The network: trunk, proposals, pooling and re-id part, {whole:,} weights",
        "Drawn from a walk of the network that is trained here: arrows are what autograd has seen; numbers "
        "in bold: weights; dashed: losses. Orange: where people are proposed, with no gradient back.",
    )


def _branch(part: str) -> str:
    return "proposals" if part == "proposals" else "head"


def _network_box(number: int, block: Record, result: Record) -> NetworkBox:
    """One block with its layers, and what they are for where the paper says it."""
    known = {
        "conv": "proposal convolution",
        "classify": "anchor classes",
        "regress": "anchor offsets",
        "pooling": "RoI pooling",
        "fc8": "fc8, the embedding",
        "box": "box offsets",
        "person": "person or not",
        "classifier": "identity classifier",
    }
    detail = f"{_layers(block['layers'])} → {_shape(block['shape'])}"
    if block["part"] == "map":
        return NetworkBox(
            part="map",
            key=str(number),
            name=f"map “{block['name']}”",
            detail=_shape(block["shape"]),
            parents=tuple(map(str, block["parents"])),
        )
    if block["part"] == "pooling":
        grids = " + ".join(f"{p['size'][0]}x{p['size'][1]} of {p['source']}" for p in result["pools"])
        detail = f"{grids} → {_shape(block['shape'])}"
    return NetworkBox(
        part=block["part"],
        key=str(number),
        name=known.get(str(block["name"]), str(block["name"])),
        detail=detail,
        parameters=block["parameters"],
        parents=tuple(map(str, block["parents"])),
    )


def _layers(layers: list[str]) -> str:
    """Layers of a block, like ones together.

    >>> _layers(["3x3 conv /2", "3x3 conv", "3x3 conv"])
    '3x3 conv /2, 2 x 3x3 conv'
    """
    counts: dict[str, int] = {}
    for layer in layers:
        counts[layer] = counts.get(layer, 0) + 1
    return ", ".join(kind if count == 1 else f"{count} x {kind}" for kind, count in counts.items())


def _shape(shape: list[int]) -> str:
    return " x ".join(f"{side:,}" for side in shape)


def fig_table2(result: Record) -> Image:
    """Table 2 as bars."""

    def cell(name: str) -> Priced | None:
        record = result["cells"].get(name)
        return None if record is None else _priced(name, record)

    methods = ("euclidean", "kissme", "bow", "idnet")
    rows = [[*(cell(f"{d}+{m}") for m in methods), None] for d in ("acf", "deep", "gt")]
    rows[1][-1] = _priced(OURS, result[OURS])
    drawn = search_bars(
        ("ACF", "Deep", "GT"), [*(TITLES[m] for m in methods), "ours"], rows, title="Search by each method"
    )
    return png("table2", drawn, "mAP of every detector with every re-id method, with intervals")


def _priced(name: str, cell: Record) -> Priced:
    ap = cell["record"]["mAP"]
    ms = (cell["detect_ms"] or 0.0) + (cell["describe_ms"] or 0.0)
    return Priced(
        name=named(name), ms=ms, value=ap["mean"], low=ap["low"], high=ap["high"], ours=name == OURS
    )


def fig5(result: Record) -> Image:
    """Precision and recall of the detectors."""
    curves, marks = [], []
    for i, (name, row) in enumerate(result["detectors"].items()):
        curves.append(
            Curve(
                name=f"{named(name)}, AP {100 * row['ap']:.1f}",
                x=np.asarray(row["curve"]["recall"]),
                y=np.asarray(row["curve"]["precision"]),
            )
        )
        for mark in row["marks"].values():
            if mark is not None:
                text = f"({mark[0]:.2f}, {mark[1]:.2f})"
                marks.append(Mark(curve=i, x=mark[0], y=mark[1], text=text))
    title = f"Detection of people of {result['min_height']:g} px and more"
    return png(
        "fig5", detector_curves(curves, marks, title=title), "Precision against recall of ACF and Deep"
    )


def fig6(result: Record) -> Image:
    """The ablation of the paper's three."""
    losses, scores, raw = [], [], []
    for row in result["curves"].values():
        if row["figure"]:
            step, loss = np.asarray(row["step"]), np.asarray(row["loss"], float)
            losses.append(_band(row["title"], step, np.array([_smooth(one) for one in loss])))
            raw.append(Curve(name=row["title"], x=step, y=loss.mean(axis=0)))
            scores.append(_band(row["title"], np.asarray(row["looked"]), np.asarray(row["mAP"])))
    paper = [(f"the paper, {name}: about {value:g}", value / 100) for name, value in FIG6_MAP.items()]
    seeds = max(len(row["seeds"]) for row in result["curves"].values())
    caption = (
        "The losses share no scale: RSS is a softmax over K sampled classes, softmax one over all. Thick "
        f"lines are running means over {SMOOTH} lines of the log, fewer at the ends; thin ones are the log's."
    )
    if seeds > 1:
        caption += f" Means over {seeds} seeds; bands: the seeds' range."
    drawn = training_and_search(losses, scores, paper, raw)
    return png("fig6", drawn, "Identity loss and test mAP by step", caption)


def _band(name: str, x: Array, rows: Array) -> Curve:
    if len(rows) == 1:
        return Curve(name=name, x=x, y=rows[0])
    return Curve(name=name, x=x, y=rows.mean(axis=0), low=rows.min(axis=0), high=rows.max(axis=0))


def _smooth(values: Array, width: int = SMOOTH) -> Array:
    """Running means, so that a line can be followed by eye; the ends use what there is."""
    kernel = np.ones(min(width, len(values)))
    total = np.convolve(values, kernel, mode="same")
    smooth: Array = total / np.convolve(np.ones(len(values)), kernel, mode="same")
    return smooth


def _with_ends(name: str, x: Array, records: list[Record | None], measure: str) -> Curve:
    """A curve of one measure with its intervals; NaN where there is no record."""
    ends = np.array(
        [[np.nan] * 3 if r is None else [r[measure][e] for e in ("mean", "low", "high")] for r in records]
    )
    return Curve(name=name, x=x, y=ends[:, 0], low=ends[:, 1], high=ends[:, 2])


def fig7a(result: Record) -> Image:
    """Top-1 against detection recall."""
    x = np.array(RECALLS)
    curves = []
    for pair, rows in result["pairs"].items():
        found = [rows.get(f"{wanted:g}") for wanted in RECALLS]
        records = [None if row is None else row["record"] for row in found]
        curves.append(_with_ends(named(pair), x, records, "top1"))
    drawn = recall_curves(curves, best=BEST_RECALL, title="Search by detection recall")
    return png("fig7a", drawn, "Top-1 of four baselines against the recall of their detector")


def fig7b(result: Record) -> Image | None:
    """Top-1 against gallery size; None where the data hold no list of sizes."""
    if not result["sizes"]:
        return None
    x = np.array(result["sizes"], float)
    curves = [
        _with_ends(named(method), x, [rows[str(size)] for size in result["sizes"]], "top1")
        for method, rows in result["methods"].items()
    ]
    return png("fig7b", gallery_curves(curves, title="Search by gallery size"), "Top-1 against gallery size")


def fig_failures(result: Record) -> Image:
    """What becomes of our network's queries."""
    drawn = failure_bars(result["methods"][OURS], title="What becomes of queries, our network")
    return png("failures", drawn, "Share of queries lost for each reason, by height and visibility")


def fig_cost(result: Record) -> Image:
    """mAP against time, of the methods that could be used: those without annotated boxes."""
    priced = [_priced(name, cell) for name, cell in result["cells"].items() if not name.startswith("gt")]
    drawn = cost_plot([*priced, _priced(OURS, result[OURS])], title="What a picture costs")
    return png("cost", drawn, "mAP against milliseconds a picture")


def fig_sweep(result: Record) -> Image:
    """mAP against K."""
    rows = result["rows"]
    x = np.array([float(result["classes"] if row["k"] is None else row["k"]) for row in rows])
    ticks = [
        (place, "softmax" if row["k"] is None else f"{place:g}") for place, row in zip(x, rows, strict=True)
    ]
    curve = _with_ends("mAP", x, [row["record"] for row in rows], "mAP")
    return png("sweep", sweep_curve(curve, ticks, title="RSS with other K"), "mAP against K of RSS")
