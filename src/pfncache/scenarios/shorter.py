# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios that are shorter than a scenario: an actor is missing, or ends early."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pfncache.check.system import Actor, Call, System
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.scenario import Scenario

RETURN_TO_USER = "task_work_run"
"""The function that follows an operation in the list of an actor's calls, and belongs to it."""


@dataclass(frozen=True)
class _Cut:
    """The scenario whose actors make this many operations each."""

    whole: Scenario
    operations: tuple[tuple[str, int], ...]

    def build(self, kernel: type[Vmlinux], defer_setup: bool = False) -> System:
        """Return the system."""
        system = self.whole.build(kernel, defer_setup)
        if defer_setup:
            return system
        kept = dict(self.operations)
        cut = (replace(actor, calls=_first(actor, kept.get(actor.name, 0))) for actor in system.actors)
        return replace(system, actors=tuple(actor for actor in cut if actor.calls), targets=())


def operations_of(system: System) -> dict[str, int]:
    """Return the number of operations of each actor, by name."""
    return {actor.name: len(_operations(actor)) for actor in system.actors}


def shorter(whole: Scenario, system: System, operations: dict[str, int]) -> Iterator[tuple[Scenario, dict[str, int]]]:
    """Yield scenarios with an actor less, then those in which an actor makes an operation less at its end.

    `system` is a system of the whole scenario, and `operations` is how many of its operations each actor makes now. An
    actor that another one interrupts stays. The targets of the scenario are no targets of a shorter one.
    """
    interrupted = {actor.interrupts for actor in system.actors if operations.get(actor.name)}
    some = [name for name, count in operations.items() if count]
    for name in some if len(some) > 1 else ():
        if name not in interrupted:
            yield _cut(whole, operations | {name: 0})
    for name in some:
        if operations[name] > 1:
            yield _cut(whole, operations | {name: operations[name] - 1})


def _cut(whole: Scenario, operations: dict[str, int]) -> tuple[Scenario, dict[str, int]]:
    cut = _Cut(whole, tuple(operations.items()))
    return Scenario(whole.name, whole.hazard, cut.build, whole.memory), operations


def _operations(actor: Actor) -> list[list[Call]]:
    """Return the operations of an actor, each with the return to user space behind it."""
    found: list[list[Call]] = []
    for call in actor.calls:
        if call.function.__name__ == RETURN_TO_USER and found:
            found[-1].append(call)
        else:
            found.append([call])
    return found


def _first(actor: Actor, count: int) -> tuple[Call, ...]:
    return tuple(call for operation in _operations(actor)[:count] for call in operation)
