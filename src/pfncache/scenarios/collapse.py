# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of anonymous memory whose pages khugepaged replaces by a large folio of two pages."""

from __future__ import annotations

from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World


def _two_pages(w: World) -> World:
    """Map anonymous memory behind the slot's first page, which is the second, and touch both."""
    return w.do(
        w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0),
        w.call("do_user_addr_fault", w.mm, w.hva),
        w.call("do_user_addr_fault", w.mm, w.other_hva),
    )


def _collapse(w: World) -> World:
    """Add khugepaged."""
    return w.actor("khugepaged", w.call("collapse_huge_page", w.mm, w.hva), process=False)


@scenario(gfns=2, pages=5)
def clock(w: World) -> None:
    """The pages of the guest are collapsed while the clock in the first is updated."""
    _two_pages(w).clock_on()
    update = w.call("run_clock_update", w.vcpu)
    _collapse(w.actor("vcpu", update, update))


@scenario(gfns=2, pages=5)
def clock_activated(w: World) -> None:
    """The pages of the guest are collapsed while its clock is set up in the second."""
    _two_pages(w)
    w.actor(
        "vcpu",
        w.call("set_msr_system_time", w.vcpu, w.gpa + w.kernel.PAGE_SIZE, True),
        w.call("run_clock_update", w.vcpu),
    )
    _collapse(w)


@scenario(gfns=2, pages=5)
def clock_and_touch(w: World) -> None:
    """The pages of the guest are collapsed while one is zapped and the clock is updated there."""
    _two_pages(w).clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
    _collapse(w)


@scenario(gfns=2, pages=5)
def clock_and_migrate(w: World) -> None:
    """The page of the clock is moved while khugepaged collapses it."""
    _two_pages(w).clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("compaction", w.call("migrate_pages", w.mm, w.hva), process=False)
    _collapse(w)


@scenario(gfns=2, pages=5)
def guest(w: World) -> None:
    """The pages of the guest are collapsed while it accesses both, and user space touches one."""
    _two_pages(w)
    first = w.call("run_guest_access", w.vcpu, 0, False)
    w.do(first)
    w.actor("guest", first, w.call("run_guest_access", w.vcpu, w.kernel.PAGE_SIZE, False))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.other_hva))
    _collapse(w)


@scenario(gfns=2, pages=5, log_dirty=True)
def steal_time(w: World) -> None:
    """The pages of the guest are collapsed while steal time is written through the user address of one."""
    _two_pages(w)
    w.steal_time_on()
    w.actor("vcpu", w.call("run_steal_time_update", w.vcpu), w.call("run_sched_out", w.vcpu))
    _collapse(w)


@scenario(gfns=2, pages=4)
def without_memory(w: World) -> None:
    """Of the two pages that khugepaged needs it finds one, unless the process gives another one back."""
    _two_pages(w)
    behind = w.other_hva + w.kernel.PAGE_SIZE
    w.do(w.call("vm_mmap_pgoff", w.mm, behind, None, 0), w.call("do_user_addr_fault", w.mm, behind))
    _collapse(w).actor("free", w.call("madvise_dontneed", w.mm, behind))
