# SPDX-License-Identifier: GPL-2.0-only
"""The engine, SPIN, TLC and plain CPython on the same transition systems."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from unittest import mock

from benchmarks.cpython import CPython
from benchmarks.spin import BREADTH_FIRST, PLAIN, REDUCED, Spin
from benchmarks.tlc import NO_SEARCH, Tlc
from pfncache.check.compile.compiler import compile_system
from pfncache.check.engine.native import steps
from pfncache.check.export.promela.model import to_promela
from pfncache.check.export.tla.module import to_tla
from pfncache.check.program.layout import link
from pfncache.check.result import SearchResult
from pfncache.check.search import Search
from pfncache.check.system import System

PLAIN_STATES = 20_000
"""States that plain CPython searches."""
SPIN_WAYS = {"breadth first": BREADTH_FIRST, "depth first": PLAIN, "reduced": REDUCED}


@dataclass(frozen=True)
class Lap:
    """The time of one engine on one model: of the search alone, without compilation.

    `seconds` is CPU time, which other load on the machine affects less than `wall`.
    """

    engine: str
    states: int
    seconds: float
    bytes_per_state: float = 0.0
    wall: float = 0.0

    @property
    def rate(self) -> float:
        """Millions of distinct states per CPU second."""
        return self.states / self.seconds / 1e6


def search(build: Callable[[], System], reduction: bool, threads: int = 1, max_states: int = 60_000_000) -> Search:
    """Return a search of a new system."""
    return Search(link(compile_system(build()), reduction), max_states, threads)


def ours(name: str, searching: Search, rounds: int, *, native: bool = False) -> Lap:
    """Return the median of some runs of the engine, after a warm-up, with native or with interpreted steps."""
    found: list[tuple[float, float, SearchResult]] = []
    if native:
        searching.native.compile()
    with mock.patch.object(steps, "NATIVE_MIN_STATES", sys.maxsize):
        for _ in range(rounds + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            result = searching.run()
            found.append((time.process_time() - cpu, time.perf_counter() - wall, result))
    seconds, _, result = sorted(found[1:], key=lambda lap: lap[0])[rounds // 2]
    return Lap(name, result.states, seconds, result.bytes_per_state, median(lap[1] for lap in found[1:]))


def spin(
    build: Callable[[], System], rounds: int, states: int, ways: Sequence[str] = tuple(SPIN_WAYS), seconds: float = 600
) -> list[Lap]:
    """Return the median of some runs of SPIN in each way, with room for `states` in its hash table and its stack.

    Raises TimeoutExpired if a verifier takes gcc longer than `seconds`.
    """
    searching = search(build, reduction=False)
    laps = []
    with tempfile.TemporaryDirectory() as directory:
        model = Spin(to_promela(searching, "benchmark"), Path(directory))
        for name in ways:
            verifier = model.build(*SPIN_WAYS[name], optimise="-O2", seconds=seconds)
            room = max(16, states.bit_length())
            answers = [model.run(verifier, f"-w{room}", f"-m{max(10_000, states)}") for _ in range(rounds)]
            if answers[0].errors:
                raise RuntimeError(f"SPIN finds {answers[0].error}")
            took = median(a.seconds for a in answers)
            laps.append(Lap(f"SPIN, {name}", answers[0].states, took, answers[0].bytes_per_state))
    return laps


def tlc(build: Callable[[], System], rounds: int) -> Lap:
    """Return the median of some runs of TLC, without the time to start Java and to read the module."""
    with tempfile.TemporaryDirectory() as directory:
        model = Tlc(to_tla(search(build, reduction=False), "model", "benchmark"), Path(directory))
        start = model.run(NO_SEARCH)
        answers = [model.run() for _ in range(rounds)]
    if answers[0].error:
        raise RuntimeError(f"TLC finds {answers[0].error}")
    seconds, wall = median(a.seconds for a in answers), median(a.wall for a in answers)
    return Lap("TLC", answers[0].states, seconds - start.seconds, wall=wall - start.wall)


def cpython(build: Callable[[], System]) -> Lap:
    """Return the time of plain CPython for PLAIN_STATES."""
    plain = CPython(search(build, reduction=False).program)
    started = time.process_time()
    states, _ = plain.search(PLAIN_STATES)
    return Lap(f"plain CPython, {PLAIN_STATES:,}", states, time.process_time() - started)
