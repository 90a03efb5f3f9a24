# SPDX-License-Identifier: GPL-2.0-only
"""Guided search: what it finds, what it has had, and that it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pfncache.check.compile.compiler import compile_system
from pfncache.check.conflicts import Place, conflicts
from pfncache.check.guided import MOST_PREEMPTIONS, GuidedResult, GuidedSearch
from pfncache.check.program.layout import link
from tests.check import toys

A_SECOND = 30.0
"""Seconds that no search below needs; the number of walks ends each."""


def guided(*functions: Callable[..., Any], walks: int = 60, **options: Any) -> tuple[GuidedSearch, GuidedResult]:
    made = GuidedSearch(link(compile_system(toys.system(*functions, **options)), reduction=False))
    return made, made.run(A_SECOND, walks)


def test_conflicts_are_pairs_of_steps_one_of_which_writes() -> None:
    """Each actor reads, then writes: every pair of a step and one of the other actor, but two reads."""
    program = link(compile_system(toys.system(toys.increment, toys.increment)), reduction=False)
    read, write = 2, 3
    assert conflicts(program) == {
        (Place(a, i), Place(1 - a, j)) for a in (0, 1) for i in (read, write) for j in (read, write) if (i, j) != (2, 2)
    }


def test_what_a_lock_excludes_is_no_conflict() -> None:
    """Under the mutex only the accesses to the mutex itself are left."""
    program = link(compile_system(toys.system(toys.increment_locked, toys.increment_locked)), reduction=False)
    for pair in conflicts(program):
        stacks = [program.events[place.actor][place.counter] for place in pair]
        assert all(event is not None and event.stack[-1].function != "increment_locked" for event in stacks), pair


def test_a_program_with_reductions_is_refused() -> None:
    with pytest.raises(ValueError, match="merge steps"):
        conflicts(link(compile_system(toys.system(toys.increment_locked, toys.increment_locked))))


@pytest.mark.parametrize(
    ("functions", "options", "kinds"),
    [
        ((toys.increment, toys.increment), {"at_end": toys.count_is_two}, {"lost"}),
        ((toys.increment_locked, toys.increment_locked), {"at_end": toys.count_is_two}, set()),
        ((toys.first_then_other, toys.other_then_first), {}, {"deadlock"}),
        ((toys.first_then_other, toys.first_then_other), {}, set()),
        ((toys.allocate, toys.use), {}, set()),
        ((toys.allocate, toys.use, toys.free), {}, {"use-after-free"}),
        ((toys.roll, toys.index_by_count), {}, {"out-of-bounds"}),
        ((toys.wait_for_flag, toys.set_flag), {}, set()),
    ],
)
def test_what_is_found(functions: tuple[Any, ...], options: dict[str, Any], kinds: set[str]) -> None:
    """The kinds that an exhaustive search finds, each with a path that its replay takes."""
    made, result = guided(*functions, **options)
    assert {one.property for one in result.found} == kinds
    exhaustive = {one.property for one in toys.search(*functions, **options)[1].found} - {"lock-order"}
    assert kinds == exhaustive
    for one in result.found:
        replay = toys.replayed(made.search, one)  # raises Divergence where the source takes other steps
        assert one.failure is None or replay.ending is not None
    assert result.walks == 60


def test_every_conflict_is_had() -> None:
    _, result = guided(toys.increment, toys.increment)
    assert (result.conflicts, result.of_conflicts) == (6, 6)
    walks = f"60 random walks with at most {result.preemptions} preemptions, {result.steps} steps"
    assert str(result).endswith(f" s of guided search: {walks}, 6 of 6 pairs of conflicting steps")
    assert 1 <= result.preemptions <= MOST_PREEMPTIONS


def test_without_a_preemption_nothing_is_lost() -> None:
    """The first walk has none: one actor after the other."""
    _, result = guided(toys.increment, toys.increment, at_end=toys.count_is_two, walks=1)
    assert (result.found, result.steps) == ((), 4)


def test_equal_seeds_walk_alike() -> None:
    first, second = (guided(toys.increment, toys.roll, toys.index_by_count)[1] for _ in range(2))
    assert (first.steps, first.conflicts, first.found) == (second.steps, second.conflicts, second.found)
