# SPDX-License-Identifier: GPL-2.0-only
"""TLC finds the states and the transitions that we find, and the same verdict."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tlc import Tlc, missing
from pfncache.check.engine.bfs import Control
from pfncache.check.export.tla.module import is_name, to_tla
from pfncache.designs.catalogue import DESIGNS
from pfncache.lang.atomic import atomic, block_until
from pfncache.verify.export import EXPORTED
from pfncache.verify.systems import make_system
from tests.check import toys

needs_tlc = pytest.mark.skipif(bool(missing()), reason=missing())

SCENARIOS = [
    ("mainline-7.3", "clock/anon/munmap"),
    ("no-direct-map", "clock/gmem-ndm/punch"),
    ("mainline-7.3", "slots/dirty-logging"),
    ("mainline-7.3", "xen/expired-timer"),
    ("rfc-v4", "clock/gmem-mmap/allocate"),
    ("rfc-v4-fixed", "clock/gmem-unmapped/punch"),
    ("rfc-v4-fixed", "clock/gmem/make-shared"),
    ("uaccess-clock", "clock/anon/dontneed"),
]


@atomic
def compare(shared: toys.Box) -> None:
    block_until(shared.flag)
    shared.cells[1].value = 1 if 0 < shared.count < 2 else 0


def note(shared: toys.Box) -> None:
    compare(shared)


def throw(shared: toys.Box) -> None:
    toys.roll(shared)
    shared.flag = True


def test_text() -> None:
    """An action for each place, a definition for what paths have in common, the question at the end."""
    search, _ = toys.whole(toys.system(note, throw, at_end=toys.count_is_two))
    assert to_tla(search, "toy", "two actors") == TEXT


TEXT = r"""---- MODULE toy ----
\* two actors
EXTENDS Integers

VARIABLES
  box_count, box_flag,
  cell1_value,
  a0_pc,
  a1_pc,
  failed

box == <<box_count, box_flag>>
cell1 == <<cell1_value>>
a0 == <<a0_pc>>
a1 == <<a1_pc>>
memory == <<box, cell1>>
vars == <<memory, a0, a1, failed>>

Bit(holds) == IF holds THEN 1 ELSE 0

\* Of the bits of two integers, which are all 0 or all -1 in the end.
RECURSIVE And(_, _)
And(a, b) == IF a = b THEN a ELSE IF a = 0 \/ b = 0 THEN 0
             ELSE 2 * And(a \div 2, b \div 2) + (a % 2) * (b % 2)
Or(a, b) == a + b - And(a, b)
Xor(a, b) == a + b - 2 * And(a, b)

Init ==
  /\ box_count = 0
  /\ box_flag = 0
  /\ cell1_value = 0
  /\ a0_pc = 1
  /\ a1_pc = 1
  /\ failed = ""

\* note(): compare(shared)
a0_1 ==
  /\ a0_pc = 1
  /\ box_flag # 0
  /\ LET
       J11(p1) ==
         /\ cell1_value' = p1
         /\ a0_pc' = 0
         /\ UNCHANGED <<box, a1, failed>>
       J10 ==
         J11(0)
     IN
       IF ~(0 < box_count) THEN
         J10
       ELSE IF ~(box_count < 2) THEN
         J10
       ELSE
         J11(1)

\* throw(): toys.roll(shared)
a1_1 ==
  /\ a1_pc = 1
  /\ \E t1 \in 0 .. 2 :
       /\ box_count' = t1
       /\ a1_pc' = 4
       /\ UNCHANGED <<box_flag, cell1, a0, failed>>

\* throw(): shared.flag = True
a1_4 ==
  /\ a1_pc = 4
  /\ box_flag' = 1
  /\ a1_pc' = 0
  /\ UNCHANGED <<box_count, cell1, a0, failed>>

Ended ==
  /\ a0_pc = 0
  /\ a1_pc = 0
  /\ IF box_count # 2 THEN
       /\ failed' = "lost"
       /\ UNCHANGED <<memory, a0, a1>>
     ELSE
       /\ UNCHANGED vars

Next ==
  \/ a0_1
  \/ a1_1
  \/ a1_4
  \/ Ended

Spec == Init /\ [][Next]_vars
NothingFails == failed = ""
====
"""


@atomic
def drain(shared: toys.Box) -> None:
    count = shared.count
    while count > 0:
        count -= 1
    shared.count = count


@atomic
def divide(shared: toys.Box) -> None:
    shared.count = 5 // (2 if shared.count == 0 else 3)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (drain, "a loop within one step cannot be exported to TLA+"),
        (divide, "a division cannot be exported unless the divisor is a positive constant"),
    ],
)
def test_refusals(function: Callable[..., Any], why: str) -> None:
    search, _ = toys.whole(toys.system(function, toys.increment))
    with pytest.raises(NotImplementedError, match=f"^{re.escape(why)}$"):
        to_tla(search, "toy", "two actors")


@needs_tlc
@pytest.mark.slow
@pytest.mark.parametrize(
    ("functions", "error"),
    [
        ((toys.increment_locked, toys.increment_locked), ""),
        ((toys.roll,), ""),
        ((toys.lock_is_free,), ""),  # there is no variable
        ((toys.arithmetic, toys.through_generator), ""),
        ((toys.first_then_other, toys.other_then_first), "Deadlock reached"),
        ((toys.allocate, toys.use, toys.free), "Invariant NothingFails is violated"),
    ],
)
def test_small_systems(functions: tuple[Callable[..., Any], ...], error: str, tmp_path: Path) -> None:
    search, result = toys.whole(toys.system(*functions))
    found = Tlc(to_tla(search, "model", "toy"), tmp_path).run()
    assert found.error == error
    if not error:
        assert (found.states, result.verdict) == (result.states, "holds")


@needs_tlc
@pytest.mark.slow
def test_at_end(tmp_path: Path) -> None:
    """What is asked when all have ended is asked by TLC too."""
    search, result = toys.whole(toys.system(toys.increment, toys.increment, at_end=toys.count_is_two))
    found = Tlc(to_tla(search, "model", "toy"), tmp_path).run()
    assert (found.error, result.property) == ("Invariant NothingFails is violated", "lost")


@needs_tlc
@pytest.mark.slow
def test_interrupt(tmp_path: Path) -> None:
    search, result = toys.whole(toys.system(toys.increment, toys.increment, interrupts=True))
    assert Tlc(to_tla(search, "model", "toy"), tmp_path).run().states == result.states == 11


@needs_tlc
@pytest.mark.slow
@pytest.mark.parametrize(("design", "scenario"), SCENARIOS)
def test_states_and_transitions_agree(design: str, scenario: str, tmp_path: Path) -> None:
    search, result = toys.whole(make_system(DESIGNS[design], scenario, EXPORTED))
    assert result.verdict == "holds"
    found = Tlc(to_tla(search, "model", scenario), tmp_path).run()
    assert (found.error, found.states) == ("", result.states)
    # TLC counts the initial state as generated, and the question at each end is a step to itself.
    assert found.transitions == result.transitions + int(search.control[Control.TERMINAL]) + 1


@pytest.mark.parametrize(
    ("name", "may"), [("model", True), ("clock_2", True), ("2", False), ("a-b", False), ("", False), ("EXTENDS", False)]
)
def test_names_of_modules(name: str, may: bool) -> None:
    assert is_name(name) is may
