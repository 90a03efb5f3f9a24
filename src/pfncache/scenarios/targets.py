# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario has to reach: that each of its operations succeeds, and has its effect."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pfncache.check.system import Actor, Call
from pfncache.linux.include.trace.events.kvm import (
    CACHE_USED,
    CLOCK_WRITTEN,
    CONVERTED,
    GUEST_ENTERED,
    GUEST_MAPPED,
    GUEST_WRITTEN,
    L2_RUN,
)

EFFECTS = {
    "run_clock_update": CLOCK_WRITTEN,
    "run_steal_time_update": GUEST_WRITTEN,
    "run_guest_access": GUEST_MAPPED,
    "run_snp_guest": GUEST_ENTERED,
    "run_l2": L2_RUN,
    "run_runstate_update": CACHE_USED,
    "run_timer_injection": CACHE_USED,
    "run_event_injection": CACHE_USED,
    "kvm_xen_set_evtchn": CACHE_USED,
    "run_has_interrupt": CACHE_USED,
    "run_block": CACHE_USED,
    "timer_irq": CACHE_USED,
    "use_cache": CACHE_USED,
    "set_memory_attributes": CONVERTED,
}
"""By function: the effect of an operation, of which its result says nothing."""


def with_targets(actor: str, calls: Sequence[Call]) -> tuple[Call, ...]:
    """Return the calls of an actor, each with the target that it succeeds; equal calls have one.

    A call that has to fail has none.
    """
    numbers: dict[str, list[Call]] = {}
    found = []
    for call in calls:
        name = inspect.unwrap(call.function).__name__
        alike = numbers.setdefault(name, [])
        if call not in alike:
            alike.append(call)
        number = alike.index(call) + 1
        nth = f" #{number}" if number > 1 else ""
        found.append(replace(call, target="" if must_fail(call) else f"{actor}: {name}(){nth} succeeded"))
    return tuple(found)


def must_fail(call: Call) -> bool:
    """Return whether a call may return nothing but errors."""
    return bool(call.allowed) and max(call.allowed) < 0


def targets_of(actors: Iterable[Actor]) -> tuple[str, ...]:
    """Return what the operations of the actors have to reach."""
    calls = [call for actor in actors for call in actor.calls if not must_fail(call)]
    effects = [EFFECTS[name] for name in (inspect.unwrap(c.function).__name__ for c in calls) if name in EFFECTS]
    return tuple(dict.fromkeys((*(call.target for call in calls if call.target), *effects)))
