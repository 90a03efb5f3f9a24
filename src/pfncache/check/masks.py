# SPDX-License-Identifier: GPL-2.0-only
"""Which bits of a state matter where: what a step touches, what all that follows it may touch, what is still read.

Each is a number with a bit for each bit of the state. They are found on the code alone: a variable that may be read
counts as read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pfncache.check.analysis import successors
from pfncache.check.ir import Code, Op

Bits = Callable[[object], int]
"""The bits of the variables that an operand (a variable or a column) may mean."""


@dataclass(frozen=True)
class Masks:
    """Of a place where an actor stands between two transitions."""

    live: int
    """Bits that the actor may read before it overwrites them."""
    reads: int = 0
    """Bits that its next transition may read, or wait for."""
    writes: int = 0
    later_reads: int = 0
    """Bits that this transition or any after it may read."""
    later_writes: int = 0

    def touches(self, more: int) -> tuple[int, int, int, int]:
        """All masks but `live`, with `more` bits that every transition writes."""
        return self.reads, self.writes | more, self.later_reads, self.later_writes | more


def masks_of(code: Code, visible: set[int], bits: Bits, live_at_end: int) -> dict[int, Masks]:
    """The masks at each of the `visible` events, by instruction index, and at -1 those of the code's start.

    `live_at_end` is what is read when every actor is done.
    """
    follow = successors(code)
    reads = [bits(i.args[1]) if i.op in (Op.LOAD, Op.LOADX) else 0 for i in code.instrs]
    writes = [bits(i.args[0]) if i.op in (Op.STORE, Op.STOREX) else 0 for i in code.instrs]
    kills = [writes[n] if i.op == Op.STORE else 0 for n, i in enumerate(code.instrs)]
    ends = [live_at_end if i.op == Op.HALT else 0 for i in code.instrs]
    stops = [n in visible for n in range(len(code.instrs))]
    never = [False] * len(stops)
    nothing = [0] * len(stops)
    live = _backwards(follow, reads, kills, ends, never)
    step_reads, step_writes = (_backwards(follow, touched, nothing, nothing, stops) for touched in (reads, writes))
    later_reads, later_writes = (_backwards(follow, touched, nothing, nothing, never) for touched in (reads, writes))
    found = {}
    for i in (-1, *(n for n, stop in enumerate(stops) if stop)):
        after = i + 1
        found[i] = Masks(
            live[after], step_reads[after], step_writes[after], later_reads[after], later_writes[after]
        )  # fmt: skip
    return found


def _backwards(
    follow: list[tuple[int, ...]], gains: list[int], kills: list[int], ends: list[int], stops: list[bool]
) -> list[int]:
    """Before each instruction: its gains, and what is there after it without what it kills; nothing crosses a stop."""
    found = [0] * len(gains)
    changed = True
    while changed:
        changed = False
        for i in range(len(gains) - 1, -1, -1):
            if stops[i]:
                continue
            after = ends[i]
            for j in follow[i]:
                after |= found[j]
            before = gains[i] | (after & ~kills[i])
            if before != found[i]:
                found[i] = before
                changed = True
    return found
