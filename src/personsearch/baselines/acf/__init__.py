"""The detector of aggregated channel features: channels, pyramid, boosted trees, training, detecting."""
