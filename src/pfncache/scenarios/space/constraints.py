# SPDX-License-Identifier: GPL-2.0-only
"""The combinations of values that no scenario has, each with the reason."""

from __future__ import annotations

from pfncache.scenarios.operations import GMEM, PLAIN
from pfncache.scenarios.space.dimension import Constraint
from pfncache.scenarios.space.operation import SPACE_OPERATIONS
from pfncache.scenarios.space.user import USER
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
        lambda memory, operation: MemoryKind(memory) in SPACE_OPERATIONS[operation].memory,
        "the operation does not exist on that memory, or is another one there",
    ),
    Constraint(
        ("memory", "flags"),
        lambda memory, flags: flags == "none" or MemoryKind(memory) in PLAIN,
        "KVM refuses both flags for a memslot with guest_memfd",
    ),
    Constraint(
        ("user", "flags"),
        lambda user, flags: flags != "read-only" or user == "walk",
        "KVM does not write to a read-only memslot: slots/read-only",
    ),
    Constraint(
        ("operation", "flags"),
        lambda operation, flags: flags != "read-only" or operation not in WRITERS,
        "KVM does not write to a read-only memslot: slots/read-only",
    ),
    Constraint(
        ("memory", "start"),
        lambda memory, start: memory != MemoryKind.PFNMAP or start != "page-gone",
        "a page of a device that was unmapped is not faulted in again",
    ),
    Constraint(
        ("context", "updates"),
        lambda context, updates: context != "two-tasks" or updates == "1",
        "three actors that repeat what they do pass a search's limit",
    ),
    Constraint(
        ("context", "rounds"),
        lambda context, rounds: context != "two-tasks" or rounds == "1",
        "three actors that repeat what they do pass a search's limit",
    ),
    Constraint(
        ("start", "memslots", "pages"),
        lambda start, memslots, pages: start != "elsewhere" or memslots != "one" or pages != "1",
        "there is no other page",
    ),
    Constraint(
        ("start", "memslots", "place"),
        lambda start, memslots, place: start != "elsewhere" or place == SHARED_PAGE.get(memslots, place),
        "the page is that which both memslots have, so that its user address stays the same",
    ),
    Constraint(
        ("memslots", "position"),
        lambda memslots, position: position == "first" or memslots != "one",
        "there is one memslot",
    ),
    Constraint(
        ("memslots", "pages"),
        lambda memslots, pages: memslots != "overlapping" or pages != "1",
        "of one page, that is two memslots of one address",
    ),
    Constraint(
        ("memslots", "memory"),
        lambda memslots, memory: (
            memslots not in ("same-address", "overlapping") or not MemoryKind(memory).is_mapped_gmem
        ),
        "one of the memslots would have another page than user space maps: gmem/split-brain",
    ),
    Constraint(
        ("memory", "pages"),
        lambda memory, pages: memory != MemoryKind.PFNMAP or pages != "3",
        "the model has two pages without struct page",
    ),
    Constraint(
        ("pages", "place"),
        lambda pages, place: place == "first-page" or pages != "1",
        "the memslot has one page",
    ),
    Constraint(
        ("place", "user"),
        lambda place, user: place != "two-pages" or USER[user].crosses_pages,
        "KVM refuses such a structure that crosses pages",
    ),
    Constraint(
        ("memory", "binding"),
        lambda memory, binding: (
            binding == "start" or MemoryKind(memory) in GMEM or (memory == MemoryKind.MEMFD and binding == "offset")
        ),
        "the memory is of no file, or of one that is mapped in its order",
    ),
    Constraint(
        ("memslots", "binding"),
        lambda memslots, binding: binding in ("start", "offset") or memslots != "one",
        "there is one memslot",
    ),
    Constraint(
        ("user", "context"),
        lambda user, context: {
            "task": USER[user].in_task,
            "two-tasks": USER[user].in_task,
            "kthread": USER[user].in_kthread,
            "irq": USER[user].in_interrupt,
            "irq-here": USER[user].in_interrupt,
        }[context],
        "that path is not taken there",
    ),
    Constraint(
        ("user", "context"),
        lambda user, context: user != "vcpu-map" or context == "task",
        "a vCPU that runs L2 does not enter it again",
    ),
    Constraint(
        ("start", "context"),
        lambda start, context: start in ("valid", "page-gone") or context in ("task", "two-tasks"),
        "a task of the guest or of the VMM names the place",
    ),
    Constraint(
        ("user", "start"),
        lambda user, start: (
            (start != "never-used" or USER[user].can_be_named)
            and (start != "turned-off" or USER[user].can_be_turned_off)
        ),
        "the guest does not name a place for that, or the model has no step for it",
    ),
    Constraint(
        ("user", "memory"),
        lambda user, memory: user not in BY_USER_ADDRESS or memory != MemoryKind.GMEM_UNMAPPED,
        "nothing is mapped at the user address, so that the path always fails",
    ),
    Constraint(
        ("operation", "rounds"),
        lambda operation, rounds: rounds == "1" or not SPACE_OPERATIONS[operation].once,
        "the operation cannot be repeated",
    ),
    Constraint(
        ("operation", "user"),
        lambda operation, user: not operation.startswith("clock-") or user == "clock",
        "the operation is one of kvm-clock",
    ),
    Constraint(
        ("operation", "context"),
        lambda operation, context: operation != "merge" or context != "two-tasks",
        "KSM beside two threads passes a search's limit",
    ),
    Constraint(
        ("operation", "user"),
        lambda operation, user: operation != "steal-time" or user != "runstate",
        "a vCPU with a runstate area has no steal time",
    ),
)
