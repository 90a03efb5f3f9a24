# SPDX-License-Identifier: GPL-2.0-only
"""Generated scenarios: each operation, and each pair of them, on each kind of memory, beside a cache that is in use."""

from __future__ import annotations

from itertools import combinations_with_replacement

from pfncache.check.system import System
from pfncache.kernel.vmlinux import Vmlinux
from pfncache.scenarios.operations import OPERATIONS, Operation
from pfncache.scenarios.scenario import Scenario
from pfncache.scenarios.world import Memory, World

UPDATES = 2
"""Clock updates beside a single operation: one that may publish something wrong, and one that uses it."""


def _build(kernel: type[Vmlinux], memory: Memory, operations: tuple[Operation, ...], updates: int) -> System:
    files = 2 if any(op.name == "slot-replace" for op in operations) else 1
    slots = 1 + sum(op.slots for op in operations)
    world = World(kernel, memory, slots=slots, files=files).clock_on()
    update = world.call("kvm_vcpu_run_clock_update", world.vcpu)
    world.actor("vcpu", *(update,) * updates)
    for number, operation in enumerate(operations):
        twin = "'" if number and operations[0] is operation else ""
        world.actor(operation.name + twin, *operation.calls(world))
    return world.system()


def singles() -> list[Scenario]:
    """Each operation on each kind of memory, beside two updates of the clock."""
    return [
        Scenario(
            f"clock/{memory}/{op.name}",
            f"kvm-clock on {memory} memory is updated while {op.name} runs",
            lambda k, m=memory, o=op: _build(k, m, (o,), UPDATES),  # type: ignore[misc]
            memory=memory,
        )
        for memory in Memory
        for op in OPERATIONS.values()
        if memory in op.memory
    ]


def pairs() -> list[Scenario]:
    """Each pair of operations on each kind of memory, beside one update of the clock."""
    return [
        Scenario(
            f"pairs/{memory}/{a.name}+{b.name}",
            f"kvm-clock on {memory} memory is updated while {a.name} and {b.name} run",
            lambda k, m=memory, x=a, y=b: _build(k, m, (x, y), 1),  # type: ignore[misc]
            memory=memory,
        )
        for memory in Memory
        for a, b in combinations_with_replacement(OPERATIONS.values(), 2)
        if memory in a.memory and memory in b.memory and not (a is b and a.once)
    ]
