"""The report of a reproduction: claims first, then every table and figure beside the paper's numbers."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from personsearch import __version__, images
from personsearch.experiments.reproduction import figures, reasons, tables
from personsearch.experiments.reproduction.claims import decide
from personsearch.experiments.reproduction.evidence import Decision
from personsearch.experiments.reproduction.pipeline import BEYOND, Reproduction
from personsearch.experiments.reproduction.stages import digest
from personsearch.experiments.reproduction.workshop import OURS, Asked, Workshop
from personsearch.files import write_bytes, write_json, write_text
from personsearch.progress import clock
from personsearch.report.document import Block, Heading, Image, Table, Text, as_html, as_markdown
from personsearch.types import Array

REPORT, MARKDOWN, HTML, NUMBERS, FIGURES = (
    "report",
    "reproduction.md",
    "reproduction.html",
    "numbers.json",
    "figures",
)
SCHEMA = "personsearch.reproduction-report/2"
TITLE = "The paper's experiments, reproduced"
Pictures = figures.Load | Mapping[str, bytes]
"""What shows pictures of the data set: a function that loads them, or the figures' files by name."""
MOST_BYTES = 150_000
"""Of one figure's file."""
HEADINGS = {
    "table1": "Table 1: how much there is",
    "fig1": "Figure 1b: searches",
    "fig2": "Figure 2: how tall people are",
    "fig3": "Figure 3: queries of each kind",
    "fig4": "Figure 4: the network",
    "table2": "Table 2: detectors and re-id methods",
    "fig5": "Figure 5: finding people",
    "fig6": "Figure 6: initial point and RSS",
    "fig7a": "Figure 7a: detection recall",
    "fig7b": "Figure 7b: gallery size",
    "table3": "Table 3: occlusion and low resolution",
    "speed": "Speed: one pass against two",
    "failures": "Why queries are lost",
    "cost": "What accuracy costs",
    "sweep": "RSS with other K",
    "best": "Our best network",
}


def write_report(made: Reproduction, out: Path) -> Path:
    """Write the report of ``made`` into ``out/report``: Markdown, HTML, numbers and figures; its folder.

    It is made from the stages' results; only figures 1b and 3 read pictures of the data set.
    """
    return write_blocks(made, out / REPORT, _loader(made, out))


def write_blocks(made: Reproduction, folder: Path, pictures: Pictures) -> Path:
    """Write the report of ``made`` into ``folder``, once all of it has been made; the folder.

    Args:
        pictures: where figures 1b and 3 come from.
    """
    decisions = decide(made.results)
    blocks = report_blocks(made, decisions, pictures)
    markdown, page, raw = as_markdown(blocks, FIGURES), as_html(blocks, TITLE), numbers(made, decisions)
    for block in blocks:
        if isinstance(block, Image):
            write_bytes(folder / FIGURES / block.name, block.content)
    write_text(folder / MARKDOWN, markdown)
    write_text(folder / HTML, page)
    write_json(folder / NUMBERS, raw, sort=False)
    return folder


def numbers(made: Reproduction, decisions: Sequence[Decision]) -> dict[str, Any]:
    """Everything behind the report as JSON: claims, and every stage's raw results."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "dataset": made.asked.dataset,
        "preset": made.asked.size.name,
        "seeds": list(made.asked.seeds),
        "pretrained": made.asked.pretrained,
        "items": list(made.items),
        "claims": [one.record() for one in decisions],
        "command": made.command or command_of(made.asked, made.items),
        "python": made.python or platform.python_version(),
        "best given": made.asked.best is not None,
        "by": dict(made.by),
        "seconds": dict(made.seconds),
        "results": dict(made.results),
    }


def report_blocks(made: Reproduction, decisions: Sequence[Decision], pictures: Pictures) -> list[Block]:
    """The whole report."""
    blocks: list[Block] = [Heading(text=TITLE, level=1), *_opening(made)]
    blocks += [
        Heading(text="What the paper claims, and what these data say"),
        Text(
            text="A claim holds where the interval of every difference that it speaks of lies on its side of "
            "zero, does not hold where one lies wholly on the other side, and cannot be told otherwise. "
            "Points are of a hundred; n is what the intervals are drawn from."
        ),
        tables.claims(decisions),
        Text(
            text="Claims with a rule of their own:",
            points=tuple(f"{one.said.text}: {one.said.rule}." for one in decisions if one.said.rule),
        ),
        Text(text=_count_of(decisions)),
        Heading(text="The paper's own numbers, and its evaluator"),
        Text(text=reasons.EVALUATOR),
    ]
    beyond = False
    for item in made.items:
        if item in BEYOND and not beyond:
            beyond = True
            blocks.append(Heading(text="Beyond the paper", level=2))
        blocks.append(Heading(text=HEADINGS[item], level=3 if item in BEYOND else 2, key=item))
        blocks += [block for block in _of_item(item, made, pictures) if block is not None]
        why = reasons.of_item(item, asked=made.asked, results=made.results)
        if why:
            blocks.append(Text(text=why))
    return [*blocks, *_closing(made)]


def _opening(made: Reproduction) -> list[Block]:
    """What was done, on what, and what to keep in mind."""
    asked, data = made.asked, made.results["data"]
    where = "generated by this program" if data["generated"] else "given"
    facts = [
        f"Data: {data['name']} ({where}), {data['train']['scenes']:,} pictures with "
        f"{data['train']['identities']:,} identities to learn from, {data['test']['scenes']:,} to search in; "
        f"a query is looked for in {data['gallery_size'] or 'all'} pictures unless it says otherwise.",
        f"Preset {asked.size.name}, seed{'s' * (len(asked.seeds) > 1)} {', '.join(map(str, asked.seeds))}, "
        f"trunks from {'ImageNet' if asked.pretrained == 'imagenet' else 'random weights'}.",
        reasons.INTERVALS,
    ]
    if data["generated"]:
        facts.append(reasons.GENERATED)
    if asked.size.name != "paper":
        facts.append(reasons.compact(asked.pretrained))
    facts += {"small": [reasons.SHORTENED], "tiny": [reasons.TINY]}.get(asked.size.name, [])
    if made.results.get("ours", {}).get("given"):
        facts.append("Our network was trained beforehand and given (--model).")
    if made.results.get("ablation", {}).get("foreign"):
        unchecked = made.results["ablation"].get("unchecked")
        more = f" ({unchecked})" if unchecked else ""
        facts.append(f"The ablation's raw results were made elsewhere and given{more}.")
    return [Text(points=tuple(facts))]


def _count_of(decisions: Sequence[Decision]) -> str:
    """How many of the claims came out how."""
    counts = {word: sum(one.verdict == word for one in decisions) for word in tables.MARKS}
    hold, fail, open_ones = (counts[word] for word in tables.MARKS)
    return (
        f"Claims: {len(decisions)}. Holding: {hold}; not holding: {fail}; not to be told by these data: "
        f"{open_ones}."
    )


def _of_item(item: str, made: Reproduction, pictures: Pictures) -> list[Block | None]:
    """The table or figure, with its numbers."""
    results = made.results
    name = str(results["data"]["name"])
    light: dict[str, Callable[[], list[Block | None]]] = {
        "table1": lambda: [*tables.table1(results["statistics"], name)],
        "fig1": lambda: [
            _pictured("fig1.jpg", pictures, lambda load: figures.fig1(results["samples"], load))
        ],
        "fig2": lambda: [figures.fig2(results["statistics"])],
        "fig3": lambda: [
            _pictured("fig3.jpg", pictures, lambda load: figures.fig3(results["samples"], load)),
            _lacking(
                [k for k, v in results["samples"]["queries"].items() if v is None], "queries of the subsets"
            ),
        ],
        "fig4": lambda: [figures.fig4(results["network"])],
        "table2": lambda: [tables.table2(results["table2"]), figures.fig_table2(results["table2"])],
        "fig5": lambda: [figures.fig5(results["detection"]), tables.fig5(results["detection"])],
        "fig6": lambda: [figures.fig6(results["ablation"]), tables.fig6(results["ablation"])],
        "fig7a": lambda: [figures.fig7a(results["recall"]), tables.fig7a(results["recall"])],
        "fig7b": lambda: [
            figures.fig7b(results["gallery"]),
            _lacking([f"{size:,}" for size in results["gallery"]["lacking"]], "galleries of"),
            tables.fig7b(results["gallery"]) if results["gallery"]["sizes"] else None,
        ],
        "table3": lambda: [tables.table3(results["subsets"])],
        "speed": lambda: [tables.speed(results["speed"])],
        "failures": lambda: [figures.fig_failures(results["failures"]), tables.failures(results["failures"])],
        "cost": lambda: [
            figures.fig_cost(results["table2"]),
            tables.cost(results["cost"], results["table2"]),
        ],
        "sweep": lambda: [figures.fig_sweep(results["sweep"]), tables.sweep(results["sweep"])],
        "best": lambda: [tables.best(results["best"], results["table2"][OURS], results["gallery"])],
    }
    return light[item]()


def _pictured(name: str, pictures: Pictures, draw: Callable[[figures.Load], Image | None]) -> Block | None:
    """A figure that shows pictures of the data set: drawn, or as it was drawn before."""
    if not isinstance(pictures, Mapping):
        return draw(pictures)
    if name not in pictures:
        return Text(
            text="This figure shows pictures of the data set and is made only where they are to hand."
        )
    alt, caption = figures.PICTURED[name]
    return Image(name=name, content=pictures[name], alt=alt, caption=caption)


def _lacking(what: Sequence[str], kind: str) -> Text | None:
    """What the paper has and these data have not, by name."""
    return Text(text=f"Not in these data: {kind} {', '.join(what)}.") if what else None


def _closing(made: Reproduction) -> list[Block]:
    """How long each stage took and what did it, and how to get the same again."""
    rows = [(name, clock(made.seconds[name]), digest(made.results[name])) for name in made.results]
    total = clock(sum(made.seconds.values()))
    versions: dict[str, list[str]] = {}
    for name, by in made.by.items():
        versions.setdefault(by, []).append(name)
    done = "; ".join(
        f"{by} ({', '.join(names)})" if len(versions) > 1 else by for by, names in versions.items()
    )
    return [
        Heading(text="How it was made"),
        Text(
            text=f"{made.command or command_of(made.asked, made.items)}. Stages by {done or 'this version'}; "
            f"Python {made.python or platform.python_version()}. All stages: {total}. A stage that was done "
            "again shows all its runs; one that was interrupted, or found its models trained, shows no less "
            "than the trainings took by their own logs. Models and results that were given took no time "
            "here. A digest names a result: two runs that agree have the same."
        ),
        Table(columns=("stage", "time", "digest"), rows=tuple(rows)),
    ]


def command_of(asked: Asked, items: Sequence[str]) -> str:
    """The command that makes the same, but for the folder it is made in."""
    said: dict[str, object] = {
        "dataset": asked.dataset,
        "root": asked.root,
        "preset": asked.size.name,
        "seeds": ",".join(map(str, asked.seeds)),
        "pretrained": asked.pretrained if asked.pretrained != asked.size.pretrained else None,
        "model": asked.model,
        "best": asked.best,
        "ablation-from": asked.ablation,
        "device": asked.device,
    }
    options = [f"--{name} {value}" for name, value in said.items() if value is not None]
    return f"personsearch reproduce {' '.join(items)} {' '.join(options)}"


def _loader(made: Reproduction, out: Path) -> Callable[[str], Array]:
    """Pixels of a test picture, by its name."""
    shop = Workshop(made.asked, out)
    paths: dict[str, Path] = {}

    def load(name: str) -> Array:
        if not paths:
            paths.update({s.name: s.path for s in shop.data.scenes("test") if s.path is not None})
        return images.load(paths[name], name=name).pixels

    return load
