"""Whom a search is for: pictures with boxes, crops, hits, a saved person, and people who are not meant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from personsearch.errors import UsageError

if TYPE_CHECKING:
    from personsearch.baselines.open import NamedSearcher
    from personsearch.cli.query import Wanted
    from personsearch.gallery.asking import Sought
    from personsearch.gallery.gallery import Gallery
    from personsearch.gallery.named import Example
    from personsearch.gallery.searching import Order
    from personsearch.types import Array, Picture

QueryOption = Annotated[
    list[str] | None,
    typer.Option(
        "--query", "-q", metavar="PICTURE[:X,Y,W,H]", help="The person; repeatable.", show_default=False
    ),
]
BoxOption = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="X,Y,W,H",
        help="Where, in upright pixels; one for each --query, in order.",
        show_default=False,
    ),
]
PickOption = Annotated[
    int | None, typer.Option("--pick", help="Without --box: the person of this number.", show_default=False)
]
LargestOption = Annotated[bool, typer.Option("--largest", help="Without --box: whoever is largest.")]
CropOption = Annotated[
    list[Path] | None,
    typer.Option("--crop", help="A picture that is the person, all of it; repeatable.", show_default=False),
]
DetectionOption = Annotated[
    list[int] | None,
    typer.Option("--detection", help="The person, by the number of a hit; repeatable.", show_default=False),
]
PersonOption = Annotated[
    str | None, typer.Option("--person", help="Somebody who was saved under this name.", show_default=False)
]
NotOption = Annotated[
    list[str] | None,
    typer.Option(
        "--not",
        metavar="PICTURE[:X,Y,W,H]",
        help="Somebody who is not the person; repeatable.",
        show_default=False,
    ),
]
NotDetectionOption = Annotated[
    list[int] | None,
    typer.Option("--not-detection", help="The same, by the number of a hit.", show_default=False),
]
OwnOption = Annotated[bool, typer.Option("--own", help="The query's own picture is an answer, too.")]
RerankOption = Annotated[
    str,
    typer.Option("--rerank", metavar="none|k-reciprocal", help="Put the best in order by shared neighbours."),
]
RerankTopOption = Annotated[int, typer.Option("--rerank-top", min=2, max=5000, help="How many of the best.")]
ContextOption = Annotated[
    bool, typer.Option("--context", help="Look for those beside the person, too (query with others in it).")
]
AnyModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="DIR|DETECTOR+EMBEDDER",
        help="The gallery's model, for pictures; hits and saved people need none.",
        show_default=False,
    ),
]


def asked_order(rerank: str, top: int, context: bool) -> Order:
    """The order of hits that the options name.

    Raises:
        UsageError: no such order, or two.
    """
    from personsearch.gallery.searching import Order
    from personsearch.ranking.kreciprocal import KReciprocalRules

    if rerank not in ("none", "k-reciprocal"):
        raise UsageError(f"--rerank {rerank!r} is no order", hint="none or k-reciprocal")
    if context and rerank != "none":
        raise UsageError("--rerank and --context contradict each other", hint="give one of them")
    if rerank == "none":
        return Order(kind="context" if context else "similarity")
    return Order(kind="k-reciprocal", rules=KReciprocalRules(top=top))


@dataclass(frozen=True, kw_only=True)
class Named:
    """How the person was named on the command line.

    Attributes:
        queries, boxes, pick, largest, conf: pictures, and where in them.
        crops: pictures that are the person.
        detections: numbers of hits.
        person: a saved name.
        wrong, wrong_detections: people who are not meant.
        own, context: see :class:`personsearch.gallery.asking.Sought`.
    """

    queries: Sequence[str] = ()
    boxes: Sequence[str] = ()
    pick: int | None = None
    largest: bool = False
    conf: float = 0.5
    crops: Sequence[Path] = ()
    detections: Sequence[int] = ()
    person: str | None = None
    wrong: Sequence[str] = ()
    wrong_detections: Sequence[int] = ()
    own: bool = False
    context: bool = False

    def __post_init__(self) -> None:
        if not (self.queries or self.crops or self.detections or self.person is not None):
            raise UsageError(
                "nobody is looked for",
                hint="give --query PICTURE, --crop, --detection NUMBER or --person NAME",
            )
        if self.boxes and len(self.boxes) != len(self.queries):
            raise UsageError(
                f"{len(self.boxes)} --box for {len(self.queries)} --query",
                hint="one for each, in order; or write --query PICTURE:X,Y,W,H",
            )
        if self.pick is not None and len(self.queries) > 1:
            raise UsageError("--pick is for one picture", hint="write --query PICTURE:X,Y,W,H for each")
        if sum((bool(self.boxes), self.pick is not None, self.largest)) > 1:
            raise UsageError("--box, --pick and --largest contradict each other", hint="give one of them")

    @classmethod
    def of(cls, given: Mapping[str, Any], *, person: str | None) -> Named:
        """From the parameters of a command that takes this module's options under their usual names.

        Raises:
            UsageError: nobody is named, or two options contradict each other.
        """
        return cls(
            queries=given["query"] or (),
            boxes=given["box"] or (),
            pick=given["pick"],
            largest=given["largest"],
            conf=given["conf"],
            crops=given["crop"] or (),
            detections=given["detection"] or (),
            person=person,
            wrong=given["wrong"] or (),
            wrong_detections=given["wrong_detection"] or (),
            own=given.get("own", False),
            context=given.get("context", False),
        )

    def shown(self) -> list[Shown]:
        """The pictures that are named, loaded, with the boxes that are given.

        Raises:
            UsageError: a box is not one.
            InputError: a picture cannot be read, or a box lies outside of it.
        """
        from personsearch.cli.query import parse_place

        found = []
        for number, text in enumerate(self.queries):
            file, box = parse_place(text)
            if self.boxes:
                if box is not None:
                    raise UsageError(f"{text} has a box already", hint="leave --box out")
                box = self.boxes[number]
            found.append(self._shown(file, box, True))
        found += [self._shown(file, None, True, whole=True) for file in self.crops]
        found += [self._shown(*parse_place(text), False) for text in self.wrong]
        return found

    def _shown(self, file: Path, box: str | None, right: bool, whole: bool = False) -> Shown:
        import numpy as np

        from personsearch.cli.query import Wanted
        from personsearch.images import load

        picture = load(file, name=str(file))
        pick = self.pick if right and box is None and not whole else None
        wanted = Wanted(box=box, pick=pick, largest=self.largest and box is None, conf=self.conf)
        given = np.array([0, 0, *picture.size], np.float32) if whole else wanted.given(picture)
        return Shown(file=file, picture=picture, wanted=wanted, box=given, right=right)


@dataclass(frozen=True, eq=False, kw_only=True)
class Shown:
    """A picture of somebody.

    Attributes:
        file, picture: where from, and decoded.
        wanted: who in it, where no box is known.
        box: (4,) where the person is; None leaves it to the detector.
        right: whether this is the person.
    """

    file: Path
    picture: Picture
    wanted: Wanted
    box: Array | None
    right: bool

    def example(self, searcher: NamedSearcher) -> Example:
        """Described by a model."""
        from personsearch.cli.query import warn_if_small
        from personsearch.files import sha256_of
        from personsearch.gallery.named import Example

        box = self.box
        if box is None:
            box = self.wanted.found(self.picture, searcher.detect(self.picture))
        warn_if_small(box)
        return Example(
            vector=searcher.embed(self.picture, box[None])[0],
            model=searcher.fingerprint,
            right=self.right,
            picture=str(self.file),
            box=box,
            sha256=sha256_of(self.file),
        )


def described(
    named: Named, shown: Sequence[Shown], gallery: Gallery, opening: Callable[[], NamedSearcher]
) -> tuple[Sought, str]:
    """Whom to look for in a gallery, and the name of the model where one was needed.

    Args:
        named: what the options say.
        shown: its pictures.
        gallery: open.
        opening: opens the model; called only where there are pictures.

    Raises:
        ModelMismatch: the model is not the gallery's.
        InputError: a hit or a name is not there, or nobody (or not one alone) is found in a picture.
        UsageError: somebody is named as the person and as somebody else.
    """
    from personsearch.gallery.asking import Sought
    from personsearch.gallery.named import NamedPeople

    examples: list[Example] = []
    model, context = "", None
    if shown:
        searcher = opening()
        gallery.check_model(searcher.fingerprint)
        model = searcher.name
        examples += [one.example(searcher) for one in shown]
        if named.context and shown[0].right:
            context = _around(shown[0].picture, examples[0].box, named.conf, searcher)
    examples += gallery.examples(named.detections)
    examples += gallery.examples(named.wrong_detections, right=False)
    _check_opposites(examples)
    if named.person is not None:  # what is said now counts, whatever was saved before
        said = {example.key for example in examples}
        saved = NamedPeople(gallery.path).load(named.person).examples
        examples += [example for example in saved if example.key not in said]
        if not any(example.right for example in examples):
            raise UsageError(
                f"no example of {named.person} would be left", hint="give one of the person, too"
            )
    first = next((example.picture for example in examples if example.right), "")
    name = named.person if named.person is not None else first
    return Sought(name=name, examples=tuple(examples), context=context, own=named.own), model


def _check_opposites(examples: Sequence[Example]) -> None:
    """Raise UsageError where somebody is named as the person and as somebody else."""
    right = {example.key for example in examples if example.right}
    both = next((example for example in examples if not example.right and example.key in right), None)
    if both is not None:
        number = both.detection
        who = f"somebody in {both.picture}" if number is None else f"the hit with the number {number}"
        raise UsageError(f"{who} is named as the person and as somebody else", hint="give one of the two")


def _around(picture: Picture, box: Array, conf: float, searcher: NamedSearcher) -> Array:
    """(m, d) everybody else in a picture, best first: whoever overlaps the person by less than a half."""
    from personsearch.boxes import iou

    seen = searcher.detect(picture)
    others = seen.take((seen.scores >= conf) & (iou(seen.boxes, box[None])[:, 0] < 0.5))
    vectors: Array = others.embeddings
    return vectors
