# SPDX-License-Identifier: GPL-2.0-only
"""Worker processes that die with their parent, and whose own death costs one item its second try.

When a worker dies, concurrent.futures and loky give up every task and do not name the one that was running;
multiprocessing.Pool never returns. Here each worker has its own pipe, so that the parent knows its current item.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any, Generic, TypeVar

from pfncache.linux.include.uapi.linux.prctl import PR_SET_PDEATHSIG
from pfncache.verify.garbage import Garbage

QUEUED = 2
"""Batches that a worker has at a time: it begins the next one while the parent stores a result."""
MAX_KILLS = 2
"""Workers that an item may kill before it is given up."""
LOST = "its worker was killed twice"
"""Why an item has no result."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0))


@dataclass
class _Span:
    """The rest of a batch."""

    batch: int
    next: int = 0


@dataclass
class _Worker:
    """A process, the parent's end of its pipe, and what it has to do, the span that it is at first."""

    process: ForkProcess
    pipe: Connection
    spans: deque[_Span] = field(default_factory=deque)

    def give(self, span: _Span) -> None:
        """Send a span. A worker that is dead already is noticed when it is read from."""
        self.spans.append(span)
        with contextlib.suppress(OSError):
            self.pipe.send((span.batch, span.next))

    def receive(self) -> Any:
        """Return the next result. Raises EOFError if the worker is dead."""
        try:
            return self.pipe.recv()
        except OSError as error:  # killed in the middle of a message
            raise EOFError from error

    def end(self) -> None:
        """Kill the process, which has nothing to save."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


@dataclass
class _Raised:
    """An exception of the function."""

    error: Exception


class Workers(Generic[Item, Result]):
    """Processes that apply a function to batches of items.

    `function` gets the rest of a batch and yields a result for each item, in their order. A worker is forked and
    inherits the batches: results have to be picklable, items and the function need not be.
    """

    def __init__(
        self, function: Callable[[Sequence[Item]], Iterator[Result]], batches: Sequence[Sequence[Item]], processes: int
    ) -> None:
        self.function, self.batches = function, batches
        self.limit = max(1, processes)
        self.workers: list[_Worker] = []
        self.kills: Counter[tuple[int, int]] = Counter()
        """By batch and index of an item: workers that were killed while they did it."""
        self.interrupted: deque[_Span] = deque()
        """Spans whose worker was killed."""

    def run(self) -> Iterator[tuple[Item, Result | None]]:
        """Yield each item with its result as soon as it is there; None for an item whose worker was killed twice.

        What a killed worker had left is repeated at the end, by a single process: memory may have been short because of
        the others. Raises what the function raises. However this ends, no worker is left.
        """
        try:
            yield from self._run(deque(_Span(number) for number, batch in enumerate(self.batches) if batch), QUEUED)
            self._end()
            self.limit = 1
            yield from self._run(self.interrupted, 1)
        finally:
            self._end()

    def _run(self, left: deque[_Span], queued: int) -> Iterator[tuple[Item, Result | None]]:
        while left or any(worker.spans for worker in self.workers):
            self._assign(left, queued)
            if not self.workers:  # there is no process to be had
                yield from self._run_here(left.popleft())
                continue
            for pipe in wait([worker.pipe for worker in self.workers]):
                worker = next(w for w in self.workers if w.pipe is pipe)
                try:
                    result = worker.receive()
                except EOFError:
                    self.workers.remove(worker)
                    worker.end()
                    yield from self._bury(worker, left)
                    continue
                if isinstance(result, _Raised):
                    raise result.error
                span = worker.spans[0]
                batch, index = self.batches[span.batch], span.next
                span.next += 1
                if span.next == len(batch):
                    worker.spans.popleft()
                yield batch[index], result

    def _assign(self, left: deque[_Span], queued: int) -> None:
        """Give spans to workers that have fewer than `queued`, and start workers as far as there is work for them."""
        while left:
            worker = min(self.workers, key=lambda w: len(w.spans), default=None)
            if (worker is None or worker.spans) and len(self.workers) < self.limit:
                worker = self._start() or worker
            if worker is None or len(worker.spans) >= queued:
                return
            worker.give(left.popleft())

    def _start(self) -> _Worker | None:
        """Fork a worker. Returns None, and starts no more than there are, if the system has no process for it."""
        ours, theirs = get_context("fork").Pipe()
        process = get_context("fork").Process(
            target=_work, args=(self.function, self.batches, theirs, os.getpid()), daemon=True
        )
        # a signal that arrives before the child has its own handlers would run the parent's there
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            process.start()
        except OSError:
            self.limit = len(self.workers)
            ours.close()
            return None
        else:
            self.workers.append(_Worker(process, ours))
        finally:
            theirs.close()
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return self.workers[-1]

    def _bury(self, worker: _Worker, left: deque[_Span]) -> Iterator[tuple[Item, None]]:
        """Take back what a dead worker had. The item that it was doing may be repeated once."""
        if not worker.spans:
            return
        span = worker.spans.popleft()
        left.extendleft(reversed(worker.spans))
        batch = self.batches[span.batch]
        self.kills[span.batch, span.next] += 1
        if self.kills[span.batch, span.next] == MAX_KILLS:
            yield batch[span.next], None
            span.next += 1
        if span.next < len(batch):
            self.interrupted.append(span)

    def _run_here(self, span: _Span) -> Iterator[tuple[Item, Result]]:
        rest = self.batches[span.batch][span.next :]
        yield from zip(rest, self.function(rest), strict=True)

    def _end(self) -> None:
        while self.workers:
            self.workers.pop().end()


def _work(
    function: Callable[[Sequence[Any]], Iterator[Any]], batches: Sequence[Sequence[Any]], pipe: Connection, parent: int
) -> None:
    """Do what comes through the pipe until it is closed."""
    start_worker(parent)
    garbage = Garbage()
    while True:
        try:
            batch, first = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            for result in function(batches[batch][first:]):
                pipe.send(result)
                garbage.collect()
        except BrokenPipeError:
            return
        except Exception as error:
            try:
                pipe.send(_Raised(error))
            except Exception:  # the exception cannot be pickled
                pipe.send(_Raised(RuntimeError(f"{type(error).__name__}: {error}")))


def start_worker(parent: int) -> None:
    """Initialise a worker process: die with the parent, and leave Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it has died before prctl()
        os._exit(0)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
