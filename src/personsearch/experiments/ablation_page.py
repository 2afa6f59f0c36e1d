"""The ablation's numbers as a page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(found: Mapping[str, Any], picture: str) -> str:
    """The report as a page of Markdown; ``picture`` is the file of the figure."""
    lines = [
        "# The initial point and the identity loss",
        "",
        f"Protocol: {found['protocol']}, {found['queries']} queries. Brackets: 95 % intervals over queries.",
        "",
        f"![Loss and mAP against the step of stage 2]({picture})",
        "",
        "The two losses share no scale: RSS is a softmax over K sampled classes, softmax one over all.",
        "",
        *_variants_table(found["variants"]),
        "",
        "## Each run",
        "",
        *_table(
            ["run", "mAP", "top-1", "processor minutes of stage 2", "trained on"],
            [
                [
                    f"{row['title']}, seed {row['seed']}",
                    _ends(row["mAP"]),
                    _ends(row["top1"]),
                    row["minutes"],
                    row["trained_on"],
                ]
                for row in found["runs"]
            ],
        ),
        "",
        "## Differences, query by query",
        "",
        "Means over the seeds that both have. p: paired randomisation (sign flips) over queries; another "
        "training differs by more than that.",
        "",
        *_pairs_table(found["pairs"]),
        "",
        *_small_people(found),
    ]
    return "\n".join(lines)


def _variants_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return _table(
        ["way to train", "seeds", "mAP", "top-1", "detection recall", "mAP on true boxes"],
        [
            [
                row["title"],
                ", ".join(map(str, row["seeds"])),
                _ends(row["mAP"]),
                _ends(row["top1"]),
                f"{row['recall']:.3f}",
                f"{row['annotated_mAP']:.3f}",
            ]
            for row in rows
        ],
    )


def _pairs_table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return _table(
        ["expected better", "than", "seeds", "mAP", "p", "top-1", "p", "verdict (mAP)"],
        [
            [
                row["a_title"],
                row["b_title"],
                ", ".join(map(str, row["seeds"])),
                _signed(row["mAP"]),
                _p(row["mAP_p"]),
                _signed(row["top1"]),
                _p(row["top1_p"]),
                row["verdict"],
            ]
            for row in rows
        ],
    )


def _small_people(found: Mapping[str, Any]) -> list[str]:
    small = found["small_queries"]
    return [
        "## Small people",
        "",
        f"The low-resolution subset: the {small['n']} queries of the smallest height, at most "
        f"{small['tallest_px']:g} px.",
        "",
        *_table(
            ["way to train", "mAP, small", "mAP, the others", "gap"],
            [
                [row["title"], _ends(row["small_mAP"]), _ends(row["other_mAP"]), _ends(row["gap"])]
                for row in found["variants"]
            ],
        ),
        "",
        *_table(
            ["against", "", "mAP on small people", "gap shrinks by"],
            [
                [row["a_title"], row["b_title"], _signed(row["small_mAP"]), _signed(row["shrinks"])]
                for row in found["pairs"]
            ],
        ),
        "",
    ]


def _ends(value: Mapping[str, float]) -> str:
    return f"{value['mean']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _signed(value: Mapping[str, float]) -> str:
    return f"{value['mean']:+.3f} [{value['low']:+.3f}, {value['high']:+.3f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(map(str, row)) for row in rows)]
    return [f"| {line} |" for line in lines]
