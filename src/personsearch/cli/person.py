"""``personsearch person``: people who were saved with a gallery, to be looked for again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.cli import sought as words
from personsearch.cli.found import example_record
from personsearch.cli.options import DeviceOption, FormatOption, GalleryOption, JsonOption, PartsOption
from personsearch.cli.output import Answer, Printer, box_text, chosen
from personsearch.cli.search import ConfOption, note, opened_model, placed
from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.gallery.named import NamedPerson

app = typer.Typer(help="People who are saved with a gallery under a name.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="What the person is called.")]


@app.command("list")
def list_people(gallery: GalleryOption, form: FormatOption = None, as_json: JsonOption = False) -> None:
    """List who is saved, and by how many examples.

    \b
    Examples:
      personsearch person list --gallery gallery
      personsearch person list --gallery gallery --format csv
    """
    printer = Printer(chosen(form, as_json, listing=True))
    people = [_load(gallery, name) for name in _store(gallery).names()]
    printer(
        Answer(
            record={
                "schema": "personsearch.people/1",
                "gallery": str(gallery),
                "people": [_summary(person) for person in people],
            },
            rows=[_summary(person) for person in people],
            after=[] if people else ["nobody is saved; personsearch search --save-as NAME saves somebody"],
            paths=[],
        )
    )


@app.command("show")
def show(
    name: NameArgument, gallery: GalleryOption, form: FormatOption = None, as_json: JsonOption = False
) -> None:
    """Show the examples of a person, numbered as `person remove --example` takes them.

    \b
    Examples:
      personsearch person show Ana --gallery gallery
      personsearch person show Ana --gallery gallery --json
    """
    printer = Printer(chosen(form, as_json, listing=True))
    printer(_shown(gallery, _load(gallery, name)))


@app.command("add")
def add(
    command: typer.Context,
    name: NameArgument,
    gallery: GalleryOption,
    query: words.QueryOption = None,
    box: words.BoxOption = None,
    pick: words.PickOption = None,
    largest: words.LargestOption = False,
    crop: words.CropOption = None,
    detection: words.DetectionOption = None,
    wrong: words.NotOption = None,
    wrong_detection: words.NotDetectionOption = None,
    model: words.AnyModelOption = None,
    conf: ConfOption = 0.5,
    parts: PartsOption = Path("baselines"),
    device: DeviceOption = "auto",
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Save somebody, or add examples to somebody who is saved; nothing is searched.

    \b
    Examples:
      personsearch person add Ana -g gallery --query photo.jpg:412,88,140,390 --model model
      personsearch person add Ana -g gallery --detection 17 --not-detection 42
    """
    from personsearch.gallery.gallery import Gallery
    from personsearch.gallery.named import NamedPeople, NamedPerson, checked_name
    from personsearch.gallery.session import save_as

    printer = Printer(chosen(form, as_json, listing=True))
    name = checked_name(name)
    there = name in NamedPeople(gallery).names()
    only_wrong = there and not (query or crop or detection)
    named = words.Named.of(command.params, person=name if only_wrong else None)
    shown = named.shown()
    with Gallery.open(gallery) as opened:
        sought, _ = words.described(named, shown, opened, lambda: opened_model(model, parts, device))
        examples = tuple(placed(example) for example in sought.examples)
        old = NamedPeople(gallery).load(name).shown if there else ()
        saved = save_as(opened, name, NamedPerson(name=name, examples=examples, shown=old))
    _note(gallery, "add", saved, len(examples))
    printer(_shown(gallery, saved))


@app.command("remove")
def remove(
    name: NameArgument,
    gallery: GalleryOption,
    example: Annotated[
        list[int] | None,
        typer.Option("--example", help="Only this example; repeatable.", show_default=False),
    ] = None,
    form: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a saved person, or some of the examples. Hits in the gallery stay: see forget.

    \b
    Examples:
      personsearch person remove Ana --gallery gallery
      personsearch person remove Ana --gallery gallery --example 3
    """
    printer = Printer(chosen(form, as_json))
    person = _load(gallery, name)
    removed = _removed(gallery, person, example or ())
    _note(gallery, "remove", person, removed)
    record = {
        "schema": "personsearch.person-removed/1",
        "gallery": str(gallery),
        "name": person.name,
        "examples": removed,
        "left": len(person.examples) - removed,
    }
    after = [f"{removed} of {len(person.examples)} examples of {person.name} removed"]
    printer(Answer(record=record, rows=[], after=after))


def _removed(gallery: Path, person: NamedPerson, numbers: Sequence[int]) -> int:
    """Remove these examples, or the whole person; how many examples went."""
    if not numbers:
        _store(gallery).remove(person.name)
        return len(person.examples)
    strangers = [number for number in numbers if not 1 <= number <= len(person.examples)]
    if strangers:
        raise UsageError(
            f"{person.name} has no example {strangers[0]}", hint="personsearch person show numbers them"
        )
    keys = {person.examples[number - 1].key for number in numbers}
    gone = sum(example.key in keys for example in person.examples)
    if not any(example.right and example.key not in keys for example in person.examples):
        raise UsageError(
            f"no example of {person.name} would be left", hint="remove the person: leave --example out"
        )
    _store(gallery).change(
        person.name, lambda old: None if old is None else old.without(lambda example: example.key in keys)
    )
    return gone


def _store(gallery: Path) -> Any:
    from personsearch.gallery.description import read_description
    from personsearch.gallery.named import NamedPeople

    read_description(gallery)
    return NamedPeople(gallery)


def _load(gallery: Path, name: str) -> NamedPerson:
    person: NamedPerson = _store(gallery).load(name)
    return person


def _note(gallery: Path, change: str, person: NamedPerson, examples: int) -> None:
    """Who saved or removed whom, in the audit log."""
    details = {
        "change": change,
        "person": person.name,
        "examples": examples,
        "reason": f"{change} {person.name}",
    }
    note(gallery, "person", details)


def _summary(person: NamedPerson) -> dict[str, Any]:
    right = sum(example.right for example in person.examples)
    return {
        "name": person.name,
        "examples": right,
        "not": len(person.examples) - right,
        "models": len({example.model for example in person.examples}),
        "created": person.created,
    }


def _shown(gallery: Path, person: NamedPerson) -> Answer:
    return Answer(
        record={
            "schema": "personsearch.person/1",
            "gallery": str(gallery),
            "name": person.name,
            "created": person.created,
            "examples": [
                {
                    "number": number,
                    **example_record(example),
                    "sha256": example.sha256,
                    "model": example.model,
                    "added": example.added,
                }
                for number, example in enumerate(person.examples, 1)
            ],
        },
        rows=[
            {
                "number": number,
                "is": "the person" if example.right else "somebody else",
                "picture": example.picture,
                "box x,y,w,h": box_text(example.box),
                "detection": example.detection,
                "model": example.model[:12],
                "added": example.added,
            }
            for number, example in enumerate(person.examples, 1)
        ],
        before=[f"{person.name}, saved {person.created}"],
        paths=list(dict.fromkeys(example.picture for example in person.examples if example.picture)),
    )
