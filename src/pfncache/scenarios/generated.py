# SPDX-License-Identifier: GPL-2.0-only
"""Generated scenarios: each operation, and each pair, on each kind of memory, beside a cache that is in use."""

from __future__ import annotations

from itertools import combinations_with_replacement

from pfncache.scenarios.operations import OPERATIONS
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.shape import Shape
from pfncache.scenarios.world import MemoryKind

ABSENT = {
    MemoryKind.ANON: ("munmap", "mprotect", "mremap", "map-over"),
    MemoryKind.MEMFD: ("memfd-punch", "munmap"),
    MemoryKind.GMEM_MMAP: ("punch", "close"),
    MemoryKind.GMEM_UNMAPPED: ("punch", "close", "slot-replace"),
}
"""By kind of memory: operations that run while the clock, whose page is gone at first, is refreshed."""
UPDATES = 2
"""Clock updates beside a single operation: one that may cache a stale translation, and one that uses it."""


def singles() -> list[Scenario]:
    """Return a scenario for each operation on each kind of memory, beside two updates of the clock."""
    return [
        Scenario(
            f"clock/{memory}/{op.name}",
            f"kvm-clock on {memory} memory is updated while {op.name} runs",
            Shape(memory, (op.name,), UPDATES).build,
            memory=memory,
        )
        for memory in MemoryKind
        for op in OPERATIONS.values()
        if memory in op.memory
    ]


def absent() -> list[Scenario]:
    """Return a scenario for each operation of ABSENT, beside an update of the clock: a lookup may begin first."""
    return [
        Scenario(
            f"absent/{memory}/{name}",
            f"kvm-clock on {memory} memory, whose page is gone, is updated while {name} runs",
            Shape(memory, (name,), absent=True).build,
            memory=memory,
        )
        for memory, names in ABSENT.items()
        for name in names
    ]


def pairs() -> list[Scenario]:
    """Return a scenario for each pair of operations on each kind of memory, beside one update of the clock."""
    return [
        Scenario(
            f"pairs/{memory}/{a.name}+{b.name}",
            f"kvm-clock on {memory} memory is updated while {a.name} and {b.name} run",
            Shape(memory, (a.name, b.name)).build,
            memory=memory,
        )
        for memory in MemoryKind
        for a, b in combinations_with_replacement(OPERATIONS.values(), 2)
        if memory in a.memory and memory in b.memory and not (a is b and a.once)
    ]
