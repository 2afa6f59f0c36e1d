"""The protocols that lie beside an annotation as JSON files, and what is searched where there are none."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from personsearch.datasets.dataset import GallerySize, Subset
from personsearch.datasets.protocol_file import ProtocolFile, read_protocol_file
from personsearch.datasets.protocol_maker import choose_queries
from personsearch.datasets.protocol_trials import Pictures, protocol_trials, with_ignored
from personsearch.datasets.searches import NobodyToFind
from personsearch.errors import UsageError
from personsearch.protocols import Cameras, camera_trials
from personsearch.types import Trials

DEFAULT = Path("protocol.json")
MORE = Path("protocols")


def gallery_file(size: int) -> Path:
    """Where the searches in galleries of ``size`` pictures lie, below the data set's folder."""
    return MORE / f"gallery_{size}.json"


def subset_file(subset: Subset) -> Path:
    """Where the searches for people who are hard to see lie, below the data set's folder."""
    return MORE / f"{subset}.json"


class ProtocolFolder:
    """What a data set of JSON protocols answers when it is asked for searches.

    Args:
        root: folder with ``protocol.json`` and ``protocols/``, both optional.
        name: of the data set.
        pictures: its test half, asked for when it is needed.
    """

    def __init__(self, root: Path, name: str, pictures: Callable[[], Pictures]) -> None:
        self._root, self._name, self._pictures = root, name, pictures

    @cached_property
    def gallery_sizes(self) -> tuple[int, ...]:
        """Sizes of the ``protocols/gallery_*.json`` files, smallest first."""
        found = (re.fullmatch(r"gallery_(\d+)\.json", path.name) for path in (self._root / MORE).glob("*"))
        return tuple(sorted(int(match[1]) for match in found if match))

    def trials(self, gallery_size: GallerySize | None = None, *, cameras: Cameras = "all") -> Trials:
        """The searches of one protocol.

        None is ``protocol.json`` as it is; where there is none, as ``"full"``: the queries of the
        protocol there is, each in every test picture but its own (and the frames that it
        excludes). Without any protocol one query is drawn for everybody who is in two test
        pictures, always the same ones, and the name of the trials says so.

        Raises:
            UsageError: there is no such gallery, or ``cameras`` asks for what pictures do not say.
            DatasetError: a file is damaged or of another set.
            NobodyToFind: there is no protocol, and nobody is in two test pictures.
        """
        suffix = "" if cameras == "all" else f" cameras={cameras}"
        if isinstance(gallery_size, int):
            if gallery_size not in self.gallery_sizes:
                raise self._has_no(f"gallery of {gallery_size} pictures")
            protocol = read_protocol_file(self._root / gallery_file(gallery_size))
            name = f"{self._name} gallery={gallery_size}{suffix}"
            return protocol_trials(protocol, name, self._pictures(), cameras=cameras)
        queries = self._protocol()
        if queries is not None and gallery_size is None and queries.path == self._root / DEFAULT:
            name = f"{self._name} {queries.name}{suffix}"
            return protocol_trials(queries, name, self._pictures(), cameras=cameras)
        name = f"{self._name} gallery=full{suffix}"
        if queries is not None:
            return protocol_trials(queries, name, self._pictures(), gallery="full", cameras=cameras)
        scenes = with_ignored(self._pictures().scenes)
        drawn = choose_queries(scenes)
        if not drawn:
            raise NobodyToFind(
                f"{self._root}: nobody is in two test pictures, so there is nobody to look for",
                hint="name the people in the annotation: person_id, track_id or object_id",
            )
        return camera_trials(f"{name} queries=drawn", scenes, drawn, cameras)

    def subset_trials(self, subset: Subset) -> Trials:
        """The searches of ``protocols/occlusion.json`` or ``protocols/low-resolution.json``.

        Raises:
            UsageError: there is no such file.
            DatasetError: it is damaged or of another set.
        """
        path = self._root / subset_file(subset)
        if not path.is_file():
            raise self._has_no(f"subset {subset!r}")
        return protocol_trials(read_protocol_file(path), f"{self._name} {subset}", self._pictures())

    def _protocol(self) -> ProtocolFile | None:
        """The protocol that says who is looked for."""
        if (self._root / DEFAULT).is_file():
            return read_protocol_file(self._root / DEFAULT)
        if self.gallery_sizes:
            return read_protocol_file(self._root / gallery_file(self.gallery_sizes[0]))
        return None

    def _has_no(self, what: str) -> UsageError:
        has = ["full", *map(str, self.gallery_sizes)]
        has += [s for s in ("occlusion", "low-resolution") if (self._root / MORE / f"{s}.json").is_file()]
        return UsageError(
            f"{self._root} has no {what}",
            hint=f"it has: {', '.join(has)}; `personsearch dataset protocol` makes more",
        )
