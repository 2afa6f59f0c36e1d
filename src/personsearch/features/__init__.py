"""What a searcher saw and how it describes the queries: computed once, kept on disk, scored many times."""

from personsearch.features.detected import QueryBox, detected_queries
from personsearch.features.extraction import extract
from personsearch.features.table import Features
from personsearch.features.truth import Truth, read_truth

__all__ = ["Features", "QueryBox", "Truth", "detected_queries", "extract", "read_truth"]
