"""What the stages of a reproduction work with: data, folders, models, opened when they are first needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from personsearch.baselines.open import TRAINED_EMBEDDERS, Where, open_detector, open_embedder
from personsearch.baselines.two_stage import Detector, TwoStage
from personsearch.datasets.dataset import Dataset, GallerySize, Subset
from personsearch.datasets.open import open_dataset
from personsearch.errors import UsageError
from personsearch.evaluation.search_rules import SearchRules
from personsearch.experiments.assembled import Assembled, Describer, Finder, Recorded
from personsearch.experiments.benchmark import Evaluation, Protocol, describe, evaluate
from personsearch.experiments.reproduction.sizes import Pretrained, Size, search_size
from personsearch.features import Features
from personsearch.model.checkpoint import load_searcher
from personsearch.model.searcher import NetworkSearcher
from personsearch.progress import Progress, silent
from personsearch.training.settings import TrainingSettings
from personsearch.types import Embedder, Searcher

OURS = "ours"
THRESHOLD = 0.5
"""Detections with a lower score do not exist, in every search but those of figure 7a."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What somebody asked for.

    Attributes:
        dataset: layout, as ``open_dataset`` knows it.
        root: folder of the data; None draws them (``synthetic`` only).
        size: how large.
        seeds: of trainings; the ablation runs with each of them, everything else with the first.
        device: for the networks.
        pretrained: where trunks begin.
        model: a trained joint network in the place of one trained here.
        best: a trained network in the place of the preset's "our best network".
        ablation: a folder of the ablation's raw results in the place of trainings here.
    """

    dataset: str
    root: Path | None
    size: Size
    seeds: tuple[int, ...] = (0,)
    device: str = "auto"
    pretrained: Pretrained = "none"
    model: Path | None = None
    best: Path | None = None
    ablation: Path | None = None


class Workshop:
    """Data and models of one reproduction.

    Args:
        asked: for what.
        out: the reproduction's folder.
        planned: names of the stages that will run, so that those who share work can.
        progress: told of every long job.
        say: hears a line at the beginning and end of every stage.
    """

    def __init__(
        self,
        asked: Asked,
        out: Path,
        planned: Sequence[str] = (),
        *,
        progress: Progress = silent,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.asked, self.out, self.planned = asked, out, tuple(planned)
        self.progress, self.say = progress, say
        self._boxes: dict[str, Features] = {}
        self._asked_for: dict[str, Features] = {}
        self._pairs: dict[tuple[str, str], Features] = {}

    @property
    def size(self) -> Size:
        """The preset."""
        return self.asked.size

    @property
    def seed(self) -> int:
        """Of everything but the ablation's other runs."""
        return self.asked.seeds[0]

    @property
    def root(self) -> Path:
        """Where the data lie, or will."""
        return self.asked.root if self.asked.root is not None else self.out / "data"

    @property
    def parts(self) -> Path:
        """Folder of the baselines."""
        return self.out / "baselines"

    @property
    def features(self) -> Path:
        """Folder of the features files."""
        return self.out / "features"

    @property
    def ablation(self) -> Path:
        """Folder of the ablation's runs."""
        return self.out / "ablation"

    @cached_property
    def data(self) -> Dataset:
        """The data set; its stage has made it."""
        return open_dataset(self.asked.dataset, self.root)

    @cached_property
    def where(self) -> Where:
        """Where the baselines' parts are, and where they run."""
        return Where(parts=self.parts, device=self.asked.device, scenes=self.data.scenes("test"))

    @cached_property
    def gallery_size(self) -> GallerySize | None:
        """Pictures a query is looked for in, where nothing else is said."""
        return search_size(self.data.gallery_sizes)

    def base(self) -> TrainingSettings:
        """The joint network's training, which the others are cut from."""
        return self.size.base(self.seed, self.asked.pretrained)

    @property
    def our_folder(self) -> Path:
        """Of our network: given, or the ablation's RSS run of the first seed, or (beside results from
        elsewhere, which come without models) a run of its own.
        """
        if self.asked.model is not None:
            return self.asked.model
        if self.foreign_ablation is not None:
            return self.out / "model"
        return self.ablation / f"rss-{self.seed}"

    @property
    def foreign_ablation(self) -> Path | None:
        """Folder of ablation results that were made elsewhere; None where they are made here.

        Results that lie in OUT/ablation/results without the runs' folders are foreign, too.
        """
        if self.asked.ablation is not None:
            inside = self.asked.ablation / "results"
            return inside if inside.is_dir() else self.asked.ablation
        results = self.ablation / "results"
        mine = results / f"rss-{self.seed}.json"
        if mine.exists() and not (self.ablation / mine.stem / "config.json").exists():
            return results
        return None

    @cached_property
    def ours(self) -> NetworkSearcher:
        """Our joint network."""
        found = load_searcher(self.our_folder, self.asked.device)
        if not isinstance(found, NetworkSearcher):
            raise UsageError(f"{self.our_folder} is an export", hint="give the folder that train wrote")
        return found

    @cached_property
    def _detectors(self) -> dict[str, Detector]:
        return {}

    @cached_property
    def _embedders(self) -> dict[str, Embedder]:
        return {}

    def detector(self, name: str) -> Detector:
        """``acf``, ``deep`` or ``gt``."""
        if name not in self._detectors:
            self._detectors[name] = open_detector(name, self.where)
        return self._detectors[name]

    def embedder(self, name: str) -> Embedder:
        """One of the four re-id methods."""
        if name not in self._embedders:
            self._embedders[name] = open_embedder(name, self.where)
        return self._embedders[name]

    def protocol(self, **changes: object) -> Protocol:
        """The searches of the paper's tables, or a variant of them."""
        given = {"gallery_size": self.gallery_size, "rules": SearchRules(det_threshold=THRESHOLD)} | changes
        return Protocol(**given)  # type: ignore[arg-type]

    def found_by(self, name: str) -> Features:
        """The people that a detector finds in the test pictures, of every score."""
        if name not in self._boxes:
            self._boxes[name] = self._described(Finder(self.detector(name)), f"{name}: finding")
        return self._boxes[name]

    def seen_by(self, name: str) -> Features:
        """Test people and queries as a method describes them: ``ours``, or ``DETECTOR+EMBEDDER``.

        Nobody looks at anything twice: the same features files serve every table and figure.
        """
        if name == OURS:
            return self._described(self.ours, "our network")
        finder, _, describer = name.partition("+")
        if (finder, describer) not in self._pairs:
            embedder = self.embedder(describer)
            if describer not in self._asked_for:
                self._asked_for[describer] = self._described(Describer(embedder), f"{describer}: queries")
            recorded = Recorded(self.detector(finder), self.found_by(finder))
            pair = Assembled(TwoStage(recorded, embedder), self._asked_for[describer])
            self._pairs[finder, describer] = self._described(pair, name)
        return self._pairs[finder, describer]

    def _described(self, searcher: Searcher, label: str) -> Features:
        def labelled(items, _, *, total=None, done=0):  # type: ignore[no-untyped-def]
            return self.progress(items, label, total=total, done=done)

        found, _ = describe(searcher, self.data, self.protocol(), self.features, progress=labelled)
        return found

    def searches(self, name: str, protocols: Sequence[Protocol]) -> list[Evaluation]:
        """A method's searches by some protocols that share their rules."""
        return evaluate(self.seen_by(name), self.data, protocols)

    def subset_protocol(self, subset: Subset) -> Protocol:
        """The searches for people who are hard to see."""
        return self.protocol(gallery_size=None, subset=subset)

    @property
    def classical(self) -> tuple[str, ...]:
        """The hand-made descriptors that are planned: they share crops, so they are trained together."""
        return tuple(name for name in TRAINED_EMBEDDERS if name != "idnet" and name in self.planned)
