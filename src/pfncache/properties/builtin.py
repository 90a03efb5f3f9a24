# SPDX-License-Identifier: GPL-2.0-only
"""Properties that the primitives of the model check, as KASAN and lockdep do, and those that the search checks."""

from __future__ import annotations

from pfncache.properties.property import Property

BUILTIN = (
    Property("use-after-free", "a page, memslot, file or binding is used after it was freed"),
    Property(
        "unmapped-access", "the kernel accesses an address that is not mapped: no direct map, or an unmapped alias"
    ),
    Property("null-dereference", "a NULL pointer is dereferenced"),
    Property("wild-pointer", "a pointer to one type of record is dereferenced as another type"),
    Property("uninitialised-read", "a local variable of C is read before it has a value"),
    Property("out-of-bounds", "an array is accessed outside its bounds"),
    Property(
        "list-corruption",
        "a list is changed by two tasks at a time, walked while it changes, or an entry is added or removed twice",
    ),
    Property("bad-page", "a page is freed while user page tables map it"),
    Property("lock-imbalance", "a lock is released that is not held, or held when all is done"),
    Property("lock-assertion", "a lock that a function asserts to be held is not held"),
    Property("warn-on", "the condition of a WARN_ON or KVM_BUG_ON in KVM is true"),
    Property("sleeping-in-atomic", "a task sleeps with a spinlock held, or in hard-irq context"),
    Property("srcu-unprotected", "a pointer that SRCU protects is dereferenced outside a read-side critical section"),
    Property("deadlock", "no task can proceed, and some task has not ended"),
    Property("lock-order", "the order in which locks, SRCU sections and counters are acquired has a cycle"),
    Property("livelock", "an operation may never end under a strongly fair scheduler (starvation)"),
)
