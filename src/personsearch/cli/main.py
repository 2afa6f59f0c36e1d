"""The command ``personsearch``: its commands, and how it ends."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from personsearch import __version__
from personsearch.cli import (
    ablation,
    annotate,
    baselines,
    calibrate,
    clips,
    dataset,
    demo,
    detect,
    doctor,
    evaluate,
    export,
    failures,
    forget,
    gallery,
    index,
    person,
    refine,
    search,
    sheet,
    train,
    watch,
)

app = typer.Typer(
    name="personsearch",
    rich_markup_mode=None,  # plain help: examples stay as they are written, and it can be searched
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(dataset.app, name="dataset")
app.add_typer(baselines.app, name="baselines")
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("detect")(detect.detect)
app.command("index")(index.index)
app.command("search")(search.search)
app.command("refine")(refine.refine)
app.add_typer(person.app, name="person")
app.command("calibrate")(calibrate.calibrate)
app.command("sheet")(sheet.sheet)
app.command("annotate")(annotate.annotate)
app.command("clips")(clips.clips)
app.command("watch")(watch.watch)
app.add_typer(gallery.app, name="gallery")
app.command("forget")(forget.forget)
app.command("export")(export.export)
app.command("ablation")(ablation.ablation)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"personsearch {__version__}")
        raise typer.Exit(0)


@app.callback(invoke_without_command=True)
def personsearch(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_print_version, is_eager=True),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error, too.")] = False,
) -> None:
    """Find a person in whole photographs.

    Results go to standard output (a table on a terminal, JSON lines in a pipe), progress and
    errors to standard error. Nothing is ever sent anywhere.

    \b
    From a folder of photographs to "here is that person":
      personsearch dataset make --preset medium --out data
      personsearch train --dataset synthetic --root data --preset medium --out model
      personsearch index photos --model model --gallery gallery
      personsearch search --query photo.jpg --box 412,88,140,390 --model model --gallery gallery
    Or all of it on generated pictures:
      personsearch demo --out demo

    Exit codes: 0 done, 1 failed, 2 not understood, 3 done with partial failures, 4 an input that
    cannot be used, 5 gallery of another model, 6 locked by another process, 130 interrupted.
    """
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


def run(arguments: Sequence[str]) -> int:
    """Run the command with ``arguments`` and return its exit code; never raises for what users cause."""
    debug = "--debug" in arguments  # wherever it stands: people add it at the end
    words = [word for word in arguments if word != "--debug"]
    try:
        _prepare(debug)
        code = typer.main.get_command(app).main(words, prog_name="personsearch", standalone_mode=False)
        sys.stdout.flush()
    except SystemExit as end:  # the shell's completion, or a reader that closed the pipe
        return end.code if isinstance(end.code, int) else 1
    except BrokenPipeError:
        _drop_stdout()
        return 1
    except BaseException as error:
        return failures.report(error, debug=debug)
    if code == failures.INTERRUPTED:  # some versions of Typer turn Ctrl-C into a code
        failures.interrupted()
    return code if isinstance(code, int) else 0


def _prepare(debug: bool) -> None:
    """Streams that can write any file's name, log lines on standard error, and a soft SIGTERM."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (">&-"): what is written goes nowhere
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")
    logging.basicConfig(stream=sys.stderr, format="%(message)s", level=logging.WARNING)
    logging.getLogger("personsearch").setLevel(logging.DEBUG if debug else logging.INFO)
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore")  # of libraries, to their callers: users can do nothing about them
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)


def _terminate(number: int, frame: FrameType | None) -> None:
    raise failures.Terminated


def _drop_stdout() -> None:
    """Nobody reads any more: let the interpreter's last flush go nowhere, without a complaint."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    """Entry point of the command."""
    sys.exit(run(sys.argv[1:]))
