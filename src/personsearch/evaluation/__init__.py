"""Trials x detections -> numbers: pure functions, the same for every data set and every searcher."""
