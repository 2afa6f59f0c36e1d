"""The public face for Python: load a model, see who is in a picture, index a folder, find somebody.

    from personsearch.api import Gallery, PersonSearch

    model = PersonSearch.from_pretrained("model")
    people = model.detect("photo.jpg")
    with Gallery.open("gallery", model) as gallery:
        gallery.add("photos")
        found = gallery.search("photo.jpg", people.boxes[0])
        better = gallery.refine(found, right=[found.result.hits[0]], wrong=[found.result.hits[3]])
    for hit in better.result.hits:
        print(hit.rank, hit.probability, hit.picture, hit.box)

Boxes are ``x1 y1 x2 y2`` in pixels of the upright picture. Everything that is a user's to mend
raises a :class:`personsearch.errors.PersonSearchError`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from personsearch.baselines.open import PARTS, Where, open_searcher
from personsearch.errors import UsageError
from personsearch.files import sha256_of
from personsearch.gallery.asking import Answered, Sought
from personsearch.gallery.folder import is_gallery
from personsearch.gallery.gallery import Gallery as Store
from personsearch.gallery.named import Example, NamedPeople, NamedPerson
from personsearch.gallery.removal import Receipt
from personsearch.gallery.searching import Asked, Order
from personsearch.gallery.session import save_as
from personsearch.indexing.cameras import Watch, index_camera
from personsearch.indexing.local import index_sources
from personsearch.indexing.options import IndexOptions
from personsearch.media.camera import camera, name_for
from personsearch.media.sources import is_camera
from personsearch.pictures import Colour, PictureLike, as_picture, inside
from personsearch.progress import Progress, silent
from personsearch.types import Array, Detections, Hit, IndexReport, Query, Scene, Searcher, SearchResult

HitLike = Hit | int
"""A hit, or its number (``detection``)."""

__all__ = ["Colour", "Gallery", "HitLike", "PersonSearch", "PictureLike", "as_picture"]


class PersonSearch:
    """A model that finds people and tells them apart.

    Args:
        searcher: what sees and describes; :meth:`load` takes one from disk.
    """

    def __init__(self, searcher: Searcher) -> None:
        self.searcher = searcher

    @classmethod
    def load(
        cls,
        path: Path | str,
        device: str = "auto",
        *,
        parts: Path | str = PARTS,
        scenes: Sequence[Scene] | None = None,
    ) -> Self:
        """The model in the folder ``path``, as ``personsearch train`` wrote it, or ``DETECTOR+EMBEDDER``.

        Args:
            path: the folder, or two parts such as ``"acf+bow"`` or ``"onnx:find.onnx+onnx:describe.onnx"``
                (:mod:`personsearch.baselines.open`).
            device: ``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda:0"``, ``"mps"``.
            parts: the folder that ``personsearch baselines train`` wrote.
            scenes: annotated pictures, for the detector ``gt``.

        Raises:
            InputError: there is no model, it is damaged, or the device is not to be had.
            UsageError: a name is misspelt, or is of one part alone.
        """
        return cls(open_searcher(path, Where(parts=Path(parts), device=device, scenes=scenes)))

    from_pretrained = load

    @property
    def fingerprint(self) -> str:
        """Names the model: a gallery of another one cannot be searched with this."""
        return self.searcher.fingerprint

    def detect(
        self, picture: PictureLike, *, min_score: float = 0.5, color: Colour | None = None
    ) -> Detections:
        """Everybody in the picture with at least ``min_score``, best first: boxes, scores, embeddings.

        Args:
            picture, color: see :func:`as_picture`.
            min_score: in [0, 1].
        """
        seen = self.searcher.detect(as_picture(picture, color=color))
        return seen.take(seen.scores >= min_score)

    def embed(self, picture: PictureLike, boxes_xyxy: Array, *, color: Colour | None = None) -> Array:
        """(n, d) float32 raw embeddings of the people in ``boxes_xyxy`` (n, 4)."""
        return self.searcher.embed(as_picture(picture, color=color), np.asarray(boxes_xyxy, np.float32))

    def example(
        self,
        picture: PictureLike,
        box_xyxy: Array | None = None,
        *,
        right: bool = True,
        color: Colour | None = None,
    ) -> Example:
        """Somebody in a picture as an example to search with (:meth:`Gallery.search`).

        Args:
            picture, color: see :func:`as_picture`.
            box_xyxy: (4,) the person; None takes the whole picture, which then is a crop.
            right: whether this is the person looked for, or somebody who is not.

        Raises:
            InputError: the box is outside the picture.
        """
        shown = as_picture(picture, color=color)
        whole = np.array([0, 0, *shown.size], np.float32)
        box = whole if box_xyxy is None else inside(np.asarray(box_xyxy, np.float32), shown)
        return Example(
            vector=self.searcher.embed(shown, box[None])[0],
            model=self.fingerprint,
            right=right,
            picture="" if shown.path is None else str(shown.path),
            box=box,
            sha256="" if shown.path is None else sha256_of(shown.path),
        )

    def index(
        self,
        source: Path | str | Sequence[Path | str],
        gallery: Path | str,
        *,
        recursive: bool = True,
        retry_failed: bool = False,
        options: IndexOptions | None = None,
        watch: Watch | None = None,
        progress: Progress = silent,
    ) -> IndexReport:
        """Put everybody in the pictures and videos of a source into ``gallery``, made if there is none.

        What is there already and has not changed costs nothing. Pictures that cannot be used are
        in the report's ``failures``, with the reason; look at them.

        Args:
            source: a folder, a pattern (``"photos/**/*.jpg"``), a list (``.txt``, a path a line), a picture,
                a video, several of these, or one camera (``"rtsp://..."``, ``"webcam:0"``).
            gallery: its folder.
            recursive, retry_failed: see :class:`personsearch.indexing.options.IndexOptions`.
            options: all of them; then the two above are not looked at.
            watch: of a camera, where its pictures are kept and how long it is watched.
            progress: told of every picture.

        Raises:
            InputError: no source names a file, or the camera cannot be reached.
            UsageError: a camera without ``watch``, the other way round, or a camera that needs a name.
            ModelMismatch: the gallery is another model's.
            LockedError: another process is writing to it.
        """
        sources = [source] if isinstance(source, str | Path) else list(source)
        options = options or IndexOptions(recursive=recursive, retry_failed=retry_failed)
        cameras = [str(one) for one in sources if is_camera(str(one))]
        if not cameras and watch is None:
            return index_sources(sources, gallery, self.searcher, options, progress=progress)
        if len(cameras) != 1 or len(sources) != 1 or watch is None:
            raise UsageError(
                "a camera is indexed alone, and its pictures are kept in a folder",
                hint="index('rtsp://...', gallery, watch=Watch(folder=...)); files need no watch",
            )
        seen_by = camera(cameras[0], name=name_for(cameras[0], options.camera))
        return index_camera(seen_by, gallery, self.searcher, watch, progress=progress)

    def search(
        self,
        gallery: Gallery | Store | Path | str,
        picture: PictureLike,
        box_xyxy: Array,
        k: int = 20,
        *,
        color: Colour | None = None,
    ) -> SearchResult:
        """The ``k`` people of the gallery most like the one in ``box_xyxy``, one a picture, best first.

        The catch: somebody is always the most alike. Where the model is calibrated, look at
        ``probability``; look at the picture in any case. The query's own file is no answer.

        Args:
            gallery: an open one, which is faster for many searches, or its folder.
            picture, color: see :func:`as_picture`.
            box_xyxy: (4,) the person, at least half of it inside the picture.

        Raises:
            InputError: the box is outside the picture, or there is no gallery.
            ModelMismatch: the gallery is another model's.
        """
        shown = as_picture(picture, color=color)
        box = inside(np.asarray(box_xyxy, np.float32), shown)
        query = Query(shown.name, box)
        embedding = self.searcher.embed(shown, box[None])[0]
        given = gallery.store if isinstance(gallery, Gallery) else gallery
        opened = given if isinstance(given, Store) else Store.open(given)
        try:
            return opened.search(
                embedding, k, fingerprint=self.fingerprint, query=query, exclude_picture=shown.path
            )
        finally:
            if opened is not given:
                opened.close()

    def refine(
        self,
        gallery: Gallery | Path | str,
        found: Answered,
        *,
        right: Sequence[HitLike] = (),
        wrong: Sequence[HitLike] = (),
        k: int | None = None,
    ) -> Answered:
        """What :meth:`Gallery.refine` does; ``found`` is what :meth:`Gallery.search` answered.

        Args:
            gallery, found, right, wrong: see there.
            k: how many hits; by default as before.
        """
        opened = gallery if isinstance(gallery, Gallery) else Gallery.open(gallery, self)
        asked = found.asked if k is None else replace(found.asked, k=k)
        return opened.refine(found, right=right, wrong=wrong, asked=asked)


class Gallery:
    """A gallery with the model that describes people for it: add, search, refine, forget.

    Reading holds no lock; :meth:`add` and :meth:`forget` hold the writer's lock while they work. Searches
    are not noted in the audit log: that is up to whoever knows why they were made
    (:class:`personsearch.gallery.audit.AuditLog`).

    Args:
        path: its folder; :meth:`add` makes one that is not there.
        model: needed to add and to search by pictures.
    """

    def __init__(self, path: Path | str, model: PersonSearch | None = None) -> None:
        self.path, self.model = Path(path), model
        self._store: Store | None = None

    @classmethod
    def open(cls, path: Path | str, model: PersonSearch | None = None) -> Self:
        """The gallery in the folder ``path``; with a model there need not be one yet.

        Raises:
            InputError: there is none, or it is damaged.
            ModelMismatch: it is another model's.
        """
        gallery = cls(path, model)
        if model is None or is_gallery(gallery.path):
            gallery.store  # noqa: B018  opens it, or says why not
        return gallery

    @property
    def store(self) -> Store:
        """The gallery as it lies on disk, open for reading."""
        if self._store is None:
            opened = Store.open(self.path)
            if self.model is not None:
                opened.check_model(self.model.fingerprint)
            self._store = opened
        return self._store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files. Calling it again does nothing."""
        if self._store is not None:
            self._store.close()
            self._store = None

    @property
    def named(self) -> NamedPeople:
        """The people who are saved under a name."""
        return NamedPeople(self.path)

    def add(
        self,
        *sources: Path | str,
        options: IndexOptions | None = None,
        watch: Watch | None = None,
        progress: Progress = silent,
    ) -> IndexReport:
        """Index sources, as :meth:`PersonSearch.index` does."""
        return self._model().index(list(sources), self.path, options=options, watch=watch, progress=progress)

    def search(
        self,
        picture: PictureLike | None = None,
        box_xyxy: Array | None = None,
        *,
        examples: Sequence[Example] = (),
        person: str | None = None,
        asked: Asked | None = None,
        order: Order | None = None,
        own: bool = False,
        color: Colour | None = None,
    ) -> Answered:
        """Who is like the person, best first, and a verdict on whether the person is there.

        Args:
            picture, box_xyxy, color: the person (:meth:`PersonSearch.example`).
            examples: more of the person, or of others who are not: :meth:`PersonSearch.example`, or
                hits by their numbers, ``gallery.store.examples([17], right=False)``.
            person: somebody who was saved (:meth:`save_as`).
            asked: how many hits, and who is searched.
            order: how hits are put in order.
            own: the pictures of the person's examples are answers, too.

        Raises:
            UsageError: nobody is named.
            InputError: the box is outside the picture, or nobody has the name.
            ModelMismatch: the gallery is another model's.
        """
        some = list(examples)
        name = person or ""
        if picture is not None:
            shown = as_picture(picture, color=color)
            some.insert(0, self._model().example(shown, box_xyxy))
            name = name or shown.name
        if person is not None:
            some += self.named.load(person).examples
        if not any(example.right for example in some):
            raise UsageError("nobody is looked for", hint="give a picture, examples or a saved person")
        sought = Sought(name=name, examples=tuple(some), own=own)
        return self.store.ask(sought, asked or Asked(), order)

    def refine(
        self,
        found: Answered,
        *,
        right: Sequence[HitLike] = (),
        wrong: Sequence[HitLike] = (),
        asked: Asked | None = None,
        order: Order | None = None,
    ) -> Answered:
        """Search again, knowing which hits are the person and which are not.

        Judged hits, and the pictures of right ones, are not among the new hits. Refining again
        goes on from what is known.

        Args:
            found: what :meth:`search` or this method answered.
            right, wrong: hits, or their numbers.
            asked, order: as in :meth:`search`; by default as before.

        Raises:
            UsageError: no hit is given, or one as right and as wrong.
            InputError: a number is nobody's.
        """
        numbers = [[_number(hit) for hit in some] for some in (right, wrong)]
        if not any(numbers) or set(numbers[0]) & set(numbers[1]):
            raise UsageError("a hit is the person or is not", hint="give right=[...], wrong=[...], or both")
        judged = self.store.examples(numbers[0]) + self.store.examples(numbers[1], right=False)
        whom = found.sought.person.including(judged)
        sought = replace(found.sought, examples=whom.examples)
        return self.store.ask(sought, asked or found.asked, order or found.order)

    def save_as(self, name: str, found: Answered) -> NamedPerson:
        """Keep whom a search was for under a name, with everything that was judged."""
        shown = tuple(hit.detection for hit in found.result.hits)
        return save_as(self.store, name, replace(found.sought.person, shown=shown, terms=found.terms))

    def forget(
        self, hits: Collection[HitLike], *, reason: str = "", keep_examples: float | None = None
    ) -> Receipt:
        """Delete people for good (:meth:`personsearch.gallery.gallery.Gallery.forget`)."""
        with Store.open(self.path, writable=True) as writer:
            return writer.forget([_number(hit) for hit in hits], reason=reason, keep_examples=keep_examples)

    def _model(self) -> PersonSearch:
        if self.model is None:
            raise UsageError("pictures need a model to be described", hint="Gallery.open(path, model)")
        return self.model


def _number(hit: HitLike) -> int:
    return hit.detection if isinstance(hit, Hit) else int(hit)
