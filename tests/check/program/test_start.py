# SPDX-License-Identifier: GPL-2.0-only
"""The layout finds where each actor stands at first, without the engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pfncache.check.compile.compiler import compile_system
from pfncache.check.program.image import COUNTER_END, COUNTER_FIRST_EVENT, COUNTER_HALTED
from pfncache.check.program.layout import link
from pfncache.check.search import Search
from pfncache.designs.catalogue import DESIGNS
from pfncache.verify.systems import make_system
from tests.check import toys
from tests.check.toys import Box


def never(shared: Box) -> None:
    """Ends before any step."""


def second_arm(shared: Box) -> None:
    """The first event in the order of the code is not the first one that is executed."""
    first = 0
    for _ in range(2):
        first = first + 1
    if first == 1:
        shared.count = 1
    shared.flag = True


def fail_at_once(shared: Box) -> None:
    """Violates a property before any step."""
    assert shared is None


@pytest.mark.parametrize("reduction", [False, True])
@pytest.mark.parametrize("functions", [(toys.increment, second_arm), (toys.roll, never), (toys.use, toys.free)])
def test_starts_are_those_of_the_engine(functions: tuple[Callable[..., Any], ...], reduction: bool) -> None:
    program = link(compile_system(toys.system(*functions)), reduction)
    initial = Search(program).initial
    assert program.start_counters.tolist() == [program.counter(initial, a) for a in range(len(functions))]


@pytest.mark.parametrize("scenario", ["clock/anon/munmap", "xen/irq-user", "gpc/refresh-twice"])
def test_starts_in_scenarios(scenario: str) -> None:
    program = link(compile_system(make_system(DESIGNS["mainline-7.3"], scenario)))
    initial = Search(program).initial
    assert program.start_counters.tolist() == [program.counter(initial, a) for a in range(program.actors)]


def test_known_starts() -> None:
    program = link(compile_system(toys.system(second_arm, never)), reduction=False)
    assert program.start_counters.tolist() == [COUNTER_FIRST_EVENT + 1, COUNTER_END]


def test_failure_before_any_step() -> None:
    """The actor is halted there; the search reports the failure, and goes on with the other actor."""
    program = link(compile_system(toys.system(fail_at_once, toys.increment)))
    assert program.start_counters.tolist() == [COUNTER_HALTED, COUNTER_FIRST_EVENT]
    searching = Search(program)
    assert [(found.property, found.start) for found in searching.start_found] == [("null-dereference", 0)]
    assert searching.initial is not None
