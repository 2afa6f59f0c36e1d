"""``personsearch index``: everybody in a folder of pictures, into a gallery."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from personsearch.cli.options import (
    DeviceOption,
    FormatOption,
    GalleryOption,
    JsonOption,
    ModelOption,
    PartsOption,
    ProgressKind,
    ProgressOption,
)
from personsearch.cli.output import Answer, Printer, chosen

if TYPE_CHECKING:
    from personsearch.types import IndexReport


def index(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of pictures.", show_default=False)],
    gallery: GalleryOption,
    model: ModelOption,
    recursive: Annotated[
        bool, typer.Option("--recursive/--no-recursive", help="Folders inside it, too.")
    ] = True,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try files again that failed and have not changed.")
    ] = False,
    parts: PartsOption = Path("baselines"),
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Put everybody in a folder of pictures into a gallery that can be searched.

    Adding the folder again adds only what is new or changed, by content. Interrupted, the same
    command goes on. Pictures that cannot be read are recorded with the reason; the exit code is
    then 3.

    \b
    Examples:
      personsearch index photos --model model --gallery gallery
      personsearch index photos --model model --gallery gallery --json
    """
    from personsearch.baselines.open import Where, open_searcher
    from personsearch.cli.failures import say
    from personsearch.errors import PartialFailure
    from personsearch.indexing.local import index_folder
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    searcher = open_searcher(model, Where(parts=parts, device=device))
    report = index_folder(
        folder, gallery, searcher, recursive=recursive, retry_failed=retry_failed, progress=console(progress)
    )
    words = f"--model {_quoted(model)} --gallery {_quoted(gallery)}"
    if parts != Path("baselines"):
        words += f" --parts {_quoted(parts)}"
    printer(answer(report, f"next: personsearch search --query PHOTO {words}"))
    for failure in report.failures:
        named = failure.error.startswith(failure.path)  # most errors name their file themselves
        say(failure.error if named else f"{failure.path}: {failure.error}")
    if report.failures:
        raise PartialFailure(
            f"pictures that could not be indexed: {len(report.failures)}; everything else is in {gallery}",
            hint="mend or remove them and run the same command again, or --retry-failed",
        )


def answer(report: IndexReport, following: str) -> Answer:
    """The counts of an indexing, with every failure named."""
    counts = {
        name: getattr(report, name) for name in ("added", "unchanged", "updated", "removed", "duplicates")
    } | {"failed": len(report.failures), "people": report.people}
    record = {
        "schema": "personsearch.index/1",
        "gallery": report.gallery,
        "model": report.model,
        **counts,
        "failures": [asdict(failure) for failure in report.failures],
        "seconds": round(report.seconds, 2),
    }
    return Answer(record=record, rows=[counts], after=[following])


def _quoted(path: Path | str) -> str:
    return shlex.quote(str(path))
