# SPDX-License-Identifier: GPL-2.0-only
"""The shape of a generated scenario: a clock that is updated, operations beside it, and how many of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from math import comb

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
    absent: bool = False
    """The page of the clock is gone when the actors start: a refresh begins before the operation does."""

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
        if self.absent:
            world.do(world.zap())
        update = world.call("run_clock_update", world.vcpu)
        world.actor("vcpu", *(update,) * self.updates)
        for number, operation in enumerate(operations):
            twin = "'" * self.operations[:number].count(operation.name)
            world.actor(operation.name + twin, *operation.calls(world) * self.rounds)
        return world.system()


@dataclass(frozen=True)
class ShapeBounds:
    """The largest of each dimension, and the kinds of memory."""

    actors: int
    updates: int
    rounds: int
    pages: int
    memories: tuple[MemoryKind, ...] = tuple(MemoryKind)

    def shapes(self) -> Iterator[Shape]:
        """Yield every shape within the bounds, the smaller ones first."""
        dimensions = ((1, self.actors - 1), (1, self.updates), (1, self.rounds), (3, self.pages))
        sizes = sorted(product(*(range(low, high + 1) for low, high in dimensions)), key=sum)
        for beside, times, turns, page_count in sizes:
            for memory in self.memories:
                for chosen in combinations_with_replacement(_names(memory), beside):
                    once = [name for name in chosen if OPERATIONS[name].once]
                    if len(set(once)) == len(once) and not (once and turns > 1):
                        yield Shape(memory, chosen, times, turns, page_count)

    def count(self, memory: MemoryKind) -> int:
        """Return the number of shapes on one kind of memory, without making them."""
        names = _names(memory)
        singular = sum(OPERATIONS[name].once for name in names)
        repeatable = len(names) - singular
        sizes = range(1, self.actors)
        with_repetition = sum(_multisets(repeatable, beside) for beside in sizes)
        single = sum(
            comb(singular, once) * _multisets(repeatable, beside - once)
            for beside in sizes
            for once in range(min(singular, beside) + 1)
        )
        return self.updates * (self.pages - 2) * (single + (self.rounds - 1) * with_repetition)


def _names(memory: MemoryKind) -> list[str]:
    """Return the operations that apply to a kind of memory."""
    return [op.name for op in OPERATIONS.values() if memory in op.memory]


def _multisets(kinds: int, size: int) -> int:
    return comb(kinds + size - 1, size) if kinds else int(size == 0)
