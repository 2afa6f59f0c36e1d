"""``personsearch export``: a model as ONNX files that answer as it does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.options import FormatOption, JsonOption, ModelOption, ProgressKind, ProgressOption
from personsearch.cli.output import Answer, Printer, chosen

if TYPE_CHECKING:
    from personsearch.model.export_parity import Parity, Tolerances
    from personsearch.progress import Progress
    from personsearch.types import Array, Picture

DRAWN_SIZES = ((640, 480), (375, 500), (801, 451), (320, 240), (413, 413))
"""(width, height) of the generated pictures, one after the other."""


Out = Annotated[Path, typer.Option("--out", "-o", help="Folder of the ONNX files.", show_default=False)]
Pictures = Annotated[
    Path | None,
    typer.Option("--pictures", help="Folder of pictures for the check.", show_default="generated pictures"),
]
Count = Annotated[int, typer.Option("--count", min=1, help="Check with at most so many pictures.")]
MaxBox = Annotated[float, typer.Option("--max-box", min=0, help="Pixels a box may be off.")]
MaxScore = Annotated[float, typer.Option("--max-score", min=0, help="By what a score may be off.")]
MinCosine = Annotated[
    float, typer.Option("--min-cosine", max=1, help="Between two descriptions of one person.")
]
MaxMissing = Annotated[
    float, typer.Option("--max-missing", min=0, max=1, help="Share of people whom only one of them sees.")
]
MinRanks = Annotated[
    float, typer.Option("--min-ranks", min=0, max=1, help="Share of equal places in the first 10 hits.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace another model's export.")]


def export(
    model: ModelOption,
    out: Out,
    pictures: Pictures = None,
    count: Count = 10,
    max_box: MaxBox = 0.1,
    max_score: MaxScore = 1e-3,
    min_cosine: MinCosine = 0.9999,
    max_missing: MaxMissing = 0.02,
    min_ranks: MinRanks = 0.99,
    overwrite: Overwrite = False,
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Write a model as ONNX files, and check that they answer as it does.

    A joint model gives gallery.onnx (picture to boxes, scores, embeddings) and query.onnx (picture
    and boxes to embeddings), for pictures of any size. If the files and the model part on
    one of the check's pictures by more than is allowed, nothing is kept and the exit code is 1.

    \b
    Examples:
      personsearch export --model model --out model-onnx
      personsearch export --model model --out model-onnx --pictures photos --count 50
    """
    from personsearch.model.export import ParityError, export_model
    from personsearch.model.export_parity import Parity, Tolerances
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    allowed = Tolerances(
        box=max_box, score=max_score, cosine=min_cosine, missing=max_missing, ranks=min_ranks
    )
    shown = console(progress)
    given = drawn(count, shown) if pictures is None else read(pictures, count, shown)
    try:
        made = export_model(model, out, given, tolerances=allowed, overwrite=overwrite, progress=shown)
    except ParityError as error:
        printer(answer(out, error.parity, allowed, {"agrees": False}))
        raise
    described = {
        "agrees": True,
        "model": made.fingerprint,
        "source": made.source,
        "parts": made.parts,
        "files": [str(out / name) for name in made.files],
    }
    measured = {key: value for key, value in made.parity.items() if key != "allowed"}
    printer(answer(out, Parity(**measured), allowed, described))


def drawn(count: int, progress: Progress) -> list[Picture]:
    """At most ``count`` pictures of the generated benchmark's test split, fitted to several sizes."""
    from personsearch.datasets.synthetic.photo import make_tiles
    from personsearch.datasets.synthetic.plan import plan_split
    from personsearch.datasets.synthetic.presets import preset
    from personsearch.datasets.synthetic.scene import make_shot
    from personsearch.types import Picture

    settings, tiles = preset("demo"), make_tiles()
    casts = plan_split(settings, "test")[:count]
    found = []
    for number, cast in enumerate(progress(casts, "drawing pictures", total=len(casts))):
        size = DRAWN_SIZES[number % len(DRAWN_SIZES)]
        pixels = fitted(make_shot(settings, "test", number, cast, tiles).pixels, size)
        found.append(Picture(pixels, name=f"generated-{number + 1}-{size[0]}x{size[1]}"))
    return found


def fitted(pixels: Array, size: tuple[int, int]) -> Array:
    """The middle of (h, w, 3) ``pixels``, scaled so that it fills ``size`` (width, height)."""
    import cv2
    import numpy as np

    height, width = pixels.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    sides = (max(size[0], round(width * scale)), max(size[1], round(height * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = pixels if sides == (width, height) else cv2.resize(pixels, sides, interpolation=way)
    left, top = (sides[0] - size[0]) // 2, (sides[1] - size[1]) // 2
    return np.ascontiguousarray(scaled[top : top + size[1], left : left + size[0]])


def read(folder: Path, count: int, progress: Progress) -> list[Picture]:
    """At most ``count`` of the pictures in ``folder``, evenly spread over their names."""
    from personsearch.images import load
    from personsearch.media.folders import find_pictures

    paths = find_pictures(folder)
    if len(paths) > count:
        paths = [paths[i * len(paths) // count] for i in range(count)]
    return [load(path, name=str(path)) for path in progress(paths, "reading pictures", total=len(paths))]


def answer(out: Path, parity: Parity, allowed: Tolerances, described: dict[str, Any]) -> Answer:
    """What was measured, and what would have been allowed."""
    everybody = (parity.people or 0) + (parity.missing or 0)
    share = parity.missing / everybody if parity.missing is not None and everybody else None
    measures = (
        ("box, pixels", parity.box, "at most", allowed.box, "box"),
        ("score", parity.score, "at most", allowed.score, "score"),
        ("cosine of embeddings", parity.cosine, "at least", allowed.cosine, "cosine"),
        ("difference of embeddings", parity.embedding, "at most", allowed.embedding, "embedding"),
        ("seen by one only", share, "at most", allowed.missing, ""),
        ("same places in the hits", parity.ranks, "at least", allowed.ranks, ""),
    )
    rows = [
        {
            "measure": name,
            "measured": f"{value:.6g}",
            "allowed": f"{word} {limit:g}",
            "worst in": parity.worst.get(key) or None,
        }
        for name, value, word, limit, key in measures
        if value is not None
    ]
    from dataclasses import asdict

    record = {
        "schema": "personsearch.export/1",
        "out": str(out),
        **described,
        "parity": parity.to_json(),
        "allowed": asdict(allowed),
    }
    before = [
        f"checked with {parity.pictures} pictures: {everybody} people,"
        f" {parity.described} descriptions, {parity.searches} searches"
    ]
    after = [f"written  {path}" for path in described.get("files", ())]
    return Answer(record=record, rows=rows, before=before, after=after)
