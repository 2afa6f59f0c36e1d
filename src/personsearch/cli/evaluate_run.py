"""What ``personsearch evaluate`` does: features and truth, the numbers, the answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from personsearch.cli.evaluate_asked import Asked
from personsearch.cli.evaluate_tables import comparison_lines, counted, search_answer, table, wrapped
from personsearch.cli.options import DatasetName
from personsearch.cli.output import Answer, Printer, chosen, plain
from personsearch.datasets.dataset import Dataset
from personsearch.errors import UsageError
from personsearch.evaluation.detection import DetectionRules, judge_detections, score_detection
from personsearch.experiments.benchmark import (
    Evaluation,
    Protocol,
    Source,
    describe,
    detection_record,
    detection_summary,
    evaluate,
    evaluation_record,
)
from personsearch.features import Features, read_truth
from personsearch.files import write_json, write_text
from personsearch.ranking.calibration import Calibration

SCHEMA = "personsearch.evaluate/2"
_SEED = 0
_RECALLS = 101
_COCO_RULES = {
    "det_threshold": None,
    "iou": "0.50:0.05:0.95",
    "labelled_only": False,
    "min_height": 0.0,
    "ap": "101 recall levels",
    "detections_per_picture": 100,
}
_PRECISIONS = (0.5, 0.8, 0.9, 0.95, 0.99)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Inputs:
    """What is scored against what."""

    features: Features
    file: Path
    source: Source
    calibration: Calibration | None = None


def run_evaluation(asked: Asked) -> None:
    """Score what was asked for and print one answer."""
    asked.check()
    printer = Printer(chosen(asked.form, asked.as_json))
    protocol = asked.protocol()
    if asked.report is not None and asked.report.is_dir():
        raise UsageError(f"--report {asked.report} is a folder", hint="give the name of a file")
    inputs = _inputs(asked, protocol)
    if asked.features_out is not None:
        inputs.features.save(asked.features_out, truth=inputs.source)
    answer = _detection(asked, inputs) if asked.detection else _search(asked, inputs, protocol)
    record = {"schema": SCHEMA, **answer.record, **_origin(inputs)}
    after = [*answer.after, *_nobody(inputs.features, asked.det_threshold)]
    folder = asked.out
    if folder is None and asked.model is not None:
        folder = Path(asked.model) / "evaluation"
    if folder is not None:
        file = folder / f"scores-{_label(asked, protocol, record)}.json"
        write_json(file, plain(record))
        after.append(f"figures  {file}")
    if asked.features_out is not None:
        after.append(f"features {asked.features_out}")
    printer(replace(answer, record=record, after=after))


def _inputs(asked: Asked, protocol: Protocol) -> _Inputs:
    """Features and truth, made or read."""
    dataset: Dataset | None = None
    if asked.root is not None:
        from personsearch.datasets.open import open_dataset

        dataset = open_dataset(asked.dataset or DatasetName.CUHK_SYSU, asked.root)
    if asked.features is not None:
        features = Features.load(asked.features)
        source: Source | None = dataset if dataset is not None else read_truth(asked.features)
        if source is None:
            raise UsageError(
                f"{asked.features} holds no annotation (gt_*)",
                hint="give the data set with --dataset and --root",
            )
        return _Inputs(features=features, file=asked.features, source=source)
    assert asked.model is not None
    assert dataset is not None
    from personsearch.baselines.open import Where, open_searcher
    from personsearch.progress import console

    where = Where(parts=asked.parts, device=asked.device, scenes=dataset.scenes("test"))
    searcher = open_searcher(asked.model, where)
    folder = asked.out if asked.out is not None else Path(asked.model) / "evaluation"
    features, file = describe(searcher, dataset, protocol, folder, progress=console(asked.progress))
    return _Inputs(features=features, file=file, source=dataset, calibration=searcher.calibration)


def _search(asked: Asked, inputs: _Inputs, protocol: Protocol) -> Answer:
    """mAP and top-k of one or of all gallery sizes."""
    if asked.all_sizes:
        sizes = inputs.source.gallery_sizes
        if not sizes:
            raise UsageError(
                f"{inputs.source.name} lists no galleries: there is one, of all pictures",
                hint="drop --all-sizes",
            )
        results = evaluate(
            inputs.features, inputs.source, [replace(protocol, gallery_size=size) for size in sizes]
        )
        record: dict[str, Any] = {
            "dataset": inputs.source.name,
            "results": [evaluation_record(result) for result in results],
        }
        return search_answer(record, results, _rules(asked), _notes(results))
    (result,) = evaluate(inputs.features, inputs.source, [protocol])
    record, after = evaluation_record(result), _notes([result])
    if asked.model is not None:
        found = detection_summary(score_detection(inputs.source.scenes("test"), inputs.features))
        record["detection"] = found
        after.append(f"detection recall {found['recall']:.3f}, AP {found['ap']:.3f}; --detection says more")
    if asked.compare is not None:
        added, lines = _comparison(asked.compare, inputs, protocol, result)
        record, after = {**record, "comparison": added}, after + lines
    if asked.failures or asked.open_set or asked.reliability or asked.report is not None:
        from personsearch.cli.evaluate_insight import insight_of

        insight = insight_of(asked, result, inputs.features, inputs.source, inputs.calibration)
        record, after = {**record, **insight.record()}, after + insight.lines()
        if asked.report is not None:
            from personsearch.cli.evaluate_page import page_of

            write_text(asked.report, page_of(result, inputs.source, insight, _rules(asked)))
            after += ["", f"page     {asked.report}"]
            if all(scene.path is None for scene in inputs.source.scenes("test")):
                after += wrapped("it has no pictures to show: give the data set with --dataset and --root")
    return search_answer(record, [result], _rules(asked), after)


def _detection(asked: Asked, inputs: _Inputs) -> Answer:
    """Recall and average precision of detection."""
    rules = DetectionRules(
        det_threshold=asked.det_threshold,
        iou=0.5 if asked.iou is None else asked.iou,
        labelled_only=asked.labelled_only,
        min_height=asked.min_height or 0.0,
        ap=asked.ap.value,
    )
    scenes = inputs.source.scenes("test")
    scores = score_detection(scenes, inputs.features, rules)
    curve = judge_detections(scenes, inputs.features, rules).curve
    record = detection_record(inputs.source.name, scores, len(scenes))
    levels = np.linspace(0, 1, _RECALLS)
    best = [float(np.max(curve.precision[curve.recall >= level - 1e-12], initial=0.0)) for level in levels]
    at = {f"{least:g}": curve.recall_at_precision(least) for least in _PRECISIONS}
    record |= {"recall_at_precision": at, "precision_at_recall": best}
    named = {
        "dataset": inputs.source.name,
        "protocol": "detection",
        "people": "labelled" if asked.labelled_only else "all",
        "height": f"{rules.min_height:g} px or more" if rules.min_height else "any",
        "IoU": f"{rules.iou:g}",
        "threshold": f"{rules.det_threshold:g}",
        "AP": rules.ap,
        "to find": scores.truths,
    }
    rows = [{"measure": "recall", "value": scores.recall}, {"measure": "AP", "value": scores.ap}]
    if asked.coco:
        from personsearch.evaluation.coco import score_coco

        coco = asdict(score_coco(scenes, inputs.features))
        record["coco"] = {**coco, "rules": _COCO_RULES}
        rows += [{"measure": "COCO AP", "value": coco["ap"]}, {"measure": "COCO AP50", "value": coco["ap50"]}]
    after = ["", *table([{"at precision": "recall".rjust(12), **at}])]
    if asked.coco:
        after += wrapped(
            "COCO's numbers are over all people and all detections of the file, whatever was asked"
        )
    if asked.labelled_only:
        after += wrapped(
            "only labelled people are to be found: every other detection is wrong, so mind the recall only"
        )
    return Answer(record=record, rows=rows, before=[*table([named]), ""], after=after)


def _comparison(
    other: Path, inputs: _Inputs, protocol: Protocol, result: Evaluation
) -> tuple[Mapping[str, Any], list[str]]:
    """Query by query against another run: for JSON, and in lines."""
    from personsearch.evaluation.comparison import compare_scores, load_scores

    if other.suffix == ".npz":
        (theirs,) = evaluate(Features.load(other), inputs.source, [protocol])
        scores = theirs.search
    else:
        scores = load_scores(other)
    comparison = compare_scores(result.search, scores, np.random.default_rng(_SEED))
    return {**comparison.to_json(), "other": str(other)}, comparison_lines(comparison, inputs.file, other)


def _rules(asked: Asked) -> list[tuple[str, str]]:
    """What shaped the numbers and has no column of its own: name and value."""
    said = [
        ("detections from score", f"{asked.det_threshold:g}"),
        ("match IoU", str(asked.match_iou)),
        ("repeated pictures", str(asked.repeated)),
    ]
    if asked.context_matching is not None:
        said.append(("context matching", asked.context_matching))
    if asked.k_reciprocal is not None:
        said.append(("k-reciprocal", asked.k_reciprocal))
    if asked.junk_overlap is not None:
        said.append(("junk from overlap", f"{asked.junk_overlap:g}"))
    if asked.box_sides != "continuous":
        said.append(("box sides", str(asked.box_sides)))
    if asked.boxes != "detected":
        said.append(("boxes", str(asked.boxes)))
    return said


def _notes(results: Sequence[Evaluation]) -> list[str]:
    """Queries that were lost before anything was compared, named."""
    lines = []
    for result in results:
        limit, there = result.protocol.limit, len(result.search.ap)
        if limit is not None and limit > there:
            number = counted(there, "query", "queries")
            lines += wrapped(
                f"gallery {result.gallery_size}: --limit-queries {limit:,}, but there is no more "
                f"than {number}"
            )
        barren = tuple(result.search.rules.get("without_positives", ()))
        how = "in no mean" if result.protocol.rules.policy == "clean" else "AP 0"
        for queries, what, effect in (
            (barren, "nobody to find", how),
            (result.undetected, "no detection on the query's box", "AP 0"),
        ):
            if len(queries):
                named = ", ".join(map(str, queries[:10])) + (", ..." if len(queries) > 10 else "")
                number = counted(len(queries), "query", "queries")
                lines += wrapped(f"gallery {result.gallery_size}: {number} with {what}, {effect}: {named}")
    return lines


def _nobody(features: Features, threshold: float) -> list[str]:
    """A word where the threshold leaves no detection at all: it may be on another scale than the scores."""
    scores = features.det_score
    if not len(scores) or scores.max() >= np.float32(threshold):
        return []
    return wrapped(
        f"no detection has a score of {threshold:g} or more: scores are {scores.min():g} to {scores.max():g}"
    )


def _origin(inputs: _Inputs) -> dict[str, Any]:
    return {"model": inputs.features.fingerprint, "features": str(inputs.file)}


def _label(asked: Asked, protocol: Protocol, record: Mapping[str, Any]) -> str:
    """What the file of figures is called after: everything that tells it from its neighbours."""
    unusual: object = None
    if asked.detection:
        parts = ["detection"]
        if record["rules"] != asdict(DetectionRules()):
            unusual = record["rules"]
    else:
        which = "all-sizes" if asked.all_sizes else f"gallery-{record.get('gallery_size')}"
        parts = [which if asked.subset is None else str(asked.subset)]
        if asked.cameras != "all":
            parts.append(f"cameras-{asked.cameras}")
        usual = Protocol(
            gallery_size=protocol.gallery_size,
            cameras=protocol.cameras,
            subset=protocol.subset,
            boxes=protocol.boxes,
        )
        if protocol != usual:
            unusual = asdict(protocol)
    if unusual is not None:  # a few letters for whatever else was asked for
        parts.append(hashlib.sha256(json.dumps(unusual, sort_keys=True).encode()).hexdigest()[:8])
    return "-".join([str(record["dataset"]), *parts, str(asked.boxes), str(record["model"])[:12]])
