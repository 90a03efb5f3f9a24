# SPDX-License-Identifier: GPL-2.0-only
"""What a memory model sees of a thread: accesses to shared variables, fences and locks, in program order."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class EventKind(StrEnum):
    """Kinds of events."""

    READ = "read"
    WRITE = "write"
    UPDATE = "atomic update"
    FENCE = "fence"
    """A barrier, or a call of RCU."""
    LOCK = "lock"
    UNLOCK = "unlock"
    SRCU_LOCK = "srcu_read_lock"
    SRCU_UNLOCK = "srcu_read_unlock"
    SRCU_SYNC = "synchronize_srcu"


ACCESSES = frozenset({EventKind.READ, EventKind.WRITE, EventKind.UPDATE})


class Order(StrEnum):
    """How an access is ordered, or marked."""

    NONE = ""
    """Of what is no access."""
    PLAIN = "plain"
    ONCE = "once"
    ACQUIRE = "acquire"
    RELEASE = "release"
    RELAXED = "relaxed"
    """Of an atomic update."""
    FULL = "full"
    """Of an atomic update that is a full barrier."""


_SHOWN = {
    (EventKind.READ, Order.PLAIN): "read of {}",
    (EventKind.READ, Order.ONCE): "READ_ONCE({})",
    (EventKind.READ, Order.ACQUIRE): "smp_load_acquire({})",
    (EventKind.WRITE, Order.PLAIN): "write of {}",
    (EventKind.WRITE, Order.ONCE): "WRITE_ONCE({})",
    (EventKind.WRITE, Order.RELEASE): "smp_store_release({})",
    (EventKind.LOCK, Order.NONE): "lock({})",
    (EventKind.UNLOCK, Order.NONE): "unlock({})",
    (EventKind.FENCE, Order.NONE): "{}()",
}


@dataclass(frozen=True)
class MemoryEvent:
    """One event of a thread."""

    kind: EventKind
    name: str
    """A variable or lock of a litmus test; of a fence, its function."""
    order: Order = Order.NONE
    place: str = field(default="", compare=False)
    """File and line of the C."""
    function: str = field(default="", compare=False)
    is_foreign: bool = field(default=False, compare=False)
    """Whether it stands for something in a function that is called, which is not walked into."""

    @property
    def is_access(self) -> bool:
        """Whether it reads or writes a shared variable."""
        return self.kind in ACCESSES

    @property
    def key(self) -> tuple[EventKind, str]:
        """What it does, without its order."""
        return self.kind, self.name

    def __str__(self) -> str:
        shown = _SHOWN.get((self.kind, self.order))
        if shown is not None:
            return shown.format(self.name)
        return f"{self.kind}({self.name}){f', {self.order}' if self.order else ''}"
