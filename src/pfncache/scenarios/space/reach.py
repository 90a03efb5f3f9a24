# SPDX-License-Identifier: GPL-2.0-only
"""What a scenario of the space need not reach, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from pfncache.linux.include.trace.events.kvm import CACHE_REFRESHED, GUEST_MAPPED
from pfncache.scenarios.space.user import User
from pfncache.scenarios.targets import targets_of
from pfncache.scenarios.world import CLOCK_REFUSED, MemoryKind, World

USERS = ("user", "user'", "timer")
"""Actors that access the structure."""


def excuses(user: User, start: str, world: World) -> Iterator[tuple[str, str]]:
    """Yield each target that a scenario need not reach, and why."""
    reason = _refusal(user, world)
    if reason:
        for target in (*targets_of(actor for actor in world.actors if actor.name in USERS), CACHE_REFRESHED):
            yield target, reason
    if user.name == "guest" and start == "valid":
        yield GUEST_MAPPED, "the guest has it mapped already"


def _refusal(user: User, world: World) -> str:
    """Return why KVM does not access the structure by the path of the user, or nothing."""
    if world.memory.is_private and user.name != "guest":
        return "the memory is private, and KVM must not access it"
    if world.memory in CLOCK_REFUSED and (user.has_cache or user.name == "vcpu-map"):
        return CLOCK_REFUSED[world.memory]
    if world.memory is MemoryKind.PFNMAP and user.name == "vcpu-map":
        return "KVM pins no page without struct page"
    return ""
