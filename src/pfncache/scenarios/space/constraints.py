# SPDX-License-Identifier: GPL-2.0-only
"""The combinations of values that no scenario has, each with the reason."""

from __future__ import annotations

from pfncache.scenarios.operations import GMEM, PLAIN
from pfncache.scenarios.space.dimension import Constraint
from pfncache.scenarios.world import MemoryKind

BY_USER_ADDRESS = ("steal-time", "walk", "emulate", "shared-info-hva", "vcpu-map")
"""Users that reach a page by its user address in every kernel."""
SHARED_PAGE = {"same-address": "first-page", "overlapping": "last-page"}
"""By relation of two memslots: the place in the memslot of the structure whose user page the other one has too."""
WRITERS = ("guest-access", "steal-time", "emulate")
"""Operations that write to guest memory and do nothing else."""

CONSTRAINTS = (
    Constraint(
        ("memory", "operation"),
        lambda memory, operation: MemoryKind(memory.name) in operation.memory,
        "the operation does not exist on that memory, or is another one there",
    ),
    Constraint(
        ("memory", "flags"),
        lambda memory, flags: flags.name == "none" or MemoryKind(memory.name) in PLAIN,
        "KVM refuses both flags for a memslot with guest_memfd",
    ),
    Constraint(
        ("user", "flags"),
        lambda user, flags: flags.name != "read-only" or user.name == "walk",
        "KVM does not write to a read-only memslot: slots/read-only",
    ),
    Constraint(
        ("operation", "flags"),
        lambda operation, flags: flags.name != "read-only" or operation.name not in WRITERS,
        "KVM does not write to a read-only memslot: slots/read-only",
    ),
    Constraint(
        ("memory", "start"),
        lambda memory, start: memory.name != MemoryKind.PFNMAP or start.name != "page-gone",
        "a page of a device that was unmapped is not faulted in again",
    ),
    Constraint(
        ("context", "updates"),
        lambda context, updates: context.name != "two-tasks" or updates.name == "1",
        "three actors that repeat what they do pass a search's limit",
    ),
    Constraint(
        ("context", "rounds"),
        lambda context, rounds: context.name != "two-tasks" or rounds.name == "1",
        "three actors that repeat what they do pass a search's limit",
    ),
    Constraint(
        ("start", "memslots", "pages"),
        lambda start, memslots, pages: start.name != "elsewhere" or memslots.name != "one" or pages.name != "1",
        "there is no other page",
    ),
    Constraint(
        ("start", "memslots", "place"),
        lambda start, memslots, place: (
            start.name != "elsewhere" or place.name == SHARED_PAGE.get(memslots.name, place.name)
        ),
        "the page is that which both memslots have, so that its user address stays the same",
    ),
    Constraint(
        ("memslots", "position"),
        lambda memslots, position: position.name == "first" or memslots.name != "one",
        "there is one memslot",
    ),
    Constraint(
        ("memslots", "pages"),
        lambda memslots, pages: memslots.name != "overlapping" or pages.name != "1",
        "of one page, that is two memslots of one address",
    ),
    Constraint(
        ("memslots", "memory"),
        lambda memslots, memory: (
            memslots.name not in ("same-address", "overlapping") or not MemoryKind(memory.name).is_mapped_gmem
        ),
        "one of the memslots would have another page than user space maps: gmem/split-brain",
    ),
    Constraint(
        ("memory", "pages"),
        lambda memory, pages: memory.name != MemoryKind.PFNMAP or pages.name != "3",
        "the model has two pages without struct page",
    ),
    Constraint(
        ("pages", "place"),
        lambda pages, place: place.name == "first-page" or pages.name != "1",
        "the memslot has one page",
    ),
    Constraint(
        ("place", "user"),
        lambda place, user: place.name != "two-pages" or user.crosses_pages,
        "KVM refuses such a structure that crosses pages",
    ),
    Constraint(
        ("memory", "binding"),
        lambda memory, binding: (
            binding.name == "start"
            or MemoryKind(memory.name) in GMEM
            or (memory.name == MemoryKind.MEMFD and binding.name == "offset")
        ),
        "the memory is of no file, or of one that is mapped in its order",
    ),
    Constraint(
        ("memslots", "binding"),
        lambda memslots, binding: binding.name in ("start", "offset") or memslots.name != "one",
        "there is one memslot",
    ),
    Constraint(
        ("user", "context"),
        lambda user, context: {
            "task": user.in_task,
            "two-tasks": user.in_task,
            "kthread": user.in_kthread,
            "irq": user.in_interrupt,
            "irq-here": user.in_interrupt,
        }[context.name],
        "that path is not taken there",
    ),
    Constraint(
        ("user", "context"),
        lambda user, context: user.name != "vcpu-map" or context.name == "task",
        "a vCPU that runs L2 does not enter it again",
    ),
    Constraint(
        ("start", "context"),
        lambda start, context: start.name in ("valid", "page-gone") or context.name in ("task", "two-tasks"),
        "a task of the guest or of the VMM names the place",
    ),
    Constraint(
        ("user", "start"),
        lambda user, start: (
            (start.name != "never-used" or user.can_be_named) and (start.name != "turned-off" or user.can_be_turned_off)
        ),
        "the guest does not name a place for that, or the model has no step for it",
    ),
    Constraint(
        ("user", "memory"),
        lambda user, memory: user.name not in BY_USER_ADDRESS or memory.name != MemoryKind.GMEM_UNMAPPED,
        "nothing is mapped at the user address, so that the path always fails",
    ),
    Constraint(
        ("operation", "rounds"),
        lambda operation, rounds: rounds.name == "1" or not operation.once,
        "the operation cannot be repeated",
    ),
    Constraint(
        ("operation", "user"),
        lambda operation, user: not operation.name.startswith("clock-") or user.name == "clock",
        "the operation is one of kvm-clock",
    ),
    Constraint(
        ("operation", "context"),
        lambda operation, context: operation.name != "merge" or context.name != "two-tasks",
        "KSM beside two threads passes a search's limit",
    ),
    Constraint(
        ("operation", "user"),
        lambda operation, user: operation.name != "steal-time" or user.name != "runstate",
        "a vCPU with a runstate area has no steal time",
    ),
)
