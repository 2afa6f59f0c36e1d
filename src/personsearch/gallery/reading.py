"""The half of a gallery that reads: what it is, what it knows of files, and finding people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from personsearch.errors import ModelMismatch, PersonSearchError
from personsearch.files import sha256_of
from personsearch.gallery import ledger as records
from personsearch.gallery import people as rows
from personsearch.gallery.asking import Answered, Sought, answer, examples_of
from personsearch.gallery.description import DESCRIPTION, Description, read_calibration, read_description
from personsearch.gallery.filters import Filter
from personsearch.gallery.ledger import Entry, Ledger, Place
from personsearch.gallery.named import Example
from personsearch.gallery.people import Per
from personsearch.gallery.searching import Asked, Order, Searched, checked
from personsearch.gallery.snapshot import LedgerReader, Snapshot, State
from personsearch.gallery.stored import Stored, stored
from personsearch.gallery.tables import Table
from personsearch.ranking.similarity import similarities
from personsearch.types import Array, Query, SearchResult, Similarity


class ReadableGallery:
    """What every open gallery can do; see :class:`personsearch.gallery.gallery.Gallery`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._about = read_description(path)
        self.calibration = read_calibration(path, self._about.generation)
        self._people_table = Table(path, self._about.people_table, rows.schema(self._about.dim))
        self._ledger_table = Table(path, self._about.ledger_table, records.SCHEMA)
        reader = LedgerReader(self._ledger_table)
        self._ledger = reader.newest()
        self._snapshot = Snapshot(path, self._people_table, reader, self._about.dim)
        self._described = _state_of(path / DESCRIPTION)

    @property
    def fingerprint(self) -> str:
        """The model that described everybody in here."""
        return self._about.fingerprint

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._about.dim

    @property
    def similarity(self) -> Similarity:
        """How embeddings are compared."""
        return self._about.similarity

    @property
    def created(self) -> str:
        """When, ISO 8601, UTC."""
        return self._about.created

    @property
    def pictures(self) -> int:
        """How many different pictures are searched (copies of one count once)."""
        return len(self._ledger.live())

    @property
    def people(self) -> int:
        """How many people are searched."""
        return sum(self._ledger.live().values())

    def check_model(self, fingerprint: str) -> None:
        """Raise ModelMismatch unless ``fingerprint`` is that of this gallery's model."""
        self._about.check_model(fingerprint, self.path)

    def entries(self) -> Iterator[Entry]:
        """What is known of every file, in the order in which they were first seen."""
        return iter(self._ledger)

    def entry(self, place: Place) -> Entry | None:
        """What is known of the file at ``place``."""
        return self._ledger.get(place)

    def entries_of(self, entry: Entry) -> list[Entry]:
        """What is known of all files with the content of ``entry``, present ones first."""
        return [entry] if entry.picture is None else self._ledger.entries_of(entry.picture)

    def file(self, place: Place) -> Path:
        """Where the file at ``place`` is now."""
        return self._about.file(place, self.path)

    def place(self, file: Path | str) -> Place | None:
        """What the ledger calls ``file``; None outside of every folder that was indexed."""
        return self._about.place(Path(file), self.path)

    def picture_of(self, sha256: str) -> int | None:
        """The number of the picture with this content, if its people are stored."""
        return self._ledger.picture_of(sha256)

    def is_live(self, picture: int) -> bool:
        """Whether a file with this picture's content is present."""
        return self._ledger.is_live(picture)

    def search(
        self,
        embedding: Array,
        k: int = 20,
        *,
        fingerprint: str,
        query: Query,
        per: Per = "picture",
        exclude_picture: Path | str | None = None,
        min_score: float = 0.5,
        where: Filter | None = None,
    ) -> SearchResult:
        """The ``k`` people most like ``embedding``, exactly, in the newest state of the gallery.

        Args:
            embedding: (d,) raw, of the person looked for.
            k: how many hits at most.
            fingerprint: the model that made ``embedding``.
            query: whom we look for, passed on to the result.
            per: ``"picture"`` gives the best person of each picture, for one person cannot be
                two of its people (of a video, of each tracklet); ``"person"`` gives everybody.
            exclude_picture: a file whose people (and those of its copies) are no answer, such
                as the query's own, wherever it lies. A content that the gallery does not know
                excludes nobody.
            min_score: people whom the detector was less sure of are no answer. They are
                stored all the same: 0 searches everything.
            where: further conditions, which are met before anybody is ranked.

        Raises:
            ModelMismatch: ``embedding`` is of another model.
            PersonSearchError: people are missing that the ledger promises.
        """
        asked = Asked(k=k, per=per, min_score=min_score, where=where or Filter())
        table = np.asarray(embedding, np.float32)[None]
        return self.search_many(
            table, [query], asked, fingerprint=fingerprint, exclude_pictures=[exclude_picture]
        )[0]

    def search_many(
        self,
        embeddings: Array,
        queries: Sequence[Query],
        asked: Asked,
        *,
        fingerprint: str,
        exclude_pictures: Sequence[Path | str | None] | None = None,
    ) -> list[SearchResult]:
        """What :meth:`search` gives for each of many queries, by one matrix product for all.

        Args:
            embeddings: (q, d) raw, of ``queries``.
            queries: whom we look for.
            asked: what for: how many hits, and who is searched.
            fingerprint: the model that made ``embeddings``.
            exclude_pictures: for each query a file whose people are no answer; None excludes nobody.

        Raises:
            ModelMismatch: ``embeddings`` are of another model.
            PersonSearchError: people are missing that the ledger promises.
        """
        self.check_model(fingerprint)
        table = checked(embeddings, self.dim)
        excluded = [None] * len(queries) if exclude_pictures is None else exclude_pictures
        if not len(table) == len(queries) == len(excluded):
            raise ValueError(f"{len(table)} embeddings, {len(queries)} queries, {len(excluded)} exclusions")
        state = self._newest()
        self.check_model(fingerprint)  # it may have been migrated meanwhile
        without = [None if file is None else self._picture_in(Path(file), state.ledger) for file in excluded]
        searched = Searched(path=self.path, about=self._about, calibration=self.calibration, state=state)
        return list(searched.answers(table, queries, without, asked))

    def ask(self, sought: Sought, asked: Asked, order: Order | None = None) -> Answered:
        """Who is like somebody of whom there are examples, right and wrong ones, and is anybody?

        What :meth:`search` gives, for several examples, with a verdict on the whole; see
        :mod:`personsearch.gallery.asking`.

        Raises:
            InputError: there is no example of the person by this gallery's model.
            UsageError: ``order`` asks for something that cannot be had here.
            PersonSearchError: people are missing that the ledger promises.
        """
        state = self._newest()
        pictures = {e.key: self._shown_in(e, state.ledger) for e in sought.examples if e.position is None}
        searched = Searched(path=self.path, about=self._about, calibration=self.calibration, state=state)
        return answer(searched, sought, asked, order or Order(), pictures)

    def _shown_in(self, example: Example, ledger: Ledger) -> int | None:
        """The picture that an example is from, by its content, else by its place."""
        known = ledger.shown_by(example.sha256) if example.sha256 else None
        if known is not None or not example.picture:
            return known
        return self._picture_in(Path(example.picture), ledger)

    def examples(self, detections: Sequence[int], *, right: bool = True) -> list[Example]:
        """People of this gallery as examples to search with, in the order of ``detections``.

        Raises:
            InputError: one of the numbers is nobody's.
        """
        self._newest()
        return examples_of(self._people_table, self._ledger, self.file, detections, right)

    def stored(self, detections: Sequence[int]) -> list[Stored]:
        """What is known of the people with these numbers, also where their picture is missing.

        Numbers of nobody are left out.
        """
        self._newest()
        batches = self._people_table.rows_of("detection", sorted(set(detections)), Stored.COLUMNS)
        return stored(batches, self._ledger, self.file)

    def alike(self, embedding: Array, min_similarity: float, *, fingerprint: str) -> list[tuple[int, float]]:
        """Everybody at least so much like ``embedding`` (d,): number and similarity, best first.

        Unlike a search it looks at all who are stored: of any score, and in missing pictures.

        Raises:
            ModelMismatch: ``embedding`` is of another model.
        """
        self.check_model(fingerprint)
        query = checked(np.asarray(embedding, np.float32)[None], self.dim)
        self._newest()
        known = self._ledger.known()
        found: list[tuple[int, float]] = []
        for batch in self._people_table.batches(["detection", "picture", "vector"]):
            vectors = rows.unfixed(batch.column("vector"), self.dim)
            values = similarities(query, vectors, self.similarity)[0]
            near = (values >= np.float32(min_similarity)) & np.isin(batch.column("picture").to_numpy(), known)
            numbers = batch.column("detection").to_numpy()
            found += zip(numbers[near].tolist(), values[near].tolist(), strict=True)
        return sorted(found, key=lambda item: (-item[1], item[0]))

    def _picture_in(self, file: Path, ledger: Ledger) -> int | None:
        """The picture in ``file``: by its place, else by its content; None for one that is not known.

        A picture saved anew, which is not stored again, shows the people of the one that is.
        """
        place = self.place(file)
        entry = None if place is None else ledger.get(place)
        if entry is not None:
            return entry.like if entry.picture is None else entry.picture
        try:
            return ledger.shown_by(sha256_of(file))
        except OSError:
            return None

    def _newest(self) -> State:
        """The newest state, with what other processes have written."""
        try:
            state = self._snapshot.newest()
        except PersonSearchError:
            self._check_generation()
            raise
        described = _state_of(self.path / DESCRIPTION)
        if state.ledger is not self._ledger or described != self._described:
            self._about = self._check_generation()  # first: new entries may be of new sources
            self._ledger, self._described = state.ledger, described
        return state

    def _check_generation(self) -> Description:
        """What the gallery says of itself now; ModelMismatch after another model took over."""
        now = read_description(self.path)
        if now.generation != self._about.generation:
            raise ModelMismatch(
                f"{self.path} was migrated to model {now.fingerprint[:12]} meanwhile",
                hint="open it again, with that model",
            )
        return now


def _state_of(file: Path) -> tuple[int, int]:
    """What changes when a file is written anew."""
    about = file.stat()
    return about.st_ino, about.st_mtime_ns
