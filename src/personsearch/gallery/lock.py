"""One writer of a gallery at a time: the house's lock, under the name the gallery knows it by."""

from personsearch.files import WriterLock

__all__ = ["WriterLock"]
