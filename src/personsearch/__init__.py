"""Find a person in whole photographs: propose people, describe each, search them."""

__version__ = "0.1.0"
