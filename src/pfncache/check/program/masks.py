# SPDX-License-Identifier: GPL-2.0-only
"""Bit masks of each place of an actor: live variables, and the accesses of its next and of all later transitions.

A mask has a bit for each bit of the state. Dead variables are cleared with them, and persistent sets found. They are
over-approximations: a variable that may be read counts as read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from operator import or_

from pfncache.check.ir import Code, Column, Flow, Variable
from pfncache.check.ops import LOADS, STORES, Op
from pfncache.check.program.dataflow import backwards, bits_of, successors
from pfncache.check.system import Heap

Bits = Callable[[Variable], int]
"""Returns the bits of the state that hold a variable."""


@dataclass(frozen=True)
class Masks:
    """The masks of a place where an actor stands between two transitions."""

    live: int
    """Live bits: those that the actor may read before it overwrites them."""
    reads: int = 0
    """Bits that its next transition may read, also to find out whether it is enabled."""
    writes: int = 0
    later_reads: int = 0
    """Bits that its next transition or any later one may read."""
    later_writes: int = 0

    def touches(self, more: int) -> tuple[int, int, int, int]:
        """Return all masks but `live`, with `more` bits that every transition writes."""
        return self.reads, self.writes | more, self.later_reads, self.later_writes | more


def masks_of(code: Code, heap: Heap, visible: set[int], bits: Bits, live_at_end: int) -> dict[int, Masks]:
    """Return the masks at each of the `visible` events, by instruction index; those of the entry are at -1.

    `live_at_end` are the bits that the check at the end reads.
    """
    flow = flow_of(code, heap)
    own = [bits(variable) for variable in flow.variables]
    others = live_at_end & ~functools.reduce(or_, own, 0)

    @functools.cache
    def spread(mask: int) -> int:
        """Turn a mask with a bit for each variable of the code into a mask with a bit for each bit of the state."""
        return functools.reduce(or_, (own[n] for n in bits_of(mask)), 0)

    def live(mask: int, kept: int) -> int:
        ends = others if kept >> len(own) else 0
        return spread(mask) | ends | (spread(kept & (1 << len(own)) - 1) & live_at_end)

    barrier = [n in visible for n in range(len(code.instrs))]
    nothing = [0] * len(barrier)
    width = len(own)
    accesses = [read | write << width for read, write in zip(flow.reads, flow.writes, strict=True)]
    nearby = backwards(successors(code), accesses, nothing, nothing, barrier)
    low = (1 << width) - 1
    return {
        i - 1: Masks(
            live=live(flow.live[i], flow.kept[i]),
            reads=spread(nearby[i] & low),
            writes=spread(nearby[i] >> width),
            later_reads=spread(flow.later_reads[i]),
            later_writes=spread(flow.later_writes[i]),
        )
        for i in (0, *(n + 1 for n in sorted(visible)))
    }


def flow_of(code: Code, heap: Heap) -> Flow:
    """Return the accesses of each instruction of a code, and of all that may follow it."""
    columns = dict.fromkeys(i.column for i in code.instrs if i.op in (Op.LOADX, Op.STOREX))
    sizes = tuple(len(heap.variables(column)) for column in columns)
    if sizes in code.flows:
        return code.flows[sizes]
    number: dict[Variable, int] = {}

    @functools.cache
    def touched(operand: Variable | Column) -> int:
        variables = [operand] if isinstance(operand, Variable) else heap.variables(operand)
        return sum(1 << number.setdefault(variable, len(number)) for variable in variables)

    reads = [touched(i.place) if i.op in LOADS else 0 for i in code.instrs]
    writes = [touched(i.place) if i.op in STORES else 0 for i in code.instrs]
    kill = [writes[n] if i.op == Op.STORE else 0 for n, i in enumerate(code.instrs)]
    width = len(number) + 1
    field = (1 << width) - 1
    ends = [field << width if i.op == Op.HALT else 0 for i in code.instrs]
    gen = [read | (read | write << width) << 2 * width for read, write in zip(reads, writes, strict=True)]
    places = [0, *(n + 1 for n, instr in enumerate(code.instrs) if instr.op == Op.EVENT)]
    # one pass for four problems, side by side: live, kept, later reads, later writes
    found = backwards(successors(code), gen, [mask | mask << width for mask in kill], ends, [False] * len(gen))
    code.flows[sizes] = flow = Flow(
        variables=list(number),
        reads=reads,
        writes=writes,
        live={i: found[i] & field for i in places},
        kept={i: found[i] >> width & field for i in places},
        later_reads={i: found[i] >> 2 * width & field for i in places},
        later_writes={i: found[i] >> 3 * width for i in places},
    )
    return flow
