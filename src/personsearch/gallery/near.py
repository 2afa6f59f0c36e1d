"""Pictures that are another one saved anew: known, and not stored a second time."""

from __future__ import annotations

from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import Entry, FileState


def add_near(gallery: Gallery, file: FileState, like: int) -> Entry:
    """Record that ``file`` is the picture ``like`` saved anew; it is not searched.

    What the same place held before is replaced.
    """
    gallery._check_writing()
    return gallery._record(file, state="near", like=like)


def entry_of(gallery: Gallery, picture: int) -> Entry:
    """What is known of one of the files with this content, a present one if there is any."""
    return gallery._ledger.entry_of(picture)
