"""What the words of ``personsearch evaluate`` mean together: checked, and as rules and protocol."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from personsearch.cli.evaluate_options import (
    ApName,
    BoxSource,
    CamerasName,
    JunkName,
    MatchName,
    PolicyName,
    RepeatedName,
    SidesName,
    SubsetName,
)
from personsearch.cli.options import DatasetName, ProgressKind
from personsearch.cli.output import Format
from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.evaluation.search_rules import SearchRules
    from personsearch.experiments.benchmark import Protocol


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Everything the command line said."""

    features: Path | None
    model: str | None
    dataset: DatasetName | None
    root: Path | None
    gallery_size: str | None
    all_sizes: bool
    cameras: CamerasName
    subset: SubsetName | None
    junk: JunkName
    query_box: BoxSource
    boxes: BoxSource
    limit_queries: int | None
    det_threshold: float
    match_iou: MatchName
    repeated: RepeatedName
    policy: PolicyName
    ap: ApName
    box_sides: SidesName
    junk_overlap: float | None
    context_matching: str | None
    k_reciprocal: str | None
    detection: bool
    iou: float | None
    labelled_only: bool
    min_height: float | None
    coco: bool
    compare: Path | None
    failures: bool
    open_set: bool
    reliability: bool
    report: Path | None
    features_out: Path | None
    out: Path | None
    parts: Path
    device: str
    form: Format | None
    as_json: bool
    progress: ProgressKind

    def check(self) -> None:
        """Refuse words that contradict each other.

        Raises:
            UsageError: they do.
        """
        if (self.features is None) == (self.model is None):
            raise UsageError("give either --features or --model", hint="personsearch evaluate --help")
        if self.features is not None and self.root is not None and self.dataset is None:
            raise UsageError(
                f"--root {self.root} needs --dataset beside --features",
                hint=f"say its layout: --dataset {', '.join(DatasetName)}",
            )
        if self.root is None and (self.model is not None or self.dataset is not None):
            raise UsageError("--root is missing", hint="it names the folder of the data set")
        if self.model is not None and self.out is None and not Path(self.model).is_dir():
            from personsearch.baselines.open import split_pair

            if split_pair(self.model) is not None:
                raise UsageError(
                    "--out is missing", hint=f"{self.model} has no folder of its own for figures"
                )
        if self.features is not None and self.boxes is not BoxSource.DETECTED:
            raise UsageError("--boxes needs --model", hint="the boxes of a features file are what they are")
        only_detection = {
            "--iou": self.iou is not None,
            "--labelled-only": self.labelled_only,
            "--min-height": self.min_height is not None,
            "--coco": self.coco,
        }
        only_search = {
            "--all-sizes": self.all_sizes,
            **self._of_one_gallery(),
            **self._of_searches(),
        }
        for words, wrong, said in (
            (only_detection, not self.detection, "needs --detection"),
            (only_search, self.detection, "is about searches, not about --detection"),
        ):
            given = next((word for word, there in words.items() if there), None)
            if wrong and given is not None:
                raise UsageError(f"{given} {said}", hint="personsearch evaluate --help")
        self._check_all_sizes()
        if not math.isfinite(self.det_threshold):
            raise UsageError(
                f"--det-threshold {self.det_threshold} means nothing",
                hint="give a number on the scale of the file's scores",
            )
        if self.iou is not None and not 0 <= self.iou <= 1:
            raise UsageError(f"--iou {self.iou} means nothing", hint="give a number from 0 to 1")

    def _check_all_sizes(self) -> None:
        if not self.all_sizes:
            return
        if self.gallery_size is not None or self.subset is not None:
            raise UsageError(
                "--all-sizes already says which galleries", hint="drop --gallery-size and --subset"
            )
        given = next((word for word, there in self._of_one_gallery().items() if there), None)
        if given is not None:
            raise UsageError(f"{given} is about one gallery size", hint="drop --all-sizes")

    def _of_one_gallery(self) -> dict[str, bool]:
        """Questions that are asked of the searches of one gallery size, and whether they are."""
        return {
            "--compare": self.compare is not None,
            "--failures": self.failures,
            "--open-set": self.open_set,
            "--reliability": self.reliability,
            "--report": self.report is not None,
        }

    def _of_searches(self) -> dict[str, bool]:
        """Words that shape searches and no detection, and whether they say anything unusual."""
        return {
            "--gallery-size": self.gallery_size is not None,
            "--cameras": self.cameras is not CamerasName.ALL,
            "--subset": self.subset is not None,
            "--limit-queries": self.limit_queries is not None,
            "--query-box": self.query_box is not BoxSource.ANNOTATED,
            "--match-iou": self.match_iou is not MatchName.SIZE_ADAPTIVE,
            "--repeated": self.repeated is not RepeatedName.TWICE,
            "--policy": self.policy is not PolicyName.OFFICIAL,
            "--junk": self.junk is not JunkName.FIELD,
            "--junk-overlap": self.junk_overlap is not None,
            "--box-sides": self.box_sides is not SidesName.CONTINUOUS,
            "--context-matching": self.context_matching is not None,
            "--k-reciprocal": self.k_reciprocal is not None,
        }

    def rules(self) -> SearchRules:
        """How scores are made of rankings."""
        from personsearch.evaluation.search_rules import SearchRules
        from personsearch.ranking.kreciprocal import KReciprocalRules

        context, again = self.context_matching, None
        pair = None if context is None else _numbers("--context-matching", context, 2)
        if self.k_reciprocal is not None:
            k1, k2, weight = _numbers("--k-reciprocal", self.k_reciprocal, 3)
            if not 0 <= weight <= 1:
                raise UsageError(
                    f"--k-reciprocal {self.k_reciprocal}: the weight must be a number from 0 to 1",
                    hint="as in --k-reciprocal 20,6,0.3",
                )
            again = (int(k1), int(k2), weight)
        try:
            return SearchRules(
                det_threshold=self.det_threshold,
                match_iou=self.match_iou.value,
                repeated=self.repeated.value,
                ap=self.ap.value,
                policy=self.policy.value,
                box_sides=self.box_sides.value,
                junk_overlap=self.junk_overlap,
                context=None if pair is None else (int(pair[0]), int(pair[1])),
                k_reciprocal=None
                if again is None
                else KReciprocalRules(k1=again[0], k2=again[1], weight=again[2]),
            )
        except ValueError as error:
            raise UsageError(str(error), hint="personsearch evaluate --help") from error

    def protocol(self) -> Protocol:
        """Which searches are scored, and how."""
        from personsearch.experiments.benchmark import Protocol

        return Protocol(
            gallery_size=gallery_size(self.gallery_size),
            cameras=self.cameras.value,
            subset=None if self.subset is None else self.subset.value,
            junk=self.junk.value,
            limit=self.limit_queries,
            query_box=self.query_box.value,
            boxes=self.boxes.value,
            rules=self.rules(),
        )


def gallery_size(text: str | None) -> int | Literal["full"] | None:
    """What ``--gallery-size`` said.

    >>> gallery_size("100"), gallery_size("full"), gallery_size(None)
    (100, 'full', None)
    """
    if text is None:
        return None
    if text.lower() == "full":
        return "full"
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"--gallery-size {text} is no gallery", hint="give a number of pictures, or full")
    return int(text)


def _numbers(word: str, text: str, count: int) -> tuple[float, ...]:
    """``count`` numbers with commas between; all but a third are whole and positive."""
    parts = text.split(",")
    try:
        numbers = tuple(float(part) for part in parts)
    except ValueError:
        numbers = ()
    whole = all(number >= 1 and number == int(number) for number in numbers[:2] if number < float("inf"))
    if len(numbers) != count or not whole or not all(abs(number) < 1e9 for number in numbers):
        example = "10,3" if count == 2 else "20,6,0.3"
        raise UsageError(f"{word} {text} is not understood", hint=f"as in {word} {example}")
    return numbers
