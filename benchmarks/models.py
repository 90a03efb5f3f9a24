# SPDX-License-Identifier: GPL-2.0-only
"""What is searched: a clock that is updated while more and more goes on beside it."""

from __future__ import annotations

from collections.abc import Sequence

from pfncache.check.system import System
from pfncache.designs.catalogue import mainline_7_3
from pfncache.properties import PROBES
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.scenarios.operations import OPERATIONS
from pfncache.scenarios.world import MemoryKind, World

BESIDE = ("munmap", "zap-range", "slot-log")
"""One actor each, in the order in which they join. All three make 19,975,939 states."""


def crowd(names: Sequence[str] = BESIDE, updates: int = 1) -> System:
    """A clock that is updated beside some operations, on the newest mainline."""
    slots = 1 + sum(OPERATIONS[name].slots for name in names)
    world = World(mainline_7_3.kernel(*PROBES), MemoryKind.ANON, slots=slots).clock_on()
    update = world.call("run_clock_update", world.vcpu)
    world.actor("vcpu", *(update,) * updates)
    for name in names:
        world.actor(name, *OPERATIONS[name].calls(world))
    return world.system()


def spread(count: int) -> list[str]:
    """Return so many scenarios of the newest mainline, spread evenly over the default catalogue."""
    names = [name for name, scenario in DEFAULT_SCENARIOS.items() if mainline_7_3.has(scenario.memory)]
    return names[:: len(names) // count][:count]
