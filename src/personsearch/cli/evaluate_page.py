"""The rankings that went best, worst and in between, as a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from personsearch import images
from personsearch.cli.evaluate_insight import Insight
from personsearch.cli.evaluate_tables import NAMES
from personsearch.errors import InputError
from personsearch.evaluation.failures import REASONS
from personsearch.evaluation.rankings import Rankings
from personsearch.evaluation.ranklists import rank_lists, select_queries
from personsearch.experiments.benchmark import Evaluation, Source, evaluation_row
from personsearch.report.html import Figure
from personsearch.report.ranklists import RankGroup, RankListOptions, ranklist_page
from personsearch.types import Picture, Scene

_GROUPS = (
    ("worst", "Worst", "Where the method fails first."),
    ("median", "Middle", "What it does on an ordinary query."),
    ("best", "Best", "Where it succeeds."),
)


def page_of(
    result: Evaluation, source: Source, insight: Insight, rules: Sequence[tuple[str, str]] = ()
) -> str:
    """The rankings that went best, worst and in between, with charts of what was asked, as an HTML page.

    Args:
        rules: what else shaped the numbers, name and value.
    """
    scenes, split = source.scenes("test"), insight.failures
    assert split is not None  # the page is one of the reasons for which it is made
    rankings = Rankings(result.trials, insight.features, result.protocol.rules)
    chosen = select_queries(result.search)
    groups = [
        RankGroup(
            name=name,
            lead=lead,
            lists=rank_lists(rankings, result.search, split, getattr(chosen, which)),
        )
        for which, name, lead in _GROUPS
    ]
    row = evaluation_row(result)
    figures = [
        Figure(name=name, value=interval.mean, low=interval.low, high=interval.high)
        for name, interval in result.intervals.items()
    ]
    codes = split.reason.tolist()
    return ranklist_page(
        groups,
        _loader(scenes),
        RankListOptions(
            title=f"Rank lists: {result.dataset}, gallery {result.gallery_size}",
            rules=[(name, str(row[name])) for name in NAMES] + list(rules),
            figures=figures,
            reasons={reason: codes.count(code) for code, reason in enumerate(REASONS)},
            charts=insight.charts(),
            notes=_notes(insight),
            similarity=insight.features.similarity,
            cameras={scene.name: scene.camera for scene in scenes if scene.camera is not None},
        ),
    )


def _loader(scenes: Sequence[Scene]) -> Callable[[str], Picture]:
    of = {scene.name: scene for scene in scenes}

    def load(name: str) -> Picture:
        scene = of.get(name)
        if scene is None or scene.path is None:
            raise InputError(f"{name} is not here", hint="give the data set with --dataset and --root")
        return images.load(scene.path, name=name)

    return load


def _notes(insight: Insight) -> list[str]:
    notes = []
    if insight.failures is not None and insight.failures.threshold_hides:
        notes.append(
            "The features hold nothing below the threshold: 'below threshold' shows as 'not detected'."
        )
    if insight.open_set is not None:
        notes.append(
            "Open set: every query is asked twice, of its gallery and of the same without the pictures that "
            "show the person. The threshold is chosen on these searches, so new ones will do a little worse."
        )
    if insight.reliability is not None and insight.reliability.source != "given":
        notes.append(
            "Reliability: the probabilities are not a model's own. They show how well its similarities can "
            "be turned into some."
        )
    return notes
