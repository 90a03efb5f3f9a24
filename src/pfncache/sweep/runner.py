# SPDX-License-Identifier: GPL-2.0-only
"""Gives jobs to workers, and keeps each result as it comes."""

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
from pfncache.sweep.job import Limits, Row, run_job
from pfncache.sweep.store import Store
from pfncache.verify.runner import start_worker

AHEAD = 64
"""Jobs that wait at the workers, so that none is idle and none is forgotten by a sweep that ends early."""

Work = tuple[str, Shape]


def jobs(designs: Iterable[str], shapes: Iterable[Shape]) -> list[Work]:
    """Every design with every shape whose memory it has."""
    chosen = [DESIGNS[name] for name in designs]
    return [(design.name, shape) for shape in shapes for design in chosen if design.has(str(shape.memory))]


def sweep(
    executor: Executor, work: Iterable[Work], store: Store, limits: Limits, on_done: Callable[[Row], None]
) -> None:
    """Do all of `work` that the store does not have yet."""
    done = store.done()
    left = iter([(design, shape) for design, shape in work if (design, shape.name) not in done])
    running: set[Future[Row]] = set()
    try:
        while True:
            for design, shape in itertools.islice(left, AHEAD - len(running)):
                running.add(executor.submit(run_job, design, shape, limits))
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


def _first_done(running: set[Future[Row]]) -> tuple[set[Future[Row]], set[Future[Row]]]:
    finished, rest = wait(running, return_when=FIRST_COMPLETED)
    return set(finished), set(rest)


@contextmanager
def workers(processes: int | None, scheduler: str | None) -> Iterator[Executor]:
    """Local processes; or the workers of a Dask cluster, where there is a scheduler."""
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
