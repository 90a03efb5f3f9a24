# SPDX-License-Identifier: GPL-2.0-only
"""Conflicts: pairs of steps of two actors that access the same scalar, at least one of which writes it."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from pfncache.check.ir import Variable
from pfncache.check.program.image import COUNTER_FIRST_EVENT
from pfncache.check.program.layout import Program
from pfncache.check.program.liveness import live_registers
from pfncache.check.program.locks import Held
from pfncache.check.program.movers import exclude, touches, variables_of


class Place(NamedTuple):
    """Where an actor stands: the step that it takes next."""

    actor: int
    counter: int
    """The program counter."""


class _Access(NamedTuple):
    place: Place
    writes: bool
    held: Held


def conflicts(program: Program) -> set[tuple[Place, Place]]:
    """Return the conflicts of a program without reductions: each step, and one of another actor that comes next.

    Steps are left out that a lock excludes from each other. Some others cannot follow each other either.
    """
    compiled = program.compiled
    accesses: dict[Variable, list[_Access]] = defaultdict(list)
    for actor in range(program.actors):
        code = compiled.codes[actor]
        touched = touches(code)
        if len(program.events[actor]) != COUNTER_FIRST_EVENT + len(live_registers(code)):
            raise ValueError("the program was linked with reductions, which merge steps")
        for counter, event in enumerate(live_registers(code), COUNTER_FIRST_EVENT):
            touch = touched[event]
            written = variables_of(compiled, touch.writes)
            for variable in written | variables_of(compiled, touch.reads):
                accesses[variable].append(_Access(Place(actor, counter), variable in written, touch.held))
    return {
        (one.place, other.place)
        for some in accesses.values()
        for one in some
        for other in some
        if one.place.actor != other.place.actor and (one.writes or other.writes) and not exclude(one.held, other.held)
    }
