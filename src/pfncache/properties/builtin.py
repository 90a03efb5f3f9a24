# SPDX-License-Identifier: GPL-2.0-only
"""Properties that the kernel's own primitives watch, as KASAN and lockdep do, and those of the search."""

from __future__ import annotations

from pfncache.properties.property import Property

SPLATS = (
    Property("use-after-free", "a page, memslot, file or binding is used after it was freed"),
    Property("unmapped-access", "the kernel follows an address that is not mapped: no direct map, or unmapped alias"),
    Property("null-dereference", "a NULL pointer is followed"),
    Property("wild-pointer", "a field is followed as a pointer to what it does not point to"),
    Property("out-of-bounds", "an array is accessed outside its bounds"),
    Property(
        "list-corruption",
        "a list is changed by two at a time, walked while it changes, or an entry added or removed twice",
    ),
    Property("bad-page", "a page is freed although user page tables map it"),
    Property("lock-imbalance", "a lock is released that nobody holds"),
    Property("lock-assertion", "a function runs without a lock that it asserts to be held"),
    Property("warn-on", "a WARN_ON or KVM_BUG_ON of KVM's own is reached"),
    Property("sleeping-in-atomic", "a task sleeps with a spinlock held, or in hard-irq context"),
    Property("srcu-unprotected", "a pointer that SRCU protects is followed outside a read section"),
    Property("deadlock", "nobody can go on, and not everybody is done"),
    Property("lock-order", "locks, SRCU sections and counters that are waited for are taken in an order with a cycle"),
    Property("livelock", "from some state on, an operation can never end, whatever the others do"),
)
