"""Named sizes of the generated benchmark."""

from __future__ import annotations

from dataclasses import replace

from personsearch.datasets.synthetic.settings import SyntheticSettings
from personsearch.errors import UsageError

NAMES = ("tiny", "demo", "medium")


def preset(name: str) -> SyntheticSettings:
    """The settings called ``name``: ``tiny`` (tests), ``demo`` (minutes) or ``medium``.

    ``demo`` and ``medium`` share their test split to the byte and differ in training only.

    >>> preset("demo").test_scenes == preset("medium").test_scenes
    True
    """
    if name == "tiny":
        return SyntheticSettings(
            train_identities=12,
            train_scenes=14,
            test_identities=8,
            test_scenes=12,
            size=(320, 240),
            gallery_sizes=(6, 10),
            bystanders=2.0,
            smallest=40,
        )
    demo = SyntheticSettings(
        train_identities=600,
        train_scenes=1150,
        test_identities=300,
        test_scenes=440,
        gallery_sizes=(50, 100, 200, 400),
    )
    if name == "demo":
        return demo
    if name == "medium":
        return replace(demo, train_identities=2400, train_scenes=4200)
    raise UsageError(f"no preset {name!r} of generated scenes", hint=f"one of {', '.join(NAMES)}")
