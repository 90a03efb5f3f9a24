# SPDX-License-Identifier: GPL-2.0-only
"""The compiled code and the Python source take the same steps, on random schedules."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pfncache.check.compile.compiler import compile_system
from pfncache.check.engine import interpreter
from pfncache.check.path import Choice
from pfncache.check.program.layout import link
from pfncache.check.replay import Replay
from pfncache.check.search import Search
from pfncache.designs.catalogue import DESIGNS
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.verify.systems import make_system
from tests.check import toys

CONTROL_FLOW = (toys.return_from_guard, toys.through_guard, toys.through_generator, toys.arithmetic, toys.roll)


def random_walk(searching: Search, generator: random.Random) -> int:
    """Take random steps in both forms until no actor can run, or a sequence count has wrapped in the compiled form.

    Replay raises Divergence where the states differ.
    """
    replay = Replay(searching)
    steps = 0
    try:
        replay.start()
        state = searching.initial
        while choices := searching.enabled(state):
            choice: Choice = generator.choice(choices)
            failed = searching.take(state, choice).result == interpreter.FAILED
            state = replay.take(state, choice)
            steps += 1
            if failed or steps == 400 or has_wrapped(searching, state):
                break
    finally:
        replay.finish()
    return steps


def has_wrapped(searching: Search, state: NDArray[np.uint64]) -> bool:
    heap = searching.program.compiled.heap
    return any(searching.program.value(state, v) != heap.holder(v).__dict__[v.name] for v in searching.program.slots)


@pytest.mark.parametrize("reduction", [True, False])
@pytest.mark.parametrize("function", CONTROL_FLOW)
def test_control_flow(function: Callable[..., Any], reduction: bool) -> None:
    searching = Search(link(compile_system(toys.system(function, toys.arithmetic)), reduction))
    generator = random.Random(1)
    assert sum(random_walk(searching, generator) for _ in range(20)) >= 40


@pytest.mark.parametrize("name", ["slots/steal-time", "vcpu/two-steal-times", "clock/gmem-mmap/steal-time"])
def test_what_only_the_host_runs_is_no_step(name: str) -> None:
    searching = Search(link(compile_system(make_system(DESIGNS["mainline-7.3"], name)), reduction=False))
    generator = random.Random(1)
    assert sum(random_walk(searching, generator) for _ in range(3)) >= 100


@pytest.mark.slow
def test_random_schedules_of_the_catalogue() -> None:
    """At least 10,000 steps, spread over every scenario, over mainline and the series, with and without reductions."""
    generator = random.Random(2026)
    steps = 0
    for number, name in enumerate(DEFAULT_SCENARIOS):
        design = DESIGNS[("mainline-7.3", "rfc-v4", "rfc-v4-fixed", "uaccess-clock")[number % 4]]
        reduction = number % 3 == 0
        searching = Search(link(compile_system(make_system(design, name)), reduction))
        steps += sum(random_walk(searching, generator) for _ in range(6 if reduction else 2))
    assert steps >= 10_000
