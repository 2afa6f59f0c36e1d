"""What people combined before one network did both: classical detectors, descriptors and metrics."""
