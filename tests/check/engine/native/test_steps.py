# SPDX-License-Identifier: GPL-2.0-only
"""Native steps are those of the interpreter, and a search that changes to them finds the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial, partialmethod
from typing import Any

import numpy as np
import pytest

from pfncache.check import search as searching
from pfncache.check.compile.compiler import compile_system
from pfncache.check.engine import parallel_bfs
from pfncache.check.engine.interpreter import BLOCKED, STEPPED
from pfncache.check.engine.native import steps
from pfncache.check.engine.native.steps import NativeSteps
from pfncache.check.program.layout import link
from pfncache.check.result import SearchResult
from pfncache.check.search import Search
from pfncache.check.system import System
from pfncache.designs.catalogue import DESIGNS
from pfncache.scenarios import DEFAULT_SCENARIOS, SCENARIOS
from pfncache.verify.systems import make_system
from tests.check import toys
from tests.check.engine.native.compared import Compared

MOST_STATES = 60
"""States of a system, spread over the order in which they were found, whose steps are compared."""
SYSTEMS: dict[str, Callable[[], System]] = {
    "race": partial(toys.system, *[toys.increment] * 3, at_end=toys.count_is_two),
    "locks": partial(toys.system, toys.first_then_other, toys.other_then_first, toys.increment),
    "spinning": partial(toys.system, toys.spin_until_flag, toys.set_flag, toys.roll),
    "choices": partial(toys.system, toys.roll, toys.roll_alike, toys.index_by_count),
    "objects": partial(toys.system, toys.allocate, toys.use, toys.free),
    "arithmetic": partial(toys.system, toys.arithmetic, toys.through_generator),
    "clock": partial(make_system, DESIGNS["mainline-7.3"], "clock/anon/munmap"),
    "violated": partial(make_system, DESIGNS["rfc-v4"], "clock/gmem-mmap/punch"),
}


def search(system: System, reduction: bool, threads: int = 1) -> Search:
    return Search(link(compile_system(system), reduction), 1_000_000, threads)


def compare_steps(made: Search, most: int) -> Compared:
    """Compare the steps from visited states of a search, which is run."""
    count = made.run().states
    both = Compared(made.program.image, len(made.cover))
    chosen = np.unique(np.linspace(0, count - 1, min(count, most)).astype(np.int64))
    both.steps(made.visited.state(number) for number in chosen.tolist())
    return both


@pytest.mark.parametrize("reduction", [False, True])
@pytest.mark.parametrize("name", SYSTEMS)
def test_steps(name: str, reduction: bool) -> None:
    both = compare_steps(search(SYSTEMS[name](), reduction), MOST_STATES)
    assert both.results[STEPPED] > 1
    if name == "locks":
        assert both.results[BLOCKED] > 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name in DEFAULT_SCENARIOS if DESIGNS["mainline-7.3"].has(SCENARIOS[name].memory)][::3]
)
def test_steps_of_the_catalogue(name: str) -> None:
    for design in ("mainline-7.3", "rfc-v4"):
        if DESIGNS[design].has(SCENARIOS[name].memory):
            both = compare_steps(search(make_system(DESIGNS[design], name), True), 1_000)
            assert both.results[STEPPED] > 0


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("reduction", [False, True])
@pytest.mark.parametrize("name", SYSTEMS)
def test_search_that_changes(name: str, reduction: bool, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first state, and after a part of the search: verdict, states, transitions and traces are the same."""
    monkeypatch.setattr(parallel_bfs, "MIN_ROUND", 1)
    monkeypatch.setattr(parallel_bfs, "SHARE", 16)
    monkeypatch.setattr(searching, "PAUSE_STATES", 2)
    advance = NativeSteps.advance
    interpreted = search(SYSTEMS[name](), reduction, threads)
    expected = essence(interpreted.run())
    assert not interpreted.native.addresses.any()
    for begin in (1, min(1_000, expected[1] // 2)):
        monkeypatch.setattr(NativeSteps, "advance", partialmethod(compile_at, begin, advance))
        changing = search(SYSTEMS[name](), reduction, threads)
        assert essence(changing.run()) == expected
        assert changing.native.addresses.any()
        assert np.array_equal(changing.cover, interpreted.cover)


def compile_at(native: NativeSteps, begin: int, advance: Callable[[NativeSteps, int], None], states: int) -> None:
    """Stand in for advance(): wait for the compiler when there are so many states."""
    if states >= begin and not native.addresses.any():
        native._run()
    advance(native, states)


def essence(result: SearchResult) -> tuple[Any, ...]:
    """Return what a search has found: all but the seconds."""
    return result.verdict, result.states, result.transitions, result.reason, result.found


def running() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == steps.THREAD]


def test_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code is compiled beside the search, and a later search of the same object has it from the start."""
    monkeypatch.setattr(steps, "NATIVE_MIN_STATES", 1)
    monkeypatch.setattr(searching, "PAUSE_STATES", 50)
    made = search(SYSTEMS["clock"](), False)
    first = essence(made.run())
    assert not running()
    assert made.native.error is None
    made.native.compile()
    places = made.native.addresses.copy()
    assert np.count_nonzero(places) > len(places) // 2
    assert essence(made.run()) == first
    assert np.array_equal(made.native.addresses, places)


def test_short_search_compiles_nothing() -> None:
    made = search(SYSTEMS["clock"](), True)
    made.run()
    assert made.native.compiled == 0


def test_ctrl_c_ends_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "NATIVE_MIN_STATES", 1)
    monkeypatch.setattr(searching, "PAUSE_STATES", 50)

    def interrupt(found: int, waiting: int) -> None:
        raise KeyboardInterrupt

    result = search(SYSTEMS["clock"](), False).run(on_progress=interrupt)
    assert (result.verdict, result.reason) == ("bounded", "interrupted")
    assert not running()


def test_failure_of_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search goes on with the interpreter, and says so."""
    expected = essence(search(SYSTEMS["clock"](), False).run())
    said: list[str] = []
    monkeypatch.setattr(steps, "NATIVE_MIN_STATES", 1)
    monkeypatch.setattr(searching, "PAUSE_STATES", 50)
    monkeypatch.setattr(steps, "_native", lambda text: (_ for _ in ()).throw(RuntimeError("no LLVM")))
    monkeypatch.setattr(steps, "notify", lambda kind, text: said.append(text))
    made = search(SYSTEMS["clock"](), False)
    assert essence(made.run()) == expected
    assert str(made.native.error) == "no LLVM"
    assert said == ["steps are interpreted, not native: RuntimeError: no LLVM"]
