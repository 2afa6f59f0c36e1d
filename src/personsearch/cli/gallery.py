"""``personsearch gallery``: what is in a gallery, and keeping it in order."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli.filters import moment_before
from personsearch.cli.options import (
    DeviceOption,
    FormatOption,
    GalleryOption,
    JsonOption,
    PartsOption,
    ProgressKind,
    ProgressOption,
)
from personsearch.cli.output import Answer, Printer, chosen
from personsearch.errors import InputError, PartialFailure, UsageError

if TYPE_CHECKING:
    from personsearch.gallery.migrate import MigrationReport
    from personsearch.gallery.verify import VerifyReport

app = typer.Typer(
    rich_markup_mode=None, help="Show, check, prune, migrate and export galleries.", add_completion=False
)

OutOption = Annotated[
    Path, typer.Option("--out", "-o", help="File: .parquet, .csv or .jsonl.", show_default=False)
]
OlderOption = Annotated[
    str,
    typer.Option("--older-than", metavar="AGE", help="30d, 12h, 2w; or a date.", show_default=False),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it. Without, say how many would go.")]


@app.callback(invoke_without_command=True)
def _group(context: typer.Context) -> None:
    """Show, check, prune, migrate and export galleries."""
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


@app.command("info")
def info(gallery: GalleryOption, form: FormatOption = None, as_json: JsonOption = False) -> None:
    """Say what a gallery holds: model, people, pictures, cameras, times, size.

    \b
    Examples:
      personsearch gallery info --gallery gallery
    """
    from personsearch.gallery.info import describe

    printer = Printer(chosen(form, as_json))
    said = describe(gallery)
    files = ", ".join(f"{number} {state}" for state, number in said["files"].items())
    cameras = ", ".join(f"{name} ({number})" for name, number in said["cameras"].items())
    shown = {
        **said,
        "files": files,
        "cameras": cameras or None,
        "sources": ", ".join(said["sources"]) or None,
    }
    printer(
        Answer(
            record={"schema": "personsearch.gallery-info/1", **said},
            rows=[
                {"what": name.replace("_", " "), "value": str(value)}
                for name, value in shown.items()
                if value is not None
            ],
        )
    )


@app.command("verify")
def verify(
    gallery: GalleryOption,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read everything in a gallery and say what is not as it should be.

    Ends with 0 when it is whole and with 4 when it is not. --repair goes back to the newest
    tables that can be read; pictures that lost people are looked at again by the next indexing.

    \b
    Examples:
      personsearch gallery verify --gallery gallery
      personsearch gallery verify --gallery gallery --repair
    """
    from personsearch.gallery.repair import repair as mend
    from personsearch.gallery.verify import verify as check

    printer = Printer(chosen(form, as_json))
    done = mend(gallery) if repair else []
    report = check(gallery)
    printer(verify_answer(report, done))
    wrong = [finding for finding in report.findings if finding.severity == "error"]
    if wrong:
        mendable = any(finding.mendable for finding in wrong) and not repair
        raise InputError(
            f"{gallery} is damaged: {wrong[0].message} ({wrong[0].count})",
            hint="run the same with --repair" if mendable else "restore it from a copy",
        )


def verify_answer(report: VerifyReport, done: list[str]) -> Answer:
    """What was found and mended."""
    return Answer(
        record={
            "schema": "personsearch.gallery-verify/1",
            "gallery": report.gallery,
            "right": report.right,
            "files": report.files,
            "pictures": report.pictures,
            "people": report.people,
            "findings": [asdict(finding) for finding in report.findings],
            "repaired": done,
        },
        rows=[
            {"weight": f.severity, "number": f.count, "what": f.message, "where": "; ".join(f.examples[:2])}
            for f in report.findings
        ],
        before=[
            f"{report.gallery}: {report.people} people in {report.pictures} pictures, {report.files} files",
            *(f"repaired: {line}" for line in done),
        ],
        after=["whole" if report.right else "not whole"],
    )


@app.command("maintain")
def maintain(
    gallery: GalleryOption,
    cells: Annotated[
        bool | None,
        typer.Option(
            "--cells/--no-cells",
            help="Sort people into cells for search --approximate. Default: where there are some already.",
            show_default=False,
        ),
    ] = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fold the small files of many additions into large ones, and keep the cells of large galleries.

    Indexing folds by itself now and then. Cells let a search that says --approximate look at a part
    of everybody; how much is measured for a recall of 0.995 of the best 100.

    \b
    Examples:
      personsearch gallery maintain --gallery gallery
      personsearch gallery maintain --gallery gallery --cells
    """
    from personsearch.gallery.gallery import Gallery

    printer = Printer(chosen(form, as_json))
    with Gallery.open(gallery, writable=True) as opened:
        made = opened.maintain(cells=cells)
    row = {
        "cells": 0 if made is None else len(made.centres),
        "probes": None if made is None else made.probes,
        "recall": None if made is None else made.recall,
    }
    record = {"schema": "personsearch.gallery-maintain/1", "gallery": str(gallery), **row}
    printer(Answer(record=record, rows=[row]))


@app.command("prune")
def prune(
    gallery: GalleryOption,
    older_than: OlderOption,
    camera: Annotated[
        list[str] | None,
        typer.Option("--camera", help="Only people seen by it; repeatable.", show_default=False),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="For the audit log.", show_default=False)] = "",
    yes: YesOption = False,
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete everybody who was seen longer ago than this, for good.

    A picture without a time is as old as its place in the gallery. The files stay known, so that
    indexing them again brings nobody back.

    \b
    Examples:
      personsearch gallery prune --gallery gallery --older-than 30d
      personsearch gallery prune --gallery gallery --older-than 30d --camera north --yes
    """
    from personsearch.gallery.gallery import Gallery

    printer = Printer(chosen(form, as_json))
    before, cameras = moment_before(older_than), tuple(camera or ())
    with Gallery.open(gallery, writable=yes) as opened:
        receipt = opened.prune(before, cameras=cameras, reason=reason, only_count=not yes)
    words = "deleted for good" if yes else "would be deleted for good; to do it, add --yes"
    printer(
        Answer(
            record={**receipt.to_json(), "done": yes},
            rows=[{"people": receipt.deleted["people"], "pictures": receipt.pictures}],
            after=[f"{receipt.deleted['people']} people in {receipt.pictures} pictures {words}"],
        )
    )


@app.command("migrate")
def migrate(
    gallery: GalleryOption,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The new model, as for search.", show_default=False)
    ] = None,
    leave_out_failed: Annotated[
        bool, typer.Option("--leave-out-failed", help="Take over although some pictures failed.")
    ] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Give an unfinished migration up.")] = False,
    parts: PartsOption = Path("baselines"),
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
    progress: ProgressOption = ProgressKind.AUTO,
) -> None:
    """Describe everybody in a gallery anew with another model, in the boxes that they have.

    The old model answers until the new descriptions are whole. Interrupted, the same command goes
    on. Pictures must be there unchanged; if some failed, the old model stays (exit code 3), unless
    --leave-out-failed says otherwise.

    \b
    Examples:
      personsearch gallery migrate --gallery gallery --model new-model
      personsearch gallery migrate --gallery gallery --abandon
    """
    from personsearch.baselines.open import Where, open_searcher
    from personsearch.cli.failures import say
    from personsearch.gallery import migrate as work
    from personsearch.media.stills import Stills
    from personsearch.progress import console

    printer = Printer(chosen(form, as_json))
    if abandon == (model is not None):
        raise UsageError("give --model or --abandon, and not both")
    if model is None:
        if not work.abandon(gallery):
            raise InputError(f"no migration is under way in {gallery}")
        record = {"schema": "personsearch.gallery-migrate/1", "gallery": str(gallery), "abandoned": True}
        return printer(Answer(record=record, after=["given up: the old model answers, as before"]))
    searcher = open_searcher(model, Where(parts=parts, device=device))
    with Stills() as load:
        report = work.migrate(
            gallery,
            searcher,
            load,
            calibration=searcher.calibration,
            leave_out_failed=leave_out_failed,
            progress=console(progress),
        )
    printer(migration_answer(report))
    for failure in report.failures:
        named = failure.error.startswith(failure.path)
        say(failure.error if named else f"{failure.path}: {failure.error}")
    if report.failures:
        raise PartialFailure(
            f"pictures that could not be described anew: {len(report.failures)}; "
            + ("they are left out" if report.finished else "the old model still answers"),
            hint="index the folder again" if report.finished else "mend them, or add --leave-out-failed",
        )


def migration_answer(report: MigrationReport) -> Answer:
    """What a migration did."""
    record = {
        "schema": "personsearch.gallery-migrate/1",
        **asdict(report),
        "seconds": round(report.seconds, 2),
    }
    row = {
        "described": report.pictures,
        "people": report.people,
        "kept": report.kept,
        "failed": len(report.failures),
    }
    after = ["the new model answers" if report.finished else "not finished: the old model answers"]
    if report.finished and report.kept_examples:
        after.append(f"{report.kept_examples} examples kept of forgotten people keep nobody out any more")
    if report.finished and report.saved_people:
        after.append(f"{report.saved_people} saved people need examples by the new model: person add")
    return Answer(record=record, rows=[row], after=after)


@app.command("export")
def export(
    gallery: GalleryOption,
    out: OutOption,
    vectors: Annotated[bool, typer.Option("--vectors", help="The embeddings, too (.parquet).")] = False,
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write everybody who is searched to one file, for other programs.

    A backup is a copy of the gallery's folder while nobody writes to it. Exports are noted in the
    gallery's audit log.

    \b
    Examples:
      personsearch gallery export --gallery gallery --out people.csv
      personsearch gallery export --gallery gallery --out people.parquet --vectors
    """
    from personsearch.cli.search import note
    from personsearch.gallery.export import export as write

    printer = Printer(chosen(form, as_json))
    people = write(gallery, out, vectors=vectors)
    kind = "people and their embeddings" if vectors else "people"
    noted = {"out": str(out.absolute()), "people": people, "vectors": vectors}
    note(gallery, "export", {**noted, "reason": f"exported {kind} to {out}"})
    record = {
        "schema": "personsearch.gallery-export/1",
        "gallery": str(gallery),
        "out": str(out),
        "people": people,
    }
    printer(Answer(record=record, rows=[{"people": people, "file": str(out)}]))


@app.command("audit")
def audit(
    gallery: GalleryOption,
    last: Annotated[
        int | None, typer.Option("--last", min=1, help="Only so many newest records.", show_default=False)
    ] = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show who searched, forgot and pruned, and verify that the log is as it was written.

    Ends with 4 when it is not. Note the head somewhere else: a chain that was forged whole has
    another one.

    \b
    Examples:
      personsearch gallery audit --gallery gallery
      personsearch gallery audit --gallery gallery --last 20 --format csv
    """
    from personsearch.gallery.audit import AuditLog
    from personsearch.gallery.description import read_description

    printer = Printer(chosen(form, as_json, listing=True))
    read_description(gallery)
    log = AuditLog(gallery)
    report, records = log.check(), list(log.records())
    shown = records[-last:] if last is not None else records
    printer(
        Answer(
            record={
                "schema": "personsearch.gallery-audit/1",
                "gallery": str(gallery),
                **asdict(report),
                "whole": not report.problems,
                "log": shown,
            },
            rows=[_audit_row(record) for record in shown],
            before=[f"{gallery}: {report.records} records"],
            after=[f"head     {report.head}", *(f"WRONG    {problem}" for problem in report.problems)],
            paths=[],
        )
    )
    if report.problems:
        raise InputError(
            f"the audit log of {gallery} is not as it was written: {report.problems[0]}",
            hint="somebody changed it, or the disk did; compare it with a copy",
        )


def _audit_row(record: dict[str, Any]) -> dict[str, Any]:
    """A record as a line of a table."""
    who, query = record.get("who") or {}, record.get("query") or {}
    about = query.get("picture") or record.get("reason") or record.get("after")
    return {
        "number": record.get("number"),
        "time": record.get("time"),
        "action": record.get("action"),
        "user": f"{who.get('user')}@{who.get('host')}",
        "about": about,
        "purpose": record.get("purpose") or record.get("receipt"),
    }
