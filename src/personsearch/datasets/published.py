"""What is published of the benchmarks: how much is in them, and which oddities every copy has.

Sources: Xiao et al., 2016 (section 3) for pictures, people and queries of CUHK-SYSU; its boxes and
PRW's numbers as the field's loaders count them. The oddities are those of the published files.
"""

from __future__ import annotations

from collections.abc import Mapping

COUNTS: Mapping[str, Mapping[str, int]] = {
    "cuhk-sysu": {
        "train_pictures": 11206,
        "train_boxes": 55272,
        "train_labelled": 15085,
        "train_identities": 5532,
        "test_pictures": 6978,
        "test_boxes": 40871,
        "test_labelled": 8345,
        "queries": 2900,
        "occlusion_queries": 187,
        "low_resolution_queries": 290,
    },
    "prw": {
        "train_pictures": 5704,
        "train_boxes": 18048,
        "train_labelled": 14907,
        "train_identities": 483,
        "test_pictures": 6112,
        "test_boxes": 25062,
        "test_labelled": 19127,
        "queries": 2057,
    },
}
"""By data set: pictures, boxes with an area, boxes with an identity, identities and queries."""

GALLERY_SIZES: Mapping[str, tuple[int, ...]] = {"cuhk-sysu": (50, 100, 500, 1000, 2000, 4000)}

KNOWN: Mapping[str, Mapping[str, frozenset[str] | int]] = {
    "cuhk-sysu": {
        "own-picture": frozenset({"s888.jpg", "s14430.jpg"}),
        "repeated-entry": frozenset({"s3981.jpg", "s11888.jpg", "s5957.jpg", "s12295.jpg"}),
        "person-twice": frozenset(
            {
                *("s14319.jpg", "s1663.jpg", "s9239.jpg", "s4531.jpg", "s10716.jpg"),
                *("s14430.jpg", "s3981.jpg", "s11888.jpg", "s888.jpg", "s5957.jpg", "s12295.jpg"),
            }
        ),
    },
    "prw": {"person-twice": 13, "box-over-edge": 25, "query-box-shifted": 3, "shared-bystander": 94},
}
"""Oddities of the published files by rule: the pictures, or at most how many."""

IN_EVERY_COPY = ("duplicate-box", "lone-person", "box-over-edge")
"""Where all counts are the published ones, these are of the annotation, not of the copy."""


def looks_published(name: str, counts: Mapping[str, int | None]) -> bool:
    """Whether this must be a copy of the published data: at least nine in ten of its pictures.

    Another data set in the same layout (generated, converted, a part for a test) is far from it.
    """
    published = COUNTS.get(name)
    if published is None:
        return False
    keys = ("train_pictures", "test_pictures")
    here, there = (sum(int(table.get(key) or 0) for key in keys) for table in (counts, published))
    return 0.9 * there <= here <= 1.1 * there
