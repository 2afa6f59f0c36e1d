"""Whole jobs made of the rooms below: the demo, and what reproduces the paper."""
