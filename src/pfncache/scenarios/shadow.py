# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of shadow paging: KVM reads page tables of L1 under mmu_lock, where it handles no page fault."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT
from pfncache.scenarios import users
from pfncache.scenarios.results import returns
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World, no_caches


def _fault(w: World) -> Call:
    return Call(users.shadow_entry, (w.kernel, w.vcpu, w.gpa))


def _sync(w: World) -> Call:
    return Call(users.sync_shadow, (w.kernel, w.vcpu))


def _change(w: World) -> World:
    """Add another vCPU, which writes to the table."""
    return w.actor("other", Call(users.change_table, (w.kernel, w.vcpu, w.gpa)))


@scenario(caches=no_caches)
def dontneed(w: World) -> None:
    """An entry is shadowed, changed and read again while its page is zapped: what cannot be read is zapped too."""
    w.actor("vcpu", returns(_fault(w), 0, -EAGAIN), returns(_sync(w), 1, 0))
    _change(w).actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(caches=no_caches, slots=2)
def slot_delete(w: World) -> None:
    """An entry is shadowed and read again while the memslot of its page is deleted."""
    w.actor("vcpu", returns(_fault(w), 0, -EAGAIN, -EFAULT), returns(_sync(w), 1, 0))
    _change(w).actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
