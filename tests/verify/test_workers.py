# SPDX-License-Identifier: GPL-2.0-only
"""Workers: every item has a result or is lost, whichever process is killed; no process outlives the parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from pfncache.check.compile.source import CompileError, Location
from pfncache.verify.workers import Workers, usable_cores


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def double(batch: Sequence[int]) -> Iterator[int]:
    return (2 * item for item in batch)


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_every_item_once(processes: int) -> None:
    batches = [[1, 2, 3], [], [4], [5, 6], [7]]
    assert sorted(Workers(double, batches, processes).run()) == [(n, 2 * n) for n in range(1, 8)]


def test_results_of_a_batch_are_in_order() -> None:
    assert list(Workers(double, [list(range(500))], 2).run()) == [(n, 2 * n) for n in range(500)]


def test_the_killer_of_two_workers_is_lost_and_nothing_else() -> None:
    """Results from before the kill are kept, and the rest of the batch is done."""

    def deadly(batch: Sequence[int]) -> Iterator[int]:
        for item in batch:
            if item in (3, 8):
                kill_self()
            yield 2 * item

    found = list(Workers(deadly, [[1, 2, 3, 4], [5, 6], [7, 8], [9]], 2).run())
    assert sorted(found, key=lambda f: f[0]) == [(n, None if n in (3, 8) else 2 * n) for n in range(1, 10)]


def test_an_item_whose_worker_is_killed_once_is_repeated_alone(tmp_path: Path) -> None:
    """The second time no other worker runs."""
    log = tmp_path / "log"

    def once(batch: Sequence[int]) -> Iterator[str]:
        for item in batch:
            with log.open("a") as file:
                file.write(f"{item} {os.getpid()}\n")
            if item == 1 and len([line for line in log.read_text().splitlines() if line[0] == "1"]) == 1:
                kill_self()
            yield str(item)

    found = list(Workers(once, [[n] for n in range(6)], 2).run())
    assert sorted(found) == [(n, str(n)) for n in range(6)]
    lines = log.read_text().splitlines()
    assert len(lines) == 7
    assert lines[-1].startswith("1 ")
    assert found[-1] == (1, "1")


def test_workers_that_die_without_work_are_no_matter() -> None:
    pool = Workers(double, [[n] for n in range(20)], 2)
    found = []
    for done in pool.run():
        found.append(done)
        if len(found) == 5:
            for worker in pool.workers:
                os.kill(worker.process.pid or 0, signal.SIGKILL)
    assert sorted(found) == [(n, 2 * n) for n in range(20)]


class Unpicklable(Exception):
    def __reduce__(self) -> str:
        raise TypeError("never")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (CompileError(Location("f.py", 3, "f"), "no"), CompileError),
        (MemoryError("much"), MemoryError),
        (Unpicklable("this"), RuntimeError),
    ],
)
def test_what_the_function_raises(error: Exception, expected: type[Exception]) -> None:
    def fail(batch: Sequence[int]) -> Iterator[int]:
        raise error

    pool = Workers(fail, [[1], [2]], 2)
    with pytest.raises(expected, match="this" if expected is RuntimeError else str(error)):
        list(pool.run())
    assert pool.workers == []


def test_no_process_to_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent does the work itself."""

    def fail(self: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("multiprocessing.context.ForkProcess.start", fail)
    assert list(Workers(double, [[1], [2, 3]], 4).run()) == [(1, 2), (2, 4), (3, 6)]


def test_no_more_processes_than_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[ForkProcess] = []
    start = ForkProcess.start

    def count(self: ForkProcess) -> None:
        started.append(self)
        start(self)

    monkeypatch.setattr(ForkProcess, "start", count)
    list(Workers(double, [[1], [2], [3]], 1000).run())
    assert 1 <= len(started) <= 3


def test_usable_cores() -> None:
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)


ENDLESS = """
import os, sys, time
from pfncache.verify.workers import Workers

def forever(batch):
    for item in batch:
        yield os.getpid()
        while True:
            pass

for item, pid in Workers(forever, [[n] for n in range(4)], 2).run():
    print(pid, flush=True)
"""


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def within(seconds: float, true: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGABRT])
def test_workers_die_with_their_parent(number: signal.Signals) -> None:
    """They are busy, so that they do not notice a closed pipe."""
    parent = subprocess.Popen([sys.executable, "-c", ENDLESS], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert parent.stdout is not None
    pids = [int(parent.stdout.readline()) for _ in range(2)]
    assert len({*pids, parent.pid}) == 3
    parent.send_signal(number)
    parent.wait(20)
    parent.stdout.close()
    assert within(10, lambda: all(gone(pid) for pid in pids))
