"""People already seen, on disk, and finding one of them."""
