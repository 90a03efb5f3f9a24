# SPDX-License-Identifier: GPL-2.0-only
"""The final states of a search, in which every actor has ended, by the values of variables that two systems share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pfncache.check.compile.values import RefKind
from pfncache.check.engine.bfs import Control
from pfncache.check.ir import Variable
from pfncache.check.program.image import COUNTER_END
from pfncache.check.program.layout import Program
from pfncache.check.program.packing import Slot
from pfncache.check.search import Search
from pfncache.check.system import Heap

FinalState = tuple[int | str | None, ...]
"""The values of variables, in the order of their names; a record by its name."""


@dataclass(frozen=True)
class FinalStates:
    """The final states of one search."""

    program: Program
    rows: NDArray[np.uint64]
    """The states, as the engine has them."""

    @classmethod
    def of(cls, searched: Search) -> FinalStates:
        """Return the states of a search in which every actor has ended."""
        found = []
        for _, states in searched.visited.spans(int(searched.control[Control.STATES])):
            ended = np.ones(len(states), dtype=bool)
            for slot in searched.program.actor_slots:
                ended &= _numbers(states, slot) == COUNTER_END
            found.append(states[ended])
        return cls(searched.program, np.concatenate(found))

    def varying(self) -> set[str]:
        """Return the names of the variables that the actors may write."""
        return {name for name, variable in named(self.program.compiled.heap).items() if variable in self.program.slots}

    def values(self, names: Sequence[str]) -> frozenset[FinalState]:
        """Return the values of variables in each final state; of those that no actor writes, the initial value."""
        if not len(self.rows):
            return frozenset()
        known = named(self.program.compiled.heap)
        return frozenset(zip(*(self._column(known[name]) for name in names), strict=True))

    def _column(self, variable: Variable) -> list[int | str | None]:
        heap, kind = self.program.compiled.heap, self.program.kinds.get(variable)
        slot = self.program.slots.get(variable)
        if slot is None:
            return [_initial(heap, variable)] * len(self.rows)
        numbers = (_numbers(self.rows, slot).astype(np.int64) + slot.low).tolist()
        if isinstance(kind, RefKind):
            return [_name(heap.record(kind.record, number)) for number in numbers]
        return list(numbers)


def named(heap: Heap) -> dict[str, Variable]:
    """Return the scalars of each record by their names."""
    found: dict[str, Variable] = {}
    for kind, pool in heap.pools.items():
        for number in range(1, len(pool) + 1):
            for name in kind.fields:
                variable = Variable(kind, number, name)
                text = heap.text(variable)
                found[f"{text} ({kind.__name__} {number})" if text in found else text] = variable
    return found


def shared(first: FinalStates, second: FinalStates) -> list[str]:
    """Return the names of the variables that both systems have, and that an actor writes or that start differently."""
    heaps = [one.program.compiled.heap for one in (first, second)]
    known = [named(heap) for heap in heaps]
    both = known[0].keys() & known[1].keys()
    written = first.varying() | second.varying()
    return sorted(
        name
        for name in both
        if name in written or _initial(heaps[0], known[0][name]) != _initial(heaps[1], known[1][name])
    )


def _initial(heap: Heap, variable: Variable) -> int | str | None:
    value = heap.holder(variable).__dict__[variable.name]
    return int(value) if isinstance(value, int) else _name(value)


def _name(value: object) -> str | None:
    return None if value is None else str(value)


def _numbers(states: NDArray[np.uint64], slot: Slot) -> NDArray[np.uint64]:
    """Return what a slot holds in each state, without the lowest value."""
    found: NDArray[np.uint64] = (states[:, slot.word] >> np.uint64(slot.shift)) & np.uint64((1 << slot.bits) - 1)
    return found
