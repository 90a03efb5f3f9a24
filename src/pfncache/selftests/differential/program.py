# SPDX-License-Identifier: GPL-2.0-only
"""A program: operations by name, with their arguments. It runs on any machine, and is repeated by its text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pfncache.machines.machine import Machine
from pfncache.selftests.differential.side import Side


class SideCall(NamedTuple):
    """A method of Side, and its arguments."""

    name: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return f"side.do(lambda s: s.{self.name}({', '.join(map(repr, self.arguments))}))"


class SideState(NamedTuple):
    """What an operation returns, and what is in memory then."""

    result: object
    presence: list[tuple[str, list[bool], list[object]]]
    contents: list[object]

    def differs(self, other: SideState) -> str:
        """Name what is not equal; empty if everything is."""
        for what, mine, theirs in zip(("the result", "what is present", "what pages hold"), self, other, strict=True):
            if mine != theirs:
                return what
        return ""


Program = tuple[SideCall, ...]
Guard = Callable[[Side, SideCall], bool]
"""Whether an operation may run in the state that a side has: on the model alone, whose state can be looked at."""


def step(side: Side, operation: SideCall) -> SideState:
    """Run an operation; observe."""
    result = side.do(lambda s: getattr(s, operation.name)(*operation.arguments))
    return SideState(result, side.presence(), side.contents())


def run(machine: Machine, program: Iterable[SideCall], xen: bool) -> list[SideState]:
    """Run a program on a machine, from the start. Returns an observation for each operation."""
    side = Side(machine, xen)
    return [step(side, operation) for operation in program]


def run_guarded(machine: Machine, program: Iterable[SideCall], xen: bool, guard: Guard) -> list[
    tuple[SideCall, SideState]
]:  # fmt: skip
    """Run the operations that their guard permits. Returns them, each with its observation."""
    side = Side(machine, xen)
    return [(operation, step(side, operation)) for operation in program if guard(side, operation)]
