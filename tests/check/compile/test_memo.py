# SPDX-License-Identifier: GPL-2.0-only
"""Code that is used again is the code that would have been compiled, and is not used where that would be other code."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from pfncache.check.compile import compiler
from pfncache.check.compile.compiler import compile_system
from pfncache.check.compile.function_code import FunctionCode
from pfncache.check.compile.memo import Memo
from pfncache.check.compile.unit import Unit
from pfncache.check.program.layout import Program, link
from pfncache.check.search import Search
from pfncache.check.system import Actor, Call, System
from pfncache.designs.catalogue import DESIGNS, mainline_7_3
from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.kvm.x86 import X86
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.scenarios.shape import Shape
from pfncache.scenarios.world import MemoryKind
from pfncache.verify.systems import make_kernel_system, make_system
from tests.check import toys
from tests.check.toys import Box, system

DESIGN_NAMES = ("mainline-7.3", "rfc-v2", "rfc-v4-fixed", "uaccess-clock")
SCENARIO_NAMES = ("clock/anon/munmap", "clock/gmem-mmap/slot-replace", "gmem/recreate-then-punch", "xen/irq-user")
SHAPES = (
    Shape(MemoryKind.ANON, ("munmap", "zap-range")),
    Shape(MemoryKind.ANON, ("munmap", "munmap"), updates=2),
    Shape(MemoryKind.ANON, ("steal-time", "munmap")),
    Shape(MemoryKind.ANON, ("munmap", "slot-replace"), pages=4),
    Shape(MemoryKind.GMEM_MMAP, ("punch", "slot-delete"), rounds=2),
)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Call, ...]]:
    """The calls of every actor that is compiled from now on."""
    calls: list[tuple[Call, ...]] = []
    original = compiler._compile_calls

    def counting(unit: Unit, actor: Actor | Call) -> FunctionCode:
        calls.append(actor.calls if isinstance(actor, Actor) else (actor,))
        return original(unit, actor)

    monkeypatch.setattr(compiler, "_compile_calls", counting)
    return calls


def read(program: Program) -> tuple[object, ...]:
    """All that a program is, in values that can be compared."""
    heap = program.compiled.heap
    return (
        program.image.tolist(), program.initial.tolist(), program.words, program.bits, program.loops.tolist(),
        [(heap.text(v), s) for v, s in program.slots.items()], program.actor_slots, program.events, program.failures,
        program.acquisitions, list(program.kinds.items()), program.compiled.used,
        [heap.text(heap.variable(r, n)) for k, p in heap.pools.items() for r in p for n in k.fields
         if program.compiled.written.varies(heap.variable(r, n))],
    )  # fmt: skip


def builders() -> list[Callable[[], System]]:
    """Systems that have much in common, and differ in designs, memory, operations, sizes and numbers."""
    found: list[Callable[[], System]] = []
    for name in DESIGN_NAMES:
        design = DESIGNS[name]
        found += [lambda d=design, s=s: make_system(d, s) for s in SCENARIO_NAMES if design.has(s.split("/")[1])]  # type: ignore[misc]
        found += [lambda d=design, s=s: make_kernel_system(d, s.build) for s in SHAPES if design.has(str(s.memory))]  # type: ignore[misc]
    return found


def both_ways(system: System, memo: Memo | None = None) -> list[tuple[object, ...]]:
    """The programs of a system with and without reductions."""
    code = compile_system(system, memo)
    return [read(link(code, reduction)) for reduction in (True, False)]


@pytest.mark.slow
def test_programs_are_the_same_in_any_order(compiled: list[tuple[Call, ...]]) -> None:
    builds = builders()
    fresh = [both_ways(build()) for build in builds]
    alone = len(compiled)
    order = list(range(len(builds)))
    for seed in (1, 2):
        random.Random(seed).shuffle(order)
        memo = Memo()
        compiled.clear()
        for number in order:
            assert both_ways(builds[number](), memo) == fresh[number]
        assert len(compiled) < alone * 0.8


def test_the_same_system_is_not_compiled_again(compiled: list[tuple[Call, ...]]) -> None:
    memo = Memo()
    first = link(compile_system(make_system(DESIGNS["mainline-7.3"], "clock/anon/munmap"), memo))
    compiled.clear()
    again = link(compile_system(make_system(DESIGNS["mainline-7.3"], "clock/anon/munmap"), memo))
    assert compiled == []
    assert read(again) == read(first)
    assert again.compiled.heap is not first.compiled.heap


def test_a_memo_that_is_full_forgets(monkeypatch: pytest.MonkeyPatch, compiled: list[tuple[Call, ...]]) -> None:
    monkeypatch.setattr("pfncache.check.compile.memo.MAX_FUNCTIONS", 2)
    memo = Memo()
    for _ in range(2):
        for function in (toys.increment, look, idle):
            compile_system(system(function), memo)
    assert len(compiled) == 8  # increment() twice each time: it reads what it then writes


@pytest.mark.parametrize(("rows", "is_kept"), [(0, False), (1_000, True)])
def test_code_is_kept_as_long_as_there_is_room(monkeypatch: pytest.MonkeyPatch, rows: int, is_kept: bool) -> None:
    """What goes is made again, as it was."""
    monkeypatch.setattr("pfncache.check.compile.memo.MAX_CODE_ROWS", rows)
    memo = Memo()
    first, _, again = (compile_system(system(function), memo).codes[0] for function in (store, idle, store))
    assert (again is first) == is_kept
    assert again.rows.tolist() == first.rows.tolist()


# What the code depends on


def look(box: Box) -> None:
    if box.flag:
        box.count = 1


def store(box: Box) -> None:
    box.count = 1


def idle(box: Box) -> None:
    assert box is not None


def raise_flag(box: Box) -> None:
    box.flag = True


def both(first: System, second: System) -> tuple[int, int]:
    """How many states two systems have, the second compiled with what the first one left, as it would be alone."""
    memo = Memo()
    programs = [link(compile_system(s, memo), reduction=False) for s in (first, second)]
    assert read(programs[1]) == read(link(compile_system(second), reduction=False))
    one, other = (Search(program).run().states for program in programs)
    return one, other


def test_a_constant_that_another_actor_writes() -> None:
    assert both(system(look, idle), system(look, raise_flag)) == (1, 6)


def test_a_constant_with_another_value() -> None:
    other = system(look, idle)
    other.actors[0].calls[0].args[0].flag = True
    assert both(system(look, idle), other) == (1, 2)


def test_other_arguments() -> None:
    def with_argument(value: int) -> System:
        plain = system(add)
        (actor,) = plain.actors
        calls = (Call(add, (*actor.calls[0].args, value)),)
        return System((Actor(actor.name, actor.task, calls),), plain.kernel)

    assert both(with_argument(0), with_argument(1)) == (1, 3)


def test_an_actor_beside_an_endless_one() -> None:
    plain = system(look, raise_flag)
    endless = replace(plain, actors=(plain.actors[0], replace(plain.actors[1], endless=True)))
    assert both(plain, endless) == (6, 6)


def add(box: Box, value: int) -> None:
    if value:
        box.count += value


ROUNDS = 0


def global_rounds(box: Box) -> None:
    for _ in range(ROUNDS):
        box.count += 1


def test_a_global_with_another_value(monkeypatch: pytest.MonkeyPatch) -> None:
    memo = Memo()
    states = []
    for rounds in (0, 1):
        monkeypatch.setattr("tests.check.compile.test_memo.ROUNDS", rounds)
        states.append(Search(link(compile_system(system(global_rounds), memo), reduction=False)).run().states)
    assert states == [1, 3]


def adding(value: int) -> Callable[[Box], None]:
    def add_it(box: Box) -> None:
        if value:
            box.count += value

    return add_it


def test_a_function_that_differs_in_what_is_around_it() -> None:
    assert both(system(adding(0)), system(adding(1))) == (1, 3)


def updates(rounds: int) -> type[Patch]:
    """A user's patch, as a factory makes it."""

    class Updates(Patch, X86):
        def kvm_guest_time_update(self, vcpu: KvmVcpu) -> None:
            for _ in range(rounds):
                super().kvm_guest_time_update(vcpu)

    return Updates


@pytest.mark.slow
def test_designs_of_a_user(compiled: list[tuple[Call, ...]]) -> None:
    memo = Memo()
    designs = [mainline_7_3, mainline_7_3 + [updates(1)], mainline_7_3 + [updates(2)], mainline_7_3 + [updates(1)]]
    for design in designs:
        fresh = link(compile_system(make_system(design, "clock/anon/munmap")))
        compiled.clear()
        assert read(link(compile_system(make_system(design, "clock/anon/munmap"), memo))) == read(fresh)
    assert compiled == []
