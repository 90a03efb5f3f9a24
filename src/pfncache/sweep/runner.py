# SPDX-License-Identifier: GPL-2.0-only
"""Submits jobs to workers and stores each result when it is there."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any

from pfncache.designs.catalogue import DESIGNS
from pfncache.scenarios.shape import Shape
from pfncache.sweep.job import FileVersion, Limits, SweepJob, SweepRow, run_job
from pfncache.sweep.store import Store
from pfncache.verify.runner import start_worker
from pfncache.verify.selection import Selection

AHEAD = 64
"""Jobs submitted at a time: enough for every worker to be busy, few enough to be dropped when a sweep ends early."""
DEFAULT_DESIGNS = ("mainline-7.3", "rfc-v4")
"""The designs of a sweep unless the user names some."""


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


def sweep(
    executor: Executor, work: Iterable[SweepJob], store: Store, limits: Limits, on_done: Callable[[SweepRow], None]
) -> None:
    """Do all of `work` whose results the store does not have yet."""
    done = store.done()
    left = iter([job for job in work if job.key not in done])
    running: set[Future[SweepRow]] = set()
    try:
        while True:
            for job in itertools.islice(left, AHEAD - len(running)):
                running.add(executor.submit(run_job, job, limits))
            if not running:
                return
            finished, running = _first_done(running)
            for future in finished:
                row = future.result()
                store.add(row)
                on_done(row)
    except BaseException:
        for future in running:
            future.cancel()
        raise


def _first_done(running: set[Future[SweepRow]]) -> tuple[set[Future[SweepRow]], set[Future[SweepRow]]]:
    finished, rest = wait(running, return_when=FIRST_COMPLETED)
    return set(finished), set(rest)


@contextmanager
def workers(processes: int | None, scheduler: str | None) -> Iterator[Executor]:
    """Yield local processes, or with a scheduler the workers of its Dask cluster.

    These must see a user's file under the same path.
    """
    if scheduler is not None:
        distributed: Any = importlib.import_module("distributed")  # an extra
        client = distributed.Client(scheduler)
        try:
            with client.get_executor(pure=False, retries=3) as executor:
                yield executor
        finally:
            client.close()
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("forkserver"), initializer=start_worker) as pool:
        yield pool
