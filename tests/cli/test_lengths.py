"""Options that are lengths of time."""

from __future__ import annotations

import pytest

from personsearch.cli.sources import length_of
from personsearch.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"), [("3s", 3.0), ("500ms", 0.5), ("2m", 120.0), ("0", 0.0), (" 0s ", 0.0)]
)
def test_a_length_may_be_none_at_all(text: str, seconds: float) -> None:
    assert length_of(text) == seconds


@pytest.mark.parametrize("text", ["", "-1s", "soon", "0x", "25h"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a step between frames"):
        length_of(text)
