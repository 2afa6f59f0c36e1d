"""What can go wrong, said so that a person can act on it, with the exit code the command ends with.

Every error that a user can cause is a ``PersonSearchError``: one line that says what
is wrong, one hint that says what to do, and the exit code of the command line. Anything
else that escapes is a defect of ours.
"""

from __future__ import annotations


class PersonSearchError(Exception):
    """Something went wrong that the user should hear about in one line.

    Args:
        message: one line, naming the file or value that is wrong.
        hint: one line, what to do about it; empty when there is nothing to say.

    >>> error = InputError("photo.jpg is not a picture", hint="give a JPEG, PNG or WebP")
    >>> str(error), error.hint, error.exit_code
    ('photo.jpg is not a picture', 'give a JPEG, PNG or WebP', 4)
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(PersonSearchError):
    """The command was asked for something that cannot be meant (exit code 2)."""

    exit_code = 2


class PartialFailure(PersonSearchError):
    """The work is done, but some of its inputs failed; each is recorded (exit code 3)."""

    exit_code = 3


class InputError(PersonSearchError):
    """An input cannot be used: an unreadable picture, a box outside it (exit code 4)."""

    exit_code = 4


class DatasetError(InputError):
    """A data set on disk is not what its format says (exit code 4)."""


class ModelMismatch(PersonSearchError):
    """Features of two different models would meet, which means nothing (exit code 5)."""

    exit_code = 5


class LockedError(PersonSearchError):
    """Another process is writing here (exit code 6)."""

    exit_code = 6
