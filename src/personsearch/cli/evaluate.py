"""``personsearch evaluate``: how good is a method, by the benchmarks' own protocols."""

from __future__ import annotations

from pathlib import Path

from personsearch.cli import evaluate_options as words
from personsearch.cli.evaluate_asked import Asked
from personsearch.cli.options import (
    DeviceOption,
    FormatOption,
    JsonOption,
    PartsOption,
    ProgressKind,
    ProgressOption,
)


def evaluate(
    features: words.FeaturesOption = None,
    model: words.ModelOption = None,
    dataset: words.DatasetOption = None,
    root: words.RootOption = None,
    gallery_size: words.GallerySizeOption = None,
    all_sizes: words.AllSizesOption = False,
    cameras: words.CamerasOption = words.CamerasName.ALL,
    subset: words.SubsetOption = None,
    limit_queries: words.LimitOption = None,
    query_box: words.QueryBoxOption = words.BoxSource.ANNOTATED,
    boxes: words.BoxesOption = words.BoxSource.DETECTED,
    det_threshold: words.ThresholdOption = 0.5,
    match_iou: words.MatchOption = words.MatchName.SIZE_ADAPTIVE,
    repeated: words.RepeatedOption = words.RepeatedName.TWICE,
    policy: words.PolicyOption = words.PolicyName.OFFICIAL,
    ap: words.ApOption = words.ApName.STEP,
    junk: words.JunkOption = words.JunkName.FIELD,
    junk_overlap: words.JunkOverlapOption = None,
    box_sides: words.SidesOption = words.SidesName.CONTINUOUS,
    context_matching: words.ContextOption = None,
    k_reciprocal: words.KReciprocalOption = None,
    detection: words.DetectionOption = False,
    iou: words.IouOption = None,
    labelled_only: words.LabelledOption = False,
    min_height: words.HeightOption = None,
    coco: words.CocoOption = False,
    compare: words.CompareOption = None,
    failures: words.FailuresOption = False,
    open_set: words.OpenSetOption = False,
    reliability: words.ReliabilityOption = False,
    report: words.ReportOption = None,
    features_out: words.FeaturesOutOption = None,
    out: words.OutOption = None,
    parts: PartsOption = Path("baselines"),
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Score a model, or any method's features file: mAP and top-1/5/10, with 95 % intervals.

    The defaults are the field's; docs/evaluation.md defines every number and the layout of the file.
    Intervals say how much other queries would change a number, not another training.

    \b
    Examples:
      personsearch evaluate --features method.npz --all-sizes
      personsearch evaluate --model run --dataset prw --root PRW --cameras other
      personsearch evaluate --model gt+bow --dataset prw --root PRW --out gt-bow
      personsearch evaluate --features new.npz --compare old.npz --failures
      personsearch evaluate --features method.npz --open-set --report page.html
      personsearch evaluate --features method.npz --detection --labelled-only
    """
    asked = Asked(**locals())
    from personsearch.cli.evaluate_run import run_evaluation

    run_evaluation(asked)
