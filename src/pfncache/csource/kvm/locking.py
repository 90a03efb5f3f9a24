# SPDX-License-Identifier: GPL-2.0-only
"""Tables for kernel/locking/, kernel/rcu/ and include/linux/{bug,cleanup,preempt,rcuwait}.h."""

from __future__ import annotations

from pfncache.csource.tables import CallEntry, GuardEntry, NameEntry, Tables
from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of_caller
from pfncache.lang.report import report
from pfncache.linux.include.linux.sched import current
from pfncache.linux.kernel.locking.spinlock import RwLock

METHOD = "in the model a lock's functions are methods of its record"
INITIALISED = "a record of the model is initialised when it is made"
CONDITION = "the model's takes a description of the condition, and returns nothing"


def _locks() -> dict[str, CallEntry]:
    """Return the entries for functions of locks."""
    methods = {
        "spin_lock": "lock", "spin_unlock": "unlock", "mutex_lock": "lock", "mutex_unlock": "unlock",
        "read_lock_irqsave": "read_lock_irq", "read_unlock_irqrestore": "read_unlock_irq",
        "write_lock_irqsave": "write_lock_irq", "write_unlock_irqrestore": "write_unlock_irq",
        "rcuwait_wake_up": "rcuwait_wake_up",
    }  # fmt: skip
    for kind in ("read", "write"):
        for word in (f"{kind}_lock", f"{kind}_unlock", f"{kind}_lock_irq", f"{kind}_unlock_irq"):
            methods[word] = word
    return {name: CallEntry(f"{{0}}.{method}()", METHOD, "void") for name, method in methods.items()}


TABLES = Tables(
    calls={
        **_locks(),
        "read_trylock": CallEntry("{0}.read_trylock()", METHOD, "bool"),
        "mutex_init": CallEntry("", INITIALISED, "void"),
        "rwlock_init": CallEntry(
            "self.initialise_rwlock({0})", "kvm_gpc_init() does so for a cache that was in use", "void"
        ),
        "srcu_read_lock": CallEntry("{0}.read_lock()", METHOD),
        "srcu_read_unlock": CallEntry("{0}.read_unlock({1})", METHOD, "void"),
        "synchronize_srcu": CallEntry("{0}.synchronize()", METHOD, "void"),
        "WARN_ON_ONCE": CallEntry("self.warned({0:truth}, {0:text})", CONDITION, "bool"),
        "WARN_ON": CallEntry("self.warned({0:truth}, {0:text})", CONDITION, "bool"),
        "WARN_ONCE": CallEntry("self.warned({0:truth}, {0:text})", CONDITION, "bool"),
        "KVM_BUG_ON": CallEntry("self.warned({0:truth}, {0:text})", CONDITION, "bool"),
        "BUG_ON": CallEntry("self.warned({0:truth}, {0:text})", CONDITION, "bool"),
    },
    calls_on={
        ("lockdep_assert_held", "RwLock"): CallEntry(
            "assert_rwlock_held({0})", "the model has one for each lock", "void"
        ),
    },
    names={"current": NameEntry("current()", "the running task is a function of the model", "TaskStruct")},
    guards={
        "mutex": GuardEntry("mutex({0})", "a guard of the model"),
        "spinlock": GuardEntry("spin_lock({0})", "a guard of the model"),
        "read_lock": GuardEntry("read_lock({0})", "a guard of the model"),
        "write_lock": GuardEntry("write_lock({0})", "a guard of the model"),
        "read_lock_irq": GuardEntry("read_lock_irq({0})", "a guard of the model"),
        "write_lock_irq": GuardEntry("write_lock_irq({0})", "a guard of the model"),
        "read_lock_irqsave": GuardEntry("read_lock_irq({0})", "the model has one form that restores interrupts"),
        "srcu": GuardEntry("srcu_read_lock({0})", "a guard of the model"),
    },
)


class LockingHelpers:
    """What macros of Linux do beyond the model's functions of their name."""

    @part_of_caller
    def warned(self, condition: bool, what: str) -> bool:
        """Report a warning if `condition` is true; return it, as the macros do."""
        if condition:
            self.warn(what)
            return True
        return False

    @atomic
    @part_of_caller
    def warn(self, what: str) -> None:
        """Report a warning, in a step of its own, unless it has warned before."""
        if not current().warned_before:
            report("warn-on", what)

    @part_of_caller
    def initialise_rwlock(self, lock: RwLock) -> None:
        """Make a lock free."""
        lock.writer = False
        lock.readers = 0
