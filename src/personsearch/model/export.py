"""A model folder as ONNX files, for who wants to run it without torch.

The exporter is torch's newer one, on ``torch.export``: the older one, which follows TorchScript, is
deprecated since torch 2.11 and bakes the traced picture's number of anchors into its filters.
Nothing is left behind that does not answer as the network does: see :func:`export_model`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from personsearch.errors import InputError, PersonSearchError, UsageError
from personsearch.files import sha256_of, write_bytes, write_json
from personsearch.model.checkpoint import load_model
from personsearch.model.export_folder import (
    GALLERY,
    MANIFEST,
    OPSET,
    QUERY,
    Manifest,
    Resize,
    is_export,
    needed,
    passes,
)
from personsearch.model.export_graph import CropPass, GalleryPass, QueryPass, operators
from personsearch.model.export_parity import Parity, Tolerances, compare
from personsearch.model.onnx_searcher import ONNX_KINDS
from personsearch.model.searcher import NetworkModel
from personsearch.progress import Progress, silent
from personsearch.types import Picture

UNCHECKED = ".unchecked"
"""Behind a file's name until the check is passed, so that nobody takes it for an export."""
PROTOBUF_BYTES = 2**31 - 1
"""More does not fit into one ONNX file."""
SMALLEST_TRACED = 129
"""Sides that torch.export may assume, so that every map has several cells. ONNX keeps no such bound:
the graph holds for smaller pictures, too, and the tests show it."""


class ParityError(PersonSearchError):
    """The exported files do not answer as the network does; they have been removed (exit code 1).

    Attributes:
        parity: what was measured.
    """

    def __init__(self, complaints: Sequence[str], parity: Parity) -> None:
        super().__init__(
            f"the export is not the model: {'; '.join(complaints)}",
            hint="nothing was kept; with pictures that show people, and versions as in docs/export.md,"
            " this is a defect of personsearch",
        )
        self.parity = parity


def export_model(
    model: Path | str,
    out: Path | str,
    pictures: Sequence[Picture],
    *,
    tolerances: Tolerances | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Export the model folder ``model`` to ONNX files in ``out``, and check them.

    Both are run on ``pictures``, on the CPU in float32, and compared; only then the files get their
    names, and ``export.json`` comes last. An export of the same model in ``out`` is replaced.

    Args:
        model: a model folder, or a finished run's.
        out: a new folder, or one that an export was written to.
        pictures: for the check: of several sizes, with people.
        tolerances: how far the two may be apart.
        overwrite: replace the export of another model, too.
        progress: told of every pass and of every picture.

    Returns:
        What ``export.json`` says, the check's figures with it.

    Raises:
        ParityError: the two part by more than ``tolerances``.
        UsageError: packages are missing, or ``out`` holds something else.
        InputError: there is no model, it cannot be exported, or there are no pictures.
    """
    out, tolerances = Path(out), tolerances or Tolerances()
    for package in ("onnx", "onnxscript", "onnxruntime"):
        needed(package)
    if not pictures:
        raise InputError("without pictures an export cannot be checked", hint="give some that show people")
    eager = load_model(model, "cpu")
    _check_folder(out, eager.fingerprint, overwrite)
    manifest = manifest_of(eager)
    names = passes(manifest.parts)
    try:
        for name in progress(names, "exporting", total=len(names)):
            write_bytes(out / f"{name}{UNCHECKED}", onnx_bytes(eager, name, manifest))
        digests = {name: sha256_of(out / f"{name}{UNCHECKED}") for name in names}
        manifest = dataclasses.replace(manifest, files=digests)
        exported = ONNX_KINDS[manifest.parts](out, manifest, device="cpu", suffix=UNCHECKED)
        parity = compare(eager, exported, pictures, tie=tolerances.tie, progress=progress)
        complaints = parity.complaints(tolerances)
        if complaints:
            raise ParityError(complaints, parity)
        measured = {**parity.to_json(), "allowed": dataclasses.asdict(tolerances)}
        manifest = dataclasses.replace(manifest, parity=measured)
        _finish(out, manifest)
    finally:
        for name in names:
            (out / f"{name}{UNCHECKED}").unlink(missing_ok=True)
    return manifest


def _finish(out: Path, manifest: Manifest) -> None:
    """Give the checked files their names; between the first and the last step there is no export."""
    (out / MANIFEST).unlink(missing_ok=True)
    for name in (GALLERY, QUERY):
        if name in manifest.files:
            (out / f"{name}{UNCHECKED}").replace(out / name)
        else:  # of another model
            (out / name).unlink(missing_ok=True)
    write_json(out / MANIFEST, manifest.to_json())


def _check_folder(out: Path, source: str, overwrite: bool) -> None:
    """Refuse a folder that holds something else than an export of the model ``source``."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, not a folder", hint="choose another --out")
    if is_export(out):
        try:
            found = json.loads((out / MANIFEST).read_text(encoding="utf-8")).get("source")
        except (ValueError, AttributeError):
            found = None
        if found != source and not overwrite:
            raise UsageError(
                f"{out} holds the export of another model", hint="choose another --out or --overwrite"
            )
        return
    ours = {name + suffix for name in (GALLERY, QUERY) for suffix in ("", UNCHECKED)}
    others = sorted(path.name for path in out.iterdir() if path.name not in ours) if out.exists() else []
    if others:
        raise UsageError(f"{out} holds something else than an export: {others[0]}", hint="choose a new --out")


def manifest_of(model: NetworkModel) -> Manifest:
    """What can be said of ``model``'s export before there is one."""
    settings = model.settings
    return Manifest(
        name=model.name,
        source=model.fingerprint,
        parts=settings.network.parts,
        dim=model.dim,
        similarity=model.similarity,
        resize=Resize(short_side=settings.input.short_side, long_side=settings.input.long_side),
        crop=settings.crop if settings.network.parts == "embedder" else None,
        calibration=None if model.calibration is None else model.calibration.to_json(),
    )


def onnx_bytes(model: NetworkModel, name: str, manifest: Manifest) -> bytes:
    """The file ``name`` of ``model``'s export.

    Raises:
        InputError: torch cannot export this network, or the file would pass 2 GiB.
    """
    network, settings = model.network, model.settings
    height, width = (torch.export.Dim(side, min=SMALLEST_TRACED) for side in ("height", "width"))
    people = torch.export.Dim("people")
    # Neither a multiple of anything nor a square: a size that passes by chance would hide a mistake.
    picture = torch.zeros((203, 277, 3), dtype=torch.uint8)
    boxes = torch.tensor([[0.0, 0, 60, 120]]).repeat(3, 1)
    module: nn.Module
    if name == GALLERY:
        module, given = GalleryPass(network, settings), {"picture": picture}
        shapes: dict[str, Any] = {"picture": {0: height, 1: width}}
        answers = ["boxes", "scores", *(["embeddings"] if manifest.dim else [])]
    elif manifest.crop is None:
        module, given = QueryPass(network, settings), {"picture": picture, "boxes": boxes}
        shapes = {"picture": {0: height, 1: width}, "boxes": {0: people}}
        answers = ["embeddings"]
    else:
        module = CropPass(network, settings)
        given = {"crops": torch.zeros((3, *manifest.crop.size, 3), dtype=torch.uint8), "boxes": boxes}
        shapes = {"crops": {0: people}, "boxes": {0: people}}
        answers = ["embeddings"]
    with _quiet(), torch.no_grad():
        proto = _proto(module.eval(), given, answers, shapes, model.name)
    return _finished(proto, manifest.properties(name), name)


def _proto(
    module: nn.Module, given: dict[str, torch.Tensor], answers: list[str], shapes: dict[str, Any], name: str
) -> Any:
    """The ``onnx.ModelProto`` of a pass."""
    try:
        program = torch.onnx.export(
            module,
            tuple(given.values()),
            input_names=list(given),
            output_names=answers,
            dynamic_shapes=shapes,
            custom_translation_table=translations(),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
        raise InputError(
            f"{name} cannot be exported to ONNX: {reason}", hint="--debug shows where; try another trunk"
        ) from error
    assert program is not None
    return program.model_proto


def _finished(proto: Any, properties: dict[str, str], name: str) -> bytes:
    """The file's bytes: with ``properties``, and without the exporter's notes, which name our files."""
    for part in (*proto.graph.node, *proto.graph.value_info, *proto.graph.initializer, proto.graph):
        del part.metadata_props[:]
        part.doc_string = ""
    for part in (*proto.graph.input, *proto.graph.output):
        del part.metadata_props[:]
    del proto.metadata_props[:]
    for key, value in properties.items():
        proto.metadata_props.add(key=key, value=value)
    if proto.ByteSize() > PROTOBUF_BYTES:
        raise InputError(f"{name} would be larger than 2 GiB, which ONNX cannot hold in one file")
    needed("onnx").checker.check_model(proto)
    written: bytes = proto.SerializeToString(deterministic=True)
    return written


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's remarks on its own libraries help nobody here."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Our two operators, RoI pooling and RoIAlign in ONNX."""
    op = needed("onnxscript").opset18

    def best(scores: Any, k: int) -> Any:
        return op.TopK(scores, op.Min(op.Shape(scores), op.Constant(value_ints=[k])))

    def survivors(boxes: Any, scores: Any, overlap: float, limit: int) -> Any:
        kept = op.NonMaxSuppression(
            op.Unsqueeze(boxes, [0]),
            op.Unsqueeze(scores, [0, 1]),
            op.Constant(value_ints=[limit]),
            op.Constant(value_floats=[overlap]),
            op.Constant(value_floats=[-0.5]),  # between GONE and every probability
        )
        return op.Squeeze(op.Slice(kept, [2], [3], [1]), [1])

    def pooled(image: Any, rois: Any, spatial_scale: float, height: int, width: int) -> Any:
        grid = op.MaxRoiPool(image, rois, pooled_shape=[height, width], spatial_scale=spatial_scale)
        # The second answer, where each maximum was, is for training alone; nothing reads it.
        return grid, op.Identity(grid)

    def aligned(
        image: Any, rois: Any, spatial_scale: float, height: int, width: int, samples: int, half_pixel: bool
    ) -> Any:
        return op.RoiAlign(
            image,
            op.Slice(rois, [1], [5], [1]),
            op.Cast(op.Squeeze(op.Slice(rois, [0], [1], [1]), [1]), to=needed("onnx").TensorProto.INT64),
            coordinate_transformation_mode="half_pixel" if half_pixel else "output_half_pixel",
            mode="avg",
            output_height=height,
            output_width=width,
            sampling_ratio=samples,
            spatial_scale=spatial_scale,
        )

    operators()  # made known to torch
    return {
        torch.ops.personsearch.best.default: best,
        torch.ops.personsearch.survivors.default: survivors,
        torch.ops.torchvision.roi_pool.default: pooled,
        # onnxscript has one, too, which some versions call with arguments it does not take.
        torch.ops.torchvision.roi_align.default: aligned,
    }
