"""The tables of the report: this data set's numbers beside the paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from personsearch.experiments.reproduction import paper
from personsearch.experiments.reproduction.evidence import Decision
from personsearch.experiments.reproduction.figures import named
from personsearch.experiments.reproduction.workshop import OURS
from personsearch.report.document import Table

Record = Mapping[str, Any]
NONE = "–"
MARKS = {"holds": "good", "does not hold": "bad", "cannot be told": "open"}
METHODS = ("euclidean", "kissme", "bow", "idnet")


def ends(values: Mapping[str, float | None]) -> str:
    """A share in per cent with its interval.

    >>> ends({"mean": 0.5, "low": 0.4567, "high": 0.6}), ends({"mean": None, "low": None, "high": None})
    ('50.0 (45.7 to 60.0)', '–')
    """
    if values["mean"] is None:
        return NONE
    mean, low, high = (100 * float(values[name] or 0.0) for name in ("mean", "low", "high"))
    return f"{mean:.1f} ({low:.1f} to {high:.1f})"


def _count(value: int | None) -> str:
    return NONE if value is None else f"{value:,}"


def claims(decisions: Sequence[Decision]) -> Table:
    """Every claim of section 5, and what these numbers say."""
    rows = tuple((one.said.where, one.said.text, one.verdict, one.numbers) for one in decisions)
    return Table(
        columns=("section", "the paper claims", "here", "the numbers"),
        rows=rows,
        marked={i: MARKS[one.verdict] for i, one in enumerate(decisions)},
    )


def table1(result: Record, name: str) -> list[Table]:
    """How much is in the data, beside the paper's data set and the six other ones."""
    groups = {row["split"]: row for row in result["groups"] if row["source"] == "all"}
    both = groups.get("both") or next(iter(groups.values()))
    rows = [(f"{name} (here)", _count(both["identities"]), _count(both["boxes"]))]
    rows += [(other, _count(people), _count(boxes)) for other, (people, boxes) in paper.TABLE1.items()]
    test, train = groups.get("test"), groups.get("train")
    here = {
        "pictures": both["pictures"],
        "training pictures": train and train["pictures"],
        "training identities": train and train["identities"],
        "test pictures": test and test["pictures"],
        "test identities (queries)": test and test["queries"],
        "queries of low resolution": result["subsets"]["low-resolution"],
        "occluded queries": result["subsets"]["occlusion"],
    }
    more = [(what, _count(here[what]), _count(count)) for what, count in paper.COUNTS.items()]
    people = both["people_a_picture"]
    printed = f"{paper.PEOPLE_A_PICTURE} (by its counts, 5.5)"
    more.append(("people a picture", NONE if people is None else f"{people:.1f}", printed))
    return [
        Table(columns=("data set", "identities", "boxes"), rows=tuple(rows)),
        Table(columns=("", "here", "the paper"), rows=tuple(more), caption="Further counts (paper, 3)"),
    ]


def table2(result: Record) -> Table:
    """Detectors by re-id methods, and our network: mAP and top-1 with intervals."""
    rows = []
    for detector in ("acf", "deep", "gt"):
        for method in METHODS:
            cell = result["cells"].get(f"{detector}+{method}")
            if cell is not None:
                rows.append(_searched(named(f"{detector}+{method}"), cell, paper.TABLE2[detector, method]))
        if detector == "deep":
            rows.append(_searched("ours", result[OURS], paper.OURS))
    return Table(
        columns=("method", "mAP", "paper", "top-1", "paper", "ms to find", "ms to describe"),
        rows=tuple(rows),
        caption=f"{result[OURS]['record']['protocol']}, n = {result[OURS]['record']['queries']:,} queries",
    )


def _searched(name: str, cell: Record, printed: tuple[float, float]) -> tuple[str, ...]:
    record = cell["record"]
    times = [NONE if cell[key] is None else f"{cell[key]:.1f}" for key in ("detect_ms", "describe_ms")]
    return (name, ends(record["mAP"]), f"{printed[0]}", ends(record["top1"]), f"{printed[1]}", *times)


def table3(result: Record) -> Table:
    """People who are hard to see, by three methods."""
    rows = []
    for subset in (name for name in paper.TABLE3 if name in result["subsets"]):
        methods = result["subsets"][subset]
        for method, printed in paper.TABLE3[subset].items():
            if methods is None:
                rows.append(
                    (subset, named(method), "not in these data", NONE, f"{printed[0]}", NONE, f"{printed[1]}")
                )
                continue
            one = methods[method]
            rows.append(
                (
                    subset,
                    named(method),
                    f"{one['queries']:,}",
                    ends(one["mAP"]),
                    f"{printed[0]}",
                    ends(one["top1"]),
                    f"{printed[1]}",
                )
            )
    return Table(columns=("queries", "method", "n", "mAP", "paper", "top-1", "paper"), rows=tuple(rows))


def fig5(result: Record) -> Table:
    """Precision at each recall of figure 7a; the paper's points are in its figure only."""
    rows = []
    for name, row in result["detectors"].items():
        at, known = row["at_threshold"], row.get("intervals", {})
        marks = []
        for recall in (f"{r:g}" for r in paper.RECALLS):
            mark = row["marks"][recall]
            marks.append(_between(mark and mark[1], known.get("marks", {}).get(recall)))
        found = [_between(at[key], known.get(key)) for key in ("recall", "precision")]
        rows.append((named(name), _between(row["ap"], known.get("ap")), *found, *marks))
    columns = (
        "detector",
        "AP",
        "recall from 0.5",
        "precision from 0.5",
        *(f"precision at {100 * r:.0f} %" for r in paper.RECALLS),
    )
    return Table(columns=columns, rows=tuple(rows), caption=f"n = {result['pictures']:,} pictures")


def _between(value: float | None, known: Sequence[float] | None) -> str:
    """A share in per cent, with its interval where there is one.

    >>> _between(0.5, [0.4, 0.6]), _between(0.5, None), _between(None, None)
    ('50.0 (40.0 to 60.0)', '50.0', '–')
    """
    if value is None:
        return NONE
    return f"{100 * value:.1f}" if known is None else ends({"mean": value, "low": known[0], "high": known[1]})


def _recall(value: float, known: Mapping[str, float | None] | None) -> str:
    return f"{100 * value:.1f}" if known is None else ends(known)


def _ms(value: float, known: Mapping[str, float | None] | None) -> str:
    """Milliseconds, with their interval where there is one."""
    if known is None or known["low"] is None or known["high"] is None:
        return f"{value:.1f}"
    return f"{value:.1f} ({known['low']:.1f} to {known['high']:.1f})"


def fig6(result: Record) -> Table:
    """How each way to train ends."""
    rows = []
    for row in result["summary"]["variants"]:
        printed = paper.FIG6_MAP.get(row["variant"])
        rows.append(
            (
                row["title"],
                ", ".join(map(str, row["seeds"])),
                ends(row["mAP"]),
                NONE if printed is None else f"about {printed:g}",
                ends(row["top1"]),
                _recall(row["recall"], result.get("recall", {}).get(row["variant"])),
            )
        )
    found = result["summary"]
    return Table(
        columns=("way to train", "seeds", "mAP", "paper", "top-1", "detection recall"),
        rows=tuple(rows),
        caption=f"{found['protocol']}, n = {found['queries']:,} queries; preset {result['preset']}",
    )


def fig7a(result: Record) -> Table:
    """Top-1 by pair and recall; what a detector does not reach is named."""
    rows = []
    for pair, found in result["pairs"].items():
        cells = []
        for wanted in paper.RECALLS:
            row = found.get(f"{wanted:g}")
            cells.append("not reached" if row is None else ends(row["record"]["top1"]))
        rows.append((named(pair), *cells))
    return Table(columns=("top-1 at recall", *(f"{100 * r:.0f} %" for r in paper.RECALLS)), rows=tuple(rows))


def fig7b(result: Record) -> Table:
    """Top-1 by gallery size, the data's own and the paper's."""
    sizes = sorted({*result["sizes"], *paper.GALLERY_SIZES})
    rows = []
    for size in sizes:
        cells = [
            ends(result["methods"][method][str(size)]["top1"])
            if size in result["sizes"]
            else "not in these data"
            for method in (OURS, "deep+bow")
        ]
        printed = {100: ("62.7", "54.1")}.get(size, (NONE, NONE))
        rows.append((f"{size:,}", cells[0], printed[0], cells[1], printed[1]))
    return Table(columns=("pictures", "ours, top-1", "paper", "Deep+BoW, top-1", "paper"), rows=tuple(rows))


def speed(result: Record) -> Table:
    """One pass against two."""
    where = f"{result['device']}, {result['threads']} threads"
    return Table(
        columns=("", "here", "the paper"),
        rows=(
            ("ours, ms a picture", _ms(result["joint_ms"], result.get("joint")), NONE),
            (
                "Deep, then IDNet on everybody found, ms a picture",
                _ms(result["pair_ms"], result.get("pair")),
                NONE,
            ),
            ("times", f"{result['ratio']:.1f} ({result['low']:.1f} to {result['high']:.1f})", "about 40"),
            ("people found in a picture", f"{result['people_a_picture']:.1f}", NONE),
        ),
        caption=f"{where}; n = {result['n']} pictures",
    )


def failures(result: Record) -> Table:
    """What becomes of queries, by method."""
    reasons = ("found", "ranked_low", "below_threshold", "box_too_loose", "not_detected")
    rows = []
    for method, cells in result["methods"].items():
        (whole,) = (row for row in cells if row["by"] == "all")
        shares = tuple(f"{100 * whole[reason] / whole['n']:.1f}" for reason in reasons)
        lost = {"mean": whole["lost"], "low": whole["low"], "high": whole["high"]}
        rows.append((named(method), f"{whole['n']:,}", *shares, ends(lost)))
    columns = ("method", "n", *(f"{reason.replace('_', ' ')}, %" for reason in reasons), "lost, %")
    return Table(columns=columns, rows=tuple(rows))


def cost(result: Record, searched: Record) -> Table:
    """Accuracy beside time, memory and weights."""
    rows = []
    for method, memory in result["memory_mib"].items():
        cell = searched[OURS] if method == OURS else searched["cells"][method]
        parts = [result["parameters"].get(part) for part in method.split("+")]
        weights = sum(one for one in parts if one) if any(parts) else None
        ms = (cell["detect_ms"] or 0.0) + (cell["describe_ms"] or 0.0)
        rows.append(
            (
                named(method),
                ends(cell["record"]["mAP"]),
                _ms(ms, cell.get("ms")),
                NONE if memory is None else f"{memory:.0f}",
                _count(weights),
            )
        )
    return Table(
        columns=("method", "mAP", "ms a picture", "MiB of memory", "weights of networks"), rows=tuple(rows)
    )


def sweep(result: Record) -> Table:
    """RSS by K."""
    rows = []
    for row in result["rows"]:
        name = f"softmax ({result['classes']:,} classes)" if row["k"] is None else f"{row['k']:,}"
        record, recall = row["record"], _recall(row["recall"], row.get("recall_interval"))
        rows.append((name, ends(record["mAP"]), ends(record["top1"]), recall))
    n = result["rows"][0]["record"]["queries"]
    return Table(
        columns=("K", "mAP", "top-1", "detection recall"), rows=tuple(rows), caption=f"n = {n:,} queries"
    )


def best(result: Record, ours: Record, gallery: Record) -> Table:
    """Our best network beside the one of the tables, the paper's and the paper's model measured rightly.

    The network of the tables stands there with the same searches, too, where its best was given with others.
    """
    shown = [(result["name"], result["record"])]
    same = gallery["methods"].get(OURS, {}).get(str(result["record"]["gallery_size"]))
    if same is not None and same["protocol"] != ours["record"]["protocol"]:
        shown.append(("ours, as in figure 7b", same))
    shown.append(("ours, as in table 2", ours["record"]))
    rows: list[tuple[str, ...]] = []
    for name, record in shown:
        rows.append((name, record["protocol"], ends(record["mAP"]), ends(record["top1"])))
    rows.append(("the paper's, as printed", "CUHK-SYSU, gallery of 100", *(f"{v}" for v in paper.OURS)))
    rows.append(
        (
            "the same, by the repaired evaluator",
            "CUHK-SYSU, gallery of 100",
            *(f"{v}" for v in paper.REPAIRED),
        )
    )
    return Table(columns=("network", "searches", "mAP", "top-1"), rows=tuple(rows))
