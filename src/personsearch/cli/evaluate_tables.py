"""How the numbers of an evaluation are laid out, for a terminal of 80 columns."""

from __future__ import annotations

import io
import json
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from personsearch.cli.output import Answer, print_table
from personsearch.experiments.benchmark import Evaluation, evaluation_row

if TYPE_CHECKING:
    from personsearch.evaluation.comparison import Comparison
    from personsearch.evaluation.failures import FailureSplit
    from personsearch.evaluation.openset import OpenSetScores
    from personsearch.evaluation.reliability import Reliability
    from personsearch.ranking.bootstrap import Interval

WIDTH = 80
NAMES = ("dataset", "protocol", "gallery", "query", "AP", "policy", "queries")
_REASONS = {"ranked_low": "rank", "below_threshold": "score", "box_too_loose": "box", "not_detected": "none"}


def wrapped(text: str) -> list[str]:
    """A sentence in lines, the later ones indented; no word is broken."""
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of a table; columns that find no room stand below."""
    text = io.StringIO()
    print_table(rows, text)
    lines = text.getvalue().splitlines()
    names = list(rows[0])
    if max(map(len, lines)) <= WIDTH or len(names) == 1:
        return lines
    here = len(names) - 1
    while here > 1 and len(table(_columns(rows, names[:here]))) > len(lines):
        here -= 1
    return [line for part in (names[:here], names[here:]) for line in table(_columns(rows, part))]


def _columns(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    return [{name: row[name] for name in names} for row in rows]


def counted(n: int, what: str, many: str) -> str:
    """A number with its noun.

    >>> counted(1, "query", "queries"), counted(2900, "query", "queries")
    ('1 query', '2,900 queries')
    """
    return f"{n:,} {what if n == 1 else many}"


def search_answer(
    record: Mapping[str, Any],
    results: Sequence[Evaluation],
    rules: Iterable[tuple[str, str]],
    after: Sequence[str],
) -> Answer:
    """Names first, then the numbers: a line a measure of one gallery size, or a line a size."""
    rows = [evaluation_row(result) for result in results]
    numbers: list[dict[str, Any]]
    if len(results) == 1:
        named = [{name: rows[0][name] for name in NAMES}]
        numbers = [
            {"measure": name, "value": interval.mean, "low": interval.low, "high": interval.high}
            for name, interval in results[0].intervals.items()
        ]
        said = "low and high: 95 % interval"
    else:
        shared = [
            name for name in NAMES if name != "gallery" and all(row[name] == rows[0][name] for row in rows)
        ]
        named = [{name: rows[0][name] for name in shared}]
        numbers = [{name: row[name] for name in row if name not in shared} for row in rows]
        said = "low and high: 95 % interval of mAP"
    return Answer(
        record=record,
        rows=numbers,
        before=[*table(named), *wrapped(", ".join(f"{name} {value}" for name, value in rules)), "", said],
        after=after,
    )


def failure_lines(split: FailureSplit) -> list[str]:
    """Why queries are lost, a line for each group of them."""
    rows = [
        {
            "queries": _group(str(row["by"]), str(row["value"])),
            "n": row["n"],
            "found": row["found"],
            **{short: row[key] for key, short in _REASONS.items()},
            "lost": f"{100 * row['lost']:3.0f}%",
            "95 %": f"{100 * row['low']:.0f}-{100 * row['high']:.0f}%",
        }
        for row in split.rows("query")
    ]
    lines = ["", f"why a query has no right answer {_among(split.k)}"]
    if not rows:
        return [*lines, "nobody is to be found by any query"]
    lines += [
        "rank: ranked low, score: below threshold, box: too loose, none: not detected",
        "query: by the query's box, truth: by the tallest and clearest box to be found",
    ]
    lines += table(rows)
    if split.threshold_hides:
        lines += wrapped(
            "the features hold nothing below the threshold, so 'below threshold' shows as 'not detected'"
        )
    return lines


def comparison_lines(comparison: Comparison, one: object, other: object) -> list[str]:
    """Two runs, a line a measure."""
    rows = comparison.rows()
    other_rules = [
        f"{name} {_value(mine)} / {_value(theirs)}" for name, (mine, theirs) in comparison.rules.items()
    ]
    tests = dict.fromkeys(str(row["test"]) for row in rows)
    told = "; ".join(
        f"{', '.join(str(row['measure']) for row in rows if row['test'] == test)}: {test}" for test in tests
    )
    return [
        "",
        f"a: {one}",
        f"b: {other}",
        *(wrapped(f"they differ in: {'; '.join(other_rules)}") if other_rules else []),
        *table([{name: value for name, value in row.items() if name != "test"} for row in rows]),
        *wrapped(f"difference: a - b; p for each measure alone ({told})"),
    ]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def open_set_lines(scores: OpenSetScores) -> list[str]:
    """How often the right person is named, a line for each false-alarm rate."""
    lines = ["", *wrapped(_open_set_lead(scores))]
    if not scores.mated or not scores.nonmated:
        return [*lines, "nobody who is looked for is in the gallery: no rate can be told"]
    rows = [
        {
            "false alarms": f"{100 * row['far']:g}%".rjust(12),
            "DIR": row["dir"],
            "low": row["low"],
            "high": row["high"],
            "threshold": row["threshold"],
            "alarms": row["alarms"],
        }
        for row in scores.rows()
    ]
    lines += table(rows)
    untold = [f"{100 * point.far:g}%" for point in scores.points if not point.resolved]
    if untold:
        lines += wrapped(
            f"{', '.join(untold)} cannot be told from {scores.nonmated:,} searches: "
            f"one false alarm is {100 * scores.smallest_far:.3g}% of them"
        )
    return lines


def _open_set_lead(scores: OpenSetScores) -> str:
    within = "first" if scores.rank == 1 else f"among the first {scores.rank}"
    return (
        f"open-set search: how often the person is {within} and above the threshold (DIR); "
        f"{counted(scores.mated, 'search', 'searches')} with the person, "
        f"{scores.nonmated:,} without"
    )


def reliability_lines(found: Reliability) -> list[str]:
    """Whether probabilities hold, a line a bin."""
    lead = (
        f"reliability: {counted(found.answers, 'first answer', 'first answers')}, "
        f"probabilities {calibration_of(found)}"
    )
    return [
        "",
        *wrapped(lead),
        *table(found.rows()),
        *wrapped(
            f"calibration error (ECE) {_with_ends(found.ece)}, Brier score {_with_ends(found.brier)}; "
            f"{found.share:.3f} of the answers are right, {found.probability:.3f} is said on average"
        ),
    ]


def calibration_of(found: Reliability) -> str:
    """Where the probabilities come from, in words."""
    if found.source == "given":
        return "by the model's own calibration"
    return "cross-fitted: learnt on one half of the people, judged on the other, and the reverse"


def _with_ends(interval: Interval) -> str:
    return f"{interval.mean:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _among(k: int) -> str:
    return "in first place" if k == 1 else f"among the first {k}"


def _group(by: str, value: str) -> str:
    """What queries of a group have in common, in few letters.

    >>> _group("all", "all"), _group("query height", "under 50 px"), _group("truth visible", "40 to 60%")
    ('all', 'query: under 50 px', 'truth: 40 to 60% visible')
    >>> _group("query camera", "3"), _group("truth camera", "other cameras only")
    ('query: camera 3', 'truth: other cameras only')
    >>> _group("query visible", "not known"), _group("query camera", "not known")
    ('query: visible not known', 'query: camera not known')
    """
    subject, _, what = by.partition(" ")
    if not what:
        return value
    if value == "not known" or (what == "camera" and "camera" not in value):
        return f"{subject}: {what} {value}"
    return f"{subject}: {value}{' visible' if what == 'visible' else ''}"
