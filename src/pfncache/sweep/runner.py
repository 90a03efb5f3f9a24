# SPDX-License-Identifier: GPL-2.0-only
"""Submits jobs to workers and stores each result when it is there."""

from __future__ import annotations

import importlib
import itertools
import logging
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import closing, contextmanager
from typing import Any

from pfncache.designs.catalogue import DESIGNS
from pfncache.interrupts import interruptible, reraise
from pfncache.scenarios.shape import Shape, ShapeBounds
from pfncache.scenarios.space.point import Point
from pfncache.scenarios.space.sampling import Sample, sample
from pfncache.sweep.job import FileVersion, Limits, SweepJob, SweepRow, lost_row, run_job
from pfncache.sweep.sources import sources
from pfncache.sweep.store import Store
from pfncache.verify.selection import Selection
from pfncache.verify.workers import Workers, usable_cores

JobSearch = Callable[[Sequence[SweepJob], Limits], Generator[SweepRow, None, None]]
"""Does jobs, and yields the row of each when it is there."""

AHEAD = 64
"""Jobs submitted at a time: enough for every worker to be busy, few enough to be dropped when a sweep ends early."""
CONNECT_SECONDS = 10
"""How long a scheduler may take to answer."""
MAX_JOBS = 500_000
"""Jobs of a sweep; each takes some hundred bytes here, and its search milliseconds to minutes."""
DEFAULT_DESIGNS = ("mainline-7.3", "rfc-v4")
"""The designs of a sweep unless the user names some."""


def check_size(bounds: ShapeBounds, designs: int) -> None:
    """Raise SweepError if the shapes within the bounds are too many to be listed under a number of designs."""
    count = sum(bounds.count(memory) for memory in bounds.memories)
    if count * designs > MAX_JOBS:
        raise SweepError(
            f"these bounds have {count:,} scenarios for each design, {count * designs:,} searches, and a sweep has at "
            f"most {MAX_JOBS:,}; lower --actors, --updates, --rounds or --pages, or name fewer designs or one --memory"
        )


def drawn(names: Iterable[str], size: int, seed: int, memory: Collection[str]) -> tuple[Sample, list[SweepJob]]:
    """Draw points of the space, and return a job for each design and point whose memory the design has.

    The jobs of points that have most values in common follow each other, as a worker keeps what it compiled last. The
    space is that of a file, if one has it. Raises UnknownName and UserFileError.
    """
    chosen = Selection.of(names)
    files = {file.path: FileVersion.of(file.path) for file in chosen.files}
    file_of = {id(design): files[file.path] for file in chosen.files for design in file.designs}
    space_file = next((files[file.path] for file in chosen.files if file.space is chosen.space), None)
    designs = chosen.designs or tuple(DESIGNS[name] for name in DEFAULT_DESIGNS)
    kinds = [kind for kind in memory if any(design.has(kind) for design in designs)]
    found = sample(min(size, MAX_JOBS), seed, kinds, chosen.space)
    return found, [
        SweepJob(design.name, point.name, file_of.get(id(design)), space_file)
        for design in designs
        for point in sorted(found.points, key=_likeness)
        if design.has(point["memory"])
    ]


def _likeness(point: Point) -> tuple[str, ...]:
    """Return the key by which points are near each other that share most compiled code."""
    return (point["memory"], point["operation"], point["user"], point.name)


def jobs(names: Iterable[str], shapes: Iterable[Shape]) -> list[SweepJob]:
    """Return a job for each design and shape, and for each scenario of the files, whose memory the design has.

    `names` are those of designs, FILE.py or FILE.py:design. Raises UnknownName and UserFileError.
    """
    chosen = Selection.of(names)
    files = {file.path: FileVersion.of(file.path) for file in chosen.files}
    file_of = {id(one): files[file.path] for file in chosen.files for one in (*file.designs, *file.scenarios)}
    designs = chosen.designs or tuple(DESIGNS[name] for name in DEFAULT_DESIGNS)
    generated = [
        SweepJob(design.name, shape, file_of.get(id(design)))
        for shape in shapes
        for design in designs
        if design.has(str(shape.memory))
    ]
    return generated + [
        SweepJob(design.name, scenario.name, file_of.get(id(design)), file_of[id(scenario)])
        for scenario in chosen.scenarios
        for design in designs
        if design.has(scenario.memory)
    ]


class SweepError(Exception):
    """The workers cannot be used. One line."""


class SweepStopped(Exception):
    """The workers are gone before all is done. One line."""


def sweep(
    search: JobSearch, work: Iterable[SweepJob], store: Store, limits: Limits, on_done: Callable[[SweepRow], None]
) -> None:
    """Do all of `work` whose results the store does not have yet.

    Raises SweepError, StoreError, KeyboardInterrupt and Terminated; results until then are stored.
    """
    done = store.done(limits)
    with interruptible(), closing(search([job for job in work if job.key not in done], limits)) as rows:
        for row in rows:
            if row.sources != sources():
                raise SweepError(
                    f"a worker has other sources of pfncache ({row.sources}) than this command ({sources()})"
                )
            store.add(row)
            on_done(row)
            reraise()


def in_processes(processes: int | None) -> JobSearch:
    """Return the search by processes of this host, at most one a core."""

    def search(work: Sequence[SweepJob], limits: Limits) -> Generator[SweepRow, None, None]:
        def each(batch: Sequence[SweepJob]) -> Iterator[SweepRow]:
            return (run_job(job, limits) for job in batch)

        pool = Workers(each, [[job] for job in work], min(processes or usable_cores(), usable_cores()))
        return (row or lost_row(job, limits) for job, row in pool.run())

    return search


def on_executor(executor: Executor, killed: tuple[type[Exception], ...] = ()) -> JobSearch:
    """Return the search by an executor. A job that raises one of `killed` is lost."""

    def search(work: Sequence[SweepJob], limits: Limits) -> Generator[SweepRow, None, None]:
        left = iter(work)
        running: dict[Future[SweepRow], SweepJob] = {}
        try:
            while True:
                for job in itertools.islice(left, AHEAD - len(running)):
                    running[executor.submit(run_job, job, limits)] = job
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    job = running.pop(future)
                    try:
                        row = future.result()
                    except killed:
                        row = lost_row(job, limits)
                    yield row
        finally:
            for future in running:
                future.cancel()

    return search


@contextmanager
def workers(processes: int | None, scheduler: str | None) -> Iterator[JobSearch]:
    """Yield the search by processes of this host, or with a scheduler by the workers of its Dask cluster.

    These must see a user's file under the same path. Raises SweepError if the scheduler does not answer.
    """
    if scheduler is None:
        yield in_processes(processes)
        return
    try:
        distributed: Any = importlib.import_module("distributed")  # an extra
    except ImportError:
        raise SweepError("a cluster needs Dask: pip install 'pfncache[dask]'") from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # errors end as one line
    try:
        client = distributed.Client(scheduler, timeout=CONNECT_SECONDS)
    except (OSError, TypeError, ValueError) as error:
        why = str(error).partition("\n")[0] or type(error).__name__
        raise SweepError(f"no Dask scheduler at {scheduler!r}, as tcp://HOST:PORT would be: {why}") from None
    try:
        with client.get_executor(pure=False, retries=3) as executor:
            yield on_executor(executor, killed=(distributed.KilledWorker,))
    except CancelledError:
        raise SweepStopped(f"the Dask scheduler at {scheduler} is gone") from None
    finally:
        client.close()
