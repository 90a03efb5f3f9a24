# SPDX-License-Identifier: GPL-2.0-only
"""The shape of a generated scenario: a clock that is updated, operations beside it, and how many of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement, product

from pfncache.check.system import System
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.operations import OPERATIONS
from pfncache.scenarios.world import MemoryKind, World, WorldOptions


@dataclass(frozen=True)
class Shape:
    """A clock on one kind of memory that is updated while operations run, each on a CPU of its own."""

    memory: MemoryKind
    operations: tuple[str, ...]
    updates: int = 1
    rounds: int = 1
    """Repetitions of each operation."""
    pages: int = 3

    @property
    def actors(self) -> int:
        """The number of actors: the vCPU, and one for each operation."""
        return 1 + len(self.operations)

    @property
    def name(self) -> str:
        """The name, from which the shape can be built again."""
        return f"{self.memory}/{'+'.join(self.operations)}/{self.updates}.{self.rounds}.{self.pages}"

    def build(self, kernel: type[Vmlinux], defer_setup: bool = False) -> System:
        """Return the closed system on a kernel."""
        operations = [OPERATIONS[name] for name in self.operations]
        files = 2 if "slot-replace" in self.operations else 1
        slots = 1 + self.rounds * sum(op.slots for op in operations)
        options: WorldOptions = {"pages": self.pages, "slots": slots, "files": files}
        world = World(kernel, self.memory, defer_setup=defer_setup, **options).clock_on().clock_refused()
        update = world.call("run_clock_update", world.vcpu)
        world.actor("vcpu", *(update,) * self.updates)
        for number, operation in enumerate(operations):
            twin = "'" * self.operations[:number].count(operation.name)
            world.actor(operation.name + twin, *operation.calls(world) * self.rounds)
        return world.system()


def shapes(
    actors: int, updates: int, rounds: int, pages: int, memories: Iterable[MemoryKind] = tuple(MemoryKind)
) -> Iterator[Shape]:
    """Yield every shape up to a size, the smaller ones first."""
    sizes = sorted(product(range(1, actors), range(1, updates + 1), range(1, rounds + 1), range(3, pages + 1)), key=sum)
    for beside, times, turns, page_count in sizes:
        for memory in memories:
            names = [op.name for op in OPERATIONS.values() if memory in op.memory]
            for chosen in combinations_with_replacement(names, beside):
                once = [name for name in chosen if OPERATIONS[name].once]
                if len(set(once)) == len(once) and not (once and turns > 1):
                    yield Shape(memory, chosen, times, turns, page_count)
