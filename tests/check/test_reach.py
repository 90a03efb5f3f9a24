# SPDX-License-Identifier: GPL-2.0-only
"""Targets: which ones a search reaches, and that it searches the same states as without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.source import CompileError
from pfncache.check.program.layout import link
from pfncache.check.search import Search
from pfncache.check.system import System
from pfncache.lang.reached import reached
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.kernel.locking.mutex import mutex
from tests.check.toys import Box, Thing, system, whole

DONE = "it succeeded"


def nothing(shared: Box) -> None:
    shared.count += 1


def early(shared: Box) -> None:
    if shared.count == 0:
        return
    shared.count = 2


def zero(shared: Box) -> Errno:
    shared.count += 1
    return 0


def positive(shared: Box) -> int:
    return shared.count + 1


def negative(shared: Box) -> Errno:
    shared.count += 1
    return -1


def negative_number(shared: Box) -> Errno:
    return shared.count - 1


def yes(shared: Box) -> bool:
    return shared.count == 0


def no(shared: Box) -> bool:
    return shared.count != 0


def false(shared: Box) -> bool:
    return False


def null(shared: Box) -> Thing | None:
    return shared.thing


def inner(shared: Box) -> Errno:
    with mutex(shared.lock):
        shared.count += 1
        return -1 if shared.flag else 0


def of_a_call(shared: Box) -> Errno:
    with mutex(shared.other):
        return inner(shared)


def of_a_failed_call(shared: Box) -> Errno:
    shared.flag = True
    return inner(shared)


def of_a_local(shared: Box) -> Errno:
    ret = inner(shared)
    if ret == 0:
        ret = -1
    return ret


def overwritten(shared: Box) -> Errno:
    """Ask another function whose result says nothing of this one's."""
    if inner(shared) == 0:
        return -1
    return 0


def maximum(shared: Box) -> int:
    return max(inner(shared), -1)


def with_target(made: System) -> System:
    """The system with a target for the operations of its first actor."""
    first, *others = made.actors
    calls = tuple(replace(call, target=DONE) for call in first.calls)
    return replace(made, actors=(replace(first, calls=calls), *others))


def whether_reached(made: System) -> bool:
    """Whether the searches of a system, reduced and whole, reach its target."""
    reduced = Search(link(compile_system(made)))
    assert reduced.run().verdict == "holds"
    searching, result = whole(made)
    assert (result.verdict, searching.reached) == ("holds", reduced.reached)
    return DONE in reduced.reached


@pytest.mark.parametrize("function", [nothing, early, zero, positive, yes, of_a_call, maximum])
def test_an_operation_that_succeeds(function: Callable[..., Any]) -> None:
    assert whether_reached(with_target(system(function)))


@pytest.mark.parametrize(
    "function", [negative, negative_number, no, false, null, of_a_failed_call, of_a_local, overwritten]
)
def test_an_operation_that_fails(function: Callable[..., Any]) -> None:
    assert not whether_reached(with_target(system(function)))


@pytest.mark.parametrize(("other", "expected"), [(nothing, True), (zero, True), (no, False)])
def test_success_depends_on_another_actor(other: Callable[..., Any], expected: bool) -> None:
    """positive count: only after the other one's increment."""

    def counted(shared: Box) -> bool:
        return shared.count > 0

    assert whether_reached(with_target(system(counted, other))) is expected


def test_a_repeated_operation() -> None:
    first = system(nothing).actors[0]
    made = with_target(system(nothing))
    made = replace(made, actors=(replace(first, calls=made.actors[0].calls * 3),))
    assert whether_reached(made)


def test_an_endless_operation() -> None:
    def again(shared: Box) -> Errno:
        shared.flag = not shared.flag
        return 0

    assert whether_reached(with_target(system(again, endless=(0,))))


def marks(shared: Box) -> None:
    seen = shared.count
    reached("always was reached")
    reached("seen was reached", seen != 0)
    reached("unseen was reached", condition=seen > 1)


def test_marks_of_a_function() -> None:
    searching = Search(link(compile_system(system(marks, nothing))))
    searching.run()
    assert searching.program.targets == ["always was reached", "seen was reached", "unseen was reached"]
    assert searching.reached == {"always was reached", "seen was reached"}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("function", [of_a_call, of_a_local, zero, yes, nothing])
def test_a_target_changes_no_state(function: Callable[..., Any], threads: int) -> None:
    plain = system(function, of_a_call, early)
    found = []
    for made in (plain, with_target(plain)):
        result = Search(link(compile_system(made)), threads=threads).run()
        found.append((result.states, result.transitions))
    assert found[0] == found[1]


def test_a_target_is_a_constant() -> None:
    def computed(shared: Box) -> None:
        reached(shared.thing)  # type: ignore[arg-type]

    with pytest.raises(CompileError, match="reached\\(\\) requires the target as a string constant"):
        compile_system(system(computed))
