"""The processes of a Ray cluster that look at files, and the desk that they share."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from personsearch.errors import InputError, PersonSearchError
from personsearch.gallery.fragments import INDEX_FROM, Fragments
from personsearch.gallery.gallery import Gallery
from personsearch.indexing.cluster_worker import Asked, Desk, Extractor, Work
from personsearch.indexing.options import IndexOptions
from personsearch.types import Array, Searcher

PICTURES = 16
"""Files in a portion. A video is a portion of its own: it is looked at whole, or again."""


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """On what it runs.

    Attributes:
        address: of a Ray cluster (``auto`` finds the one of this machine); None starts one here that
            ends with this process.
        workers: processes with the model; None for as many as there are GPUs, or CPUs but one.
        gpus: of each process; None for one where the cluster has any.
        index_from: people from whom on the table is indexed; None for never.
    """

    address: str | None = None
    workers: int | None = None
    gpus: float | None = None
    index_from: int | None = INDEX_FROM

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")


def ray() -> Any:
    """Ray, with its usage reports off.

    Raises:
        InputError: it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when it is imported, and by all that it starts
    try:
        module: Any = importlib.import_module("ray")
        importlib.import_module("ray.data")
    except ImportError as error:
        raise InputError("Ray is not installed", hint="pip install 'personsearch[ray]'") from error
    return module


@contextmanager
def connected(cluster: ClusterOptions) -> Iterator[None]:
    """Connected to a cluster; one that was started for this ends with it."""
    module = ray()
    if module.is_initialized():
        yield
        return
    try:
        if cluster.address is None:
            # A processor more than workers: what hands out the portions needs one, too.
            cpus = max(os.cpu_count() or 1, 1 + (cluster.workers or 1))
            module.init(address="local", num_cpus=cpus, include_dashboard=False, **_QUIET)
        else:
            module.init(address=cluster.address, **_QUIET)
    except Exception as error:  # Ray raises bare ones, too, on a machine that is too slow to start it
        module.shutdown()
        said = " ".join(str(error).split())[:200]
        hint = "give the address of one that runs, or look into /tmp/ray/session_latest/logs"
        raise PersonSearchError(f"no Ray cluster: {said}", hint=hint) from error
    try:
        with redirect_stdout(sys.stderr):  # Ray tells of dead workers on standard output, where results go
            yield
    finally:
        module.shutdown()


_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}


class _RemoteDesk:
    """The shared desk, asked from anywhere."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def numbers(self, people: int) -> tuple[int, int]:
        picture, detection = ray().get(self._actor.numbers.remote(people))
        return picture, detection

    def claim(self, index: int, sha256: str) -> bool:
        return bool(ray().get(self._actor.claim.remote(index, sha256)))

    def begin(self, index: int) -> int:
        return int(ray().get(self._actor.begin.remote(index)))

    def begin_ahead(self, index: int) -> bool:
        return bool(ray().get(self._actor.begin_ahead.remote(index)))

    def end(self, index: int) -> None:
        ray().get(self._actor.end.remote(index))


def _remote_desk(actor: Any) -> Asked:
    return _RemoteDesk(actor)


class Hands:
    """The processes that look."""

    def __init__(
        self,
        gallery: Gallery,
        opener: Callable[[], Searcher],
        options: IndexOptions,
        cluster: ClusterOptions,
    ) -> None:
        self._gallery, self._opener, self._options = gallery, opener, options
        has = ray().cluster_resources()
        gpus, cpus = has.get("GPU", 0.0), has.get("CPU", 1.0)
        self._gpus = (1.0 if gpus else 0.0) if cluster.gpus is None else cluster.gpus
        most = gpus / self._gpus if self._gpus else cpus - 1
        self.workers = cluster.workers or max(1, int(most))

    def __call__(self, files: Sequence[dict[str, Any]], known: Array, once: bool) -> Iterator[dict[str, Any]]:
        """What became of these files, portion by portion as they come."""
        module, written = ray(), Fragments(self._gallery)
        here = module.get_runtime_context().get_node_id()
        strategies: Any = importlib.import_module("ray.util.scheduling_strategies")
        affinity = strategies.NodeAffinitySchedulingStrategy(here, soft=False)
        actor = module.remote(Desk).options(num_cpus=0, scheduling_strategy=affinity)
        desk = actor.remote(written.next_picture, written.next_detection)
        work = Work(
            opener=self._opener,
            desk=partial(_remote_desk, desk),
            table=written.table,
            fingerprint=self._gallery.fingerprint,
            dim=self._gallery.dim,
            similarity=self._gallery.similarity,
            options=self._options,
            kept_out=written.kept_out,
            known=known,
            once=once,
        )
        be_quiet(module)
        portions = [pa.Table.from_pylist(portion, schema=_FILE) for portion in _portions(files)]
        looked_at = module.data.from_arrow(portions).map_batches(
            Extractor,
            fn_constructor_args=(work,),
            batch_size=None,
            batch_format="pyarrow",
            compute=module.data.ActorPoolStrategy(size=self.workers),
            num_cpus=1,
            num_gpus=self._gpus,
        )
        try:
            for batch in looked_at.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                yield from batch.to_pylist()
            written.next_detection = module.get(desk.free.remote())
        except module.exceptions.RayError as error:
            raise _ours(error) from error
        finally:
            module.kill(desk)


_FILE = pa.schema(
    [
        pa.field("index", pa.int64()),
        pa.field("path", pa.string()),
        pa.field("source", pa.int64()),
        pa.field("below", pa.string()),
        pa.field("video", pa.bool_()),
    ]
)


def _portions(files: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Files that one process gets at a time."""
    pictures = [file for file in files if not file["video"]]
    yield from ([file] for file in files if file["video"])  # the longest work first
    for start in range(0, len(pictures), PICTURES):
        yield pictures[start : start + PICTURES]


def be_quiet(module: Any) -> None:
    """Our own progress is enough."""
    context = module.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _ours(error: Exception) -> PersonSearchError:
    """An error of the cluster in one line; what a worker said of itself as it said it."""
    cause: BaseException | None = error
    while cause is not None:
        inner = getattr(cause, "cause", None)
        if isinstance(inner, PersonSearchError):
            return inner
        cause = inner if isinstance(inner, BaseException) else cause.__cause__
    said = " ".join(str(error).split())
    return PersonSearchError(
        f"the cluster failed: {said[-300:]}", hint="what is committed stays; the same command goes on"
    )
