"""What a searcher saw and how it describes the queries: computed once, kept on disk, scored many times."""

from personsearch.features.extraction import extract
from personsearch.features.table import Features

__all__ = ["Features", "extract"]
