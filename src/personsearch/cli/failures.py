"""What went wrong, in one ``error:`` line, one ``hint:`` line and an exit code.

0 done (no hits is done, too), 1 failed, 2 not understood, 3 done with partial failures, 4 an
input that cannot be used, 5 features of two models, 6 somebody else is writing here, 130
interrupted, 143 terminated.
"""

from __future__ import annotations

import errno
import sys
import traceback

from personsearch.cli.output import printable
from personsearch.errors import PersonSearchError

INTERRUPTED, TERMINATED = 130, 143

_SYSTEM = {
    errno.ENOSPC: "free some space and run the same command again; what is finished is kept",
    errno.EDQUOT: "free some space and run the same command again; what is finished is kept",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "check who may read and write there",
    errno.EPERM: "check who may read and write there",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path: a file stands where a folder is needed",
    errno.EEXIST: "a file stands where a folder is needed; choose another name",
    errno.EISDIR: "check the path: a folder stands where a file is needed",
    errno.EMFILE: "raise the limit on open files (ulimit -n)",
    errno.EIO: "check the disk",
}


class Terminated(BaseException):
    """The system asked the process to end (SIGTERM); handled like Ctrl-C, with a code of its own."""


def say(error: str, hint: str = "") -> None:
    """The two lines, on standard error; line breaks in them are taken out."""
    for word, text in (("error", error), ("hint", hint)):
        if text:
            print(f"{word}: {printable(' '.join(text.split()))}", file=sys.stderr, flush=True)


def report(error: BaseException, *, debug: bool = False) -> int:
    """Say what went wrong and return the exit code of the command."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, PersonSearchError):
        say(str(error), error.hint)
        return error.exit_code
    if isinstance(error, KeyboardInterrupt | Terminated):
        interrupted()
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    if hasattr(error, "format_message"):  # the command line's own: an unknown option, a missing value
        where = getattr(getattr(error, "ctx", None), "command_path", "personsearch")
        say(error.format_message(), f"see {where} --help")
        return int(getattr(error, "exit_code", 2))
    if isinstance(error, OSError) and error.errno in _SYSTEM:
        named = f"{error.filename}: " if error.filename else ""
        say(f"{named}{error.strerror}", _SYSTEM[error.errno])
        return 1
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        say("not enough memory", "close other programs, use a smaller preset, or --device cpu")
        return 1
    first = (str(error).strip().splitlines() or [""])[0]
    say(
        f"unexpected {type(error).__name__}: {first}".rstrip(": "),
        "this is a defect of personsearch; run again with --debug for the traceback"
        if not debug
        else "this is a defect of personsearch; please report the traceback",
    )
    return 1


def interrupted() -> None:
    """Say that the work was stopped, and that it goes on where it was."""
    say("interrupted", "what is finished is kept; run the same command again to go on")
