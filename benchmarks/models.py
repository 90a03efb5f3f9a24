# SPDX-License-Identifier: GPL-2.0-only
"""The models of the benchmarks: a clock update beside one to three other actors."""

from __future__ import annotations

from collections.abc import Sequence

from pfncache.check.system import System
from pfncache.designs.catalogue import mainline_7_3
from pfncache.properties import PROBES
from pfncache.scenarios.operations import OPERATIONS
from pfncache.scenarios.world import Memory, World

BESIDE = ("munmap", "zap-range", "slot-log")
"""Operations of the other actors, in the order in which they are added. With all three: 11,560,783 states."""


def crowd(names: Sequence[str] = BESIDE, updates: int = 1) -> System:
    """Return a system in which a vCPU updates its clock beside an actor per operation, on the newest mainline."""
    slots = 1 + sum(OPERATIONS[name].slots for name in names)
    world = World(mainline_7_3.kernel(*PROBES), Memory.ANON, slots=slots).clock_on()
    update = world.call("run_clock_update", world.vcpu)
    world.actor("vcpu", *(update,) * updates)
    for name in names:
        world.actor(name, *OPERATIONS[name].calls(world))
    return world.system()
