"""How the table of the baselines is laid out for people and for programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from personsearch.cli.evaluate_tables import table as lines_of
from personsearch.cli.output import Answer
from personsearch.experiments.baseline_table import BaselineTable, Cell
from personsearch.experiments.baseline_training import TrainedParts
from personsearch.report.paper_figures import Mark, detector_curves
from personsearch.report.plots import Curve
from personsearch.types import Array

TABLE, CURVES = "table.json", "precision-recall.png"


def trained_answer(trained: TrainedParts, out: Path, preset: str, words: str) -> Answer:
    """What was trained, how long it took, and how large the networks are."""
    rows: list[dict[str, Any]] = [
        {
            "part": part.kind,
            "seconds": round(part.seconds, 1),
            "weights": trained.capacity.get(part.kind),
            "this time": "skipped" if part.skipped else "trained",
            "fingerprint": part.fingerprint[:12],
        }
        for part in trained.parts
    ]
    record = {
        "schema": "personsearch.baselines-train/1",
        "out": str(out),
        "preset": preset,
        "parts": [
            {
                "part": part.kind,
                "folder": str(part.folder),
                "fingerprint": part.fingerprint,
                "seconds": part.seconds,
                "skipped": part.skipped,
            }
            for part in trained.parts
        ],
        "capacity": trained.capacity,
    }
    sizes, after = trained.capacity, []
    if "idnet" in sizes and "joint" in sizes:
        share = sizes["idnet"] / sizes["joint"]
        after.append(
            f"idnet has {sizes['idnet']:,} weights, {share:.0%} of the joint network's {sizes['joint']:,}"
        )
    after.append(f"next: personsearch baselines evaluate {words} --out table")
    return Answer(record=record, rows=rows, after=after)


def table_answer(table: BaselineTable, out: Path) -> Answer:
    """The table as the paper prints it, with intervals, cost, curves and order below."""
    rows = [_row(f"{finder} + {method}", cell) for (finder, method), cell in table.cells.items()]
    if table.joint is not None:
        rows.append(_row("joint network", table.joint))
    after = ["", "mAP / top-1 in per cent, as the paper's Table 2", *lines_of(_paper_rows(table)), ""]
    after += _detection_lines(table)
    after += _order_lines(table)
    after += ["", f"figures  {out / TABLE}"]
    if table.found:
        after.append(f"curves   {out / CURVES}")
    return Answer(
        record={**table.record(per_query=False), "table": str(out / TABLE)},
        rows=rows,
        before=[
            f"{table.protocol}: {table.pictures} pictures, {len(_first(table).evaluation.search.ap)} queries",
            f"detections from score {table.settings.det_threshold:g}; low and high: 95 % interval of mAP",
            "",
        ],
        after=after,
    )


def _first(table: BaselineTable) -> Cell:
    return next(iter(table.cells.values()))


def _row(name: str, cell: Cell) -> dict[str, Any]:
    ap, top = cell.evaluation.intervals["mAP"], cell.evaluation.intervals["top-1"]
    together = cell.detect_ms + (cell.describe_ms if cell.describe_ms == cell.describe_ms else 0.0)
    return {
        "method": name,
        "mAP": ap.mean,
        "low": ap.low,
        "high": ap.high,
        "top-1": top.mean,
        "ms find": round(cell.detect_ms, 1),
        "ms describe": None if cell.describe_ms != cell.describe_ms else round(cell.describe_ms, 1),
        "ms": round(together, 1),
    }


def _paper_rows(table: BaselineTable) -> list[dict[str, Any]]:
    """A row a detector, a column a re-id method."""

    def said(cell: Cell | None) -> str:
        if cell is None:
            return "-"
        ap, top = (100 * cell.evaluation.intervals[name].mean for name in ("mAP", "top-1"))
        return f"{ap:.1f} / {top:.1f}"

    rows = [
        {
            "": finder,
            **{method: said(table.cells.get((finder, method))) for method in table.settings.embedders},
        }
        for finder in table.settings.detectors
    ]
    if table.joint is not None:
        for row in rows:
            row["joint"] = said(table.joint if row[""] == "deep" else None)
    return rows


def _detection_lines(table: BaselineTable) -> list[str]:
    """How well each detector finds people."""
    if not table.found:
        return []
    rows = []
    for name, found in table.found.items():
        row: dict[str, Any] = {"detector": name, "recall": found.scores.recall, "AP": found.scores.ap}
        for recall, precision, _ in found.marks:
            row[f"p@{10 * int(recall * 10)}"] = precision
        rows.append(row)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    height = table.settings.min_height
    return [
        f"people of {height:g} px and more: recall and AP from score {table.settings.det_threshold:g}, "
        "precision at a recall of so many per cent",
        *lines_of([{column: row.get(column) for column in columns} for row in rows]),
        "",
    ]


def _order_lines(table: BaselineTable) -> list[str]:
    """The paper's order, pair by pair, by mAP; top-1 where it says otherwise."""
    if not table.claims:
        return []
    rows = [
        {
            "the paper says": f"{claim.better} over {claim.worse}",
            "by": claim.difference.measure,
            "difference": claim.difference.difference.mean,
            "low": claim.difference.difference.low,
            "high": claim.difference.difference.high,
            "p": claim.difference.p_value,
            "here": claim.verdict,
        }
        for claim in table.claims
    ]
    counts = {word: sum(claim.verdict == word for claim in table.claims) for word in ("holds", "undecided")}
    wrong = len(table.claims) - sum(counts.values())
    return [
        f"the paper's order holds in {counts['holds']} of {len(rows)} comparisons, "
        f"{counts['undecided']} undecided (p of 0.05 or more), {wrong} reversed",
        *lines_of(rows),
    ]


def curves(table: BaselineTable) -> Array:
    """The paper's Fig. 5: precision against recall, with points pointed out."""
    lines = [Curve(name=name, x=one.recall, y=one.precision) for name, one in table.found.items()]
    marks = [
        Mark(curve=number, x=recall, y=precision, text=f"({recall:.2f}, {precision:.2f})")
        for number, one in enumerate(table.found.values())
        for recall, precision, _ in one.marks
    ]
    title = f"Detection, people of {table.settings.min_height:g} px and more"
    return detector_curves(lines, marks, title=title)
