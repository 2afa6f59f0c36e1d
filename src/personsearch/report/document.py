"""A report as a list of blocks, written as Markdown and as one self-contained page of HTML.

Whoever writes the report says what stands in it; how it looks is said here, once for both forms.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined

KINDS = {"png": "image/png", "jpg": "image/jpeg"}


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A heading; ``key`` is where a link to it goes."""

    text: str
    level: int = 2
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A paragraph, or the points of a list."""

    text: str = ""
    points: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Table:
    """Columns and rows of text.

    Attributes:
        columns: their names.
        rows: as many cells in each.
        caption: above it.
        marked: (row, word): rows with a verdict, coloured by it: ``good``, ``bad`` or ``open``.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    marked: Mapping[int, str] | None = None

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{len(row)} cells do not fit {len(self.columns)} columns: {row}")


@dataclass(frozen=True, eq=False, kw_only=True)
class Image:
    """A figure.

    Attributes:
        name: of its file, which says its kind by its ending (png or jpg).
        content: of the file.
        alt: what it shows, for whoever cannot see it.
        caption: below it.
    """

    name: str
    content: bytes
    alt: str
    caption: str = ""

    @property
    def data(self) -> str:
        """As an address that holds the picture itself."""
        kind = KINDS[self.name.rpartition(".")[2]]
        return f"data:{kind};base64,{base64.b64encode(self.content).decode()}"


Block = Heading | Text | Table | Image


def as_markdown(blocks: Sequence[Block], folder: str = "") -> str:
    """The blocks as Markdown; figures are linked as files in ``folder``."""
    parts = []
    for block in blocks:
        if isinstance(block, Heading):
            parts.append(f"{'#' * block.level} {block.text}")
        elif isinstance(block, Text):
            lines = [block.text] if block.text else []
            lines += [f"- {point}" for point in block.points]
            parts.append("\n".join(lines) if not (block.text and block.points) else _led(block))
        elif isinstance(block, Table):
            parts.append(_markdown_table(block))
        else:
            path = f"{folder}/{block.name}" if folder else block.name
            parts.append(f"![{block.alt}]({path})" + (f"\n\n*{block.caption}*" if block.caption else ""))
    return "\n\n".join(parts) + "\n"


def _led(block: Text) -> str:
    """A list with a sentence before it: Markdown wants an empty line between them."""
    return block.text + "\n\n" + "\n".join(f"- {point}" for point in block.points)


def _markdown_table(table: Table) -> str:
    lines = [f"**{table.caption}**", ""] if table.caption else []
    for row in (table.columns, ("---",) * len(table.columns), *table.rows):
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |")
    return "\n".join(lines)


def as_html(blocks: Sequence[Block], title: str) -> str:
    """The blocks as one page that needs no other file and runs no script; everything is escaped."""
    environment = Environment(
        loader=FunctionLoader(lambda name: files("personsearch.report").joinpath(name).read_text("utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    kinds = [(type(block).__name__, block) for block in blocks]
    return environment.get_template("document.html.j2").render(title=title, blocks=kinds)
