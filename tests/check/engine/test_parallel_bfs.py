# SPDX-License-Identifier: GPL-2.0-only
"""A parallel search agrees with one on a single thread: number of states, violations, lengths of their traces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pfncache.check.compile.compiler import compile_system
from pfncache.check.engine import parallel_bfs as parallel
from pfncache.check.program.layout import link
from pfncache.check.result import SearchResult
from pfncache.check.search import Search
from pfncache.check.system import System
from pfncache.designs.catalogue import DESIGNS
from pfncache.verify.systems import make_system
from tests.check import toys


@pytest.fixture(autouse=True)
def every_layer_is_searched_in_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search small systems in rounds, too, several per layer."""
    monkeypatch.setattr(parallel, "MIN_ROUND", 1)
    monkeypatch.setattr(parallel, "SHARE", 16)


def search(system: System, threads: int, reduction: bool = False, max_states: int = 1_000_000) -> Search:
    return Search(link(compile_system(system), reduction), max_states, threads)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize(
    ("functions", "at_end", "kind"),
    [
        ((toys.increment,) * 4, None, None),
        ((toys.increment,) * 4, toys.count_is_two, "lost"),
        ((toys.first_then_other, toys.other_then_first, toys.increment), None, "deadlock"),
        ((toys.spin_until_flag, toys.increment), None, "livelock"),
        ((toys.spin_until_flag, toys.set_flag, toys.roll), None, None),
        ((toys.allocate, toys.use, toys.free), None, "use-after-free"),
    ],
)
def test_verdict(functions: tuple[Callable[..., Any], ...], at_end: Any, kind: str | None, threads: int) -> None:
    whole = search(toys.system(*functions, at_end=at_end), 1).run()
    shared = search(toys.system(*functions, at_end=at_end), threads).run()
    assert whole.property == shared.property == kind
    assert lengths(shared) == lengths(whole)
    assert (shared.states, shared.transitions) == (whole.states, whole.transitions)


def lengths(result: SearchResult) -> dict[tuple[str, object], float]:
    """Return the length of the path to each violation."""
    return {found.key: found.length for found in result.found}


def test_limit_of_states_is_bounded() -> None:
    result = search(toys.system(*[toys.increment] * 6), 2, max_states=1000).run()
    assert (result.verdict, result.reason) == ("bounded", "the limit of 1,000 states")
    assert 0 < result.states <= 1000


def test_lock_acquisitions_of_every_thread_count() -> None:
    system = toys.system(toys.first_then_other, toys.first_then_other)
    searching = search(system, 2)
    searching.run()
    assert searching.cover.all()


@pytest.mark.parametrize(
    ("design", "scenario"),
    [
        ("mainline-7.3", "gpc/refresh-twice"),
        ("rfc-v4", "clock/gmem-mmap/punch"),
        ("khva-stays", "gpc/move-in-page"),
        ("rfc-v4", "clock/anon/munmap"),
    ],
)
def test_scenarios(design: str, scenario: str) -> None:
    whole = search(make_system(DESIGNS[design], scenario), 1).run()
    shared = search(make_system(DESIGNS[design], scenario), 2)
    result = shared.run()
    assert (result.verdict, result.property) == (whole.verdict, whole.property)
    assert lengths(result) == lengths(whole)
    assert (result.states, result.transitions) == (whole.states, whole.transitions)
    for found in result.found:
        ending = toys.replayed(shared, found).ending if found.is_shown else None
        assert (ending.kind if ending is not None else None) == (found.property if found.failure is not None else None)
