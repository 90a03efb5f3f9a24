# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of user page tables that several tasks change at a time, a refresh of the cache among them."""

from __future__ import annotations

from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _clock_without_page(w: World) -> None:
    """Enable the clock and zap its page; add a vCPU that updates it."""
    w.clock_on()
    w.do(w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))


@scenario(pages=4)
def two_faults(w: World) -> None:
    """A refresh and the process fault in one anonymous page."""
    _clock_without_page(w)
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(memory=MemoryKind.MEMFD, pages=4)
def two_faults_of_a_file(w: World) -> None:
    """A refresh and the process fault in one page of a memfd."""
    _clock_without_page(w)
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=4)
def fault_and_unmap(w: World) -> None:
    """A refresh faults in a page while the process unmaps it, and steal time is written there."""
    _clock_without_page(w)
    w.steal_time_on()
    w.actor("steal", w.call("run_steal_time_update", w.vcpu))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(memory=MemoryKind.MEMFD, pages=4)
def fault_and_map(w: World) -> None:
    """A refresh faults in a page while the process maps other memory there, and touches it."""
    _clock_without_page(w)
    w.actor("mmap", w.call("vm_mmap_pgoff", w.mm, w.hva, None, 0))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=4)
def fault_and_mprotect(w: World) -> None:
    """A refresh faults in a page while the process makes it read-only, and touches it."""
    _clock_without_page(w)
    w.actor("mprotect", w.call("do_mprotect_pkey", w.mm, w.hva, False))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(pages=4)
def two_advices(w: World) -> None:
    """A thread zaps a page while another unmaps it and a refresh faults it in."""
    _clock_without_page(w)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario
def migrate_and_fault(w: World) -> None:
    """The page of the clock is moved while the clock is updated and the process touches it."""
    w.clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("compaction", w.call("migrate_pages", w.mm, w.hva))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
