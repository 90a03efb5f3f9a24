# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's functions that access or order shared memory, as the memory model's events.

Reader-writer locks and mutexes are locks here, since the memory model has spinlocks alone. Two readers exclude each
other then, which they do not in Linux: a test of two readers must not track their lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pfncache.litmus.event import EventKind, Order

FENCES: Mapping[str, str] = {
    **{
        name: name
        for name in (
            "smp_mb", "smp_rmb", "smp_wmb", "smp_mb__before_atomic", "smp_mb__after_atomic", "smp_mb__after_spinlock",
            "smp_mb__after_unlock_lock", "smp_mb__after_srcu_read_unlock", "barrier", "rcu_read_lock",
            "rcu_read_unlock", "synchronize_rcu",
        )
    },
    "mb": "smp_mb", "rmb": "smp_rmb", "wmb": "smp_wmb", "virt_mb": "smp_mb", "virt_rmb": "smp_rmb",
    "virt_wmb": "smp_wmb", "synchronize_rcu_expedited": "synchronize_rcu",
}  # fmt: skip
"""Functions without an argument, by their names in the kernel: the memory model's."""


class AccessMacro(NamedTuple):
    """A macro or function that accesses the place in one of its arguments."""

    kind: EventKind
    order: Order
    argument: int = 0
    fence_after: str = ""


_RELAXED, _FULL = Order.RELAXED, Order.FULL
ACCESS_MACROS: Mapping[str, AccessMacro] = {
    "READ_ONCE": AccessMacro(EventKind.READ, Order.ONCE),
    "WRITE_ONCE": AccessMacro(EventKind.WRITE, Order.ONCE),
    "smp_load_acquire": AccessMacro(EventKind.READ, Order.ACQUIRE),
    "smp_store_release": AccessMacro(EventKind.WRITE, Order.RELEASE),
    "smp_store_mb": AccessMacro(EventKind.WRITE, Order.ONCE, fence_after="smp_mb"),
    "rcu_dereference": AccessMacro(EventKind.READ, Order.ONCE),
    "rcu_access_pointer": AccessMacro(EventKind.READ, Order.ONCE),
    "srcu_dereference": AccessMacro(EventKind.READ, Order.ONCE),
    "srcu_dereference_check": AccessMacro(EventKind.READ, Order.ONCE),
    "rcu_assign_pointer": AccessMacro(EventKind.WRITE, Order.RELEASE),
    "atomic_read": AccessMacro(EventKind.READ, Order.ONCE),
    "atomic_set": AccessMacro(EventKind.WRITE, Order.ONCE),
    "atomic_inc": AccessMacro(EventKind.UPDATE, _RELAXED),
    "atomic_dec": AccessMacro(EventKind.UPDATE, _RELAXED),
    "test_bit": AccessMacro(EventKind.READ, Order.ONCE, argument=1),
    "set_bit": AccessMacro(EventKind.UPDATE, _RELAXED, argument=1),
    "clear_bit": AccessMacro(EventKind.UPDATE, _RELAXED, argument=1),
    "test_and_set_bit": AccessMacro(EventKind.UPDATE, _FULL, argument=1),
    "test_and_clear_bit": AccessMacro(EventKind.UPDATE, _FULL, argument=1),
    "xchg": AccessMacro(EventKind.UPDATE, _FULL),
    "cmpxchg": AccessMacro(EventKind.UPDATE, _FULL),
    "cmpxchg_relaxed": AccessMacro(EventKind.UPDATE, _RELAXED),
}
_SUFFIXES = ("", "_irq", "_irqsave", "_irqrestore", "_bh")
_LOCKS = ("spin_{}", "raw_spin_{}", "read_{}", "write_{}", "mutex_{}")
LOCKS = {name.format("lock") + suffix for name in _LOCKS for suffix in _SUFFIXES} | {"down_read", "down_write"}
UNLOCKS = {name.format("unlock") + suffix for name in _LOCKS for suffix in _SUFFIXES} | {"up_read", "up_write"}
SRCU: Mapping[str, EventKind] = {
    "srcu_read_lock": EventKind.SRCU_LOCK,
    "srcu_read_unlock": EventKind.SRCU_UNLOCK,
    "synchronize_srcu": EventKind.SRCU_SYNC,
    "synchronize_srcu_expedited": EventKind.SRCU_SYNC,
}
GUARDS = {"spinlock", "spinlock_irq", "spinlock_irqsave", "mutex", "read_lock", "write_lock", "raw_spinlock"}
"""Classes of guard() and scoped_guard() that hold a lock."""
