"""Pictures that are another one saved anew: known, and not stored a second time."""

from __future__ import annotations

from collections.abc import Iterable

from personsearch.gallery import forgetting
from personsearch.gallery.gallery import Gallery
from personsearch.gallery.ledger import Entry, FileState
from personsearch.gallery.named import Example


def add_near(gallery: Gallery, file: FileState, like: int, scale: tuple[float, float] = (1.0, 1.0)) -> Entry:
    """Record that ``file`` is the picture ``like`` saved anew; it is not searched.

    What the same place held before is replaced. Whoever was forgotten in that picture stays out when this
    one takes its place some day: it is noted now, for then nobody can tell.

    Args:
        gallery: open for writing.
        file: the copy.
        like: the number of the picture.
        scale: width and height of the copy, in those of the picture.
    """
    gallery._check_writing()
    kept_out = gallery._kept_out.carried(gallery._ledger.entry_of(like).sha256, file.sha256, scale)
    if kept_out != gallery._kept_out:
        kept_out.write(gallery.path)
        gallery._kept_out = kept_out
    return gallery._record(file, state="near", like=like)


def shown_by(gallery: Gallery, examples: Iterable[Example]) -> set[int]:
    """Numbers of the people in the places that examples show, in pictures in here or copies of them."""
    gallery._newest()
    return forgetting.shown_by(gallery._store(), examples)


def entry_of(gallery: Gallery, picture: int) -> Entry:
    """What is known of one of the files with this content, a present one if there is any."""
    return gallery._ledger.entry_of(picture)
