# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of guest memory that KSM merges: pages of equal contents become one, until a write copies it."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.scenarios import users
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World

MAY_FAIL = "a lookup may have a reference on either page whenever KSM looks"


def _mergeable(w: World) -> World:
    """Map anonymous memory behind the slot's first page, which is the second, touch both, and advise to merge them."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    for hva in (w.hva, w.other_hva):
        w.do(w.call("do_user_addr_fault", w.mm, hva), w.call("madvise_mergeable", w.mm, hva, True))
    return w


def _merge(w: World, first: bool = True) -> World:
    """Add ksmd, which keeps the page of the first address, or of the second."""
    addresses = (w.hva, w.other_hva) if first else (w.other_hva, w.hva)
    return w.actor("ksmd", w.call("try_to_merge_two_pages", w.mm, *addresses), process=False)


@scenario(gfns=2, pages=4)
def clock(w: World) -> None:
    """KSM merges another page with the page of the clock, which becomes read-only, while the clock is updated."""
    _mergeable(w).clock_on()
    update = w.call("run_clock_update", w.vcpu)
    _merge(w.actor("vcpu", update, update))


@scenario(gfns=2, pages=4)
def clock_replaced(w: World) -> None:
    """KSM replaces the page of the clock by another one while the clock is updated."""
    _mergeable(w).clock_on()
    update = w.call("run_clock_update", w.vcpu)
    _merge(w.actor("vcpu", update, update), first=False)


@scenario(gfns=2, pages=4)
def clock_and_unmerge(w: World) -> None:
    """KSM merges the page of the clock, and the VMM has it unmerged, while the clock is updated."""
    _mergeable(w).clock_on()
    w.need_not_reach("ksmd: try_to_merge_two_pages() succeeded", MAY_FAIL)
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("vmm", w.call("madvise_mergeable", w.mm, w.hva, False))
    _merge(w, first=False)


@scenario(gfns=2, pages=4)
def activate(w: World) -> None:
    """A cache is activated, and then used, while KSM replaces its page."""
    _mergeable(w)
    gpc = w.vcpu.pv_time
    w.actor(
        "a",
        Call(users.activate_cache, (w.kernel, w.kvm, gpc, 0)),
        Call(users.use_cache, (w.kernel, w.kvm, gpc)),
    )
    _merge(w, first=False)


@scenario(gfns=2, pages=4)
def guest(w: World) -> None:
    """KSM merges two pages that the guest writes to."""
    _mergeable(w)
    first = w.call("run_guest_access", w.vcpu, 0, False)
    w.do(first)
    _merge(w.actor("guest", first, w.call("run_guest_access", w.vcpu, w.kernel.PAGE_SIZE, False)))


@scenario(gfns=2, pages=4, log_dirty=True)
def steal_time(w: World) -> None:
    """KSM replaces a page while steal time is written there through its user address."""
    _mergeable(w)
    w.steal_time_on()
    w.actor("vcpu", w.call("run_steal_time_update", w.vcpu), w.call("run_sched_out", w.vcpu))
    _merge(w, first=False)


@scenario(gfns=2, pages=4)
def nested(w: World) -> None:
    """KSM finds L1's virtual-APIC page, which is pinned while L2 runs: it is not merged."""
    _mergeable(w)
    w.actor(
        "vcpu",
        w.call("run_nested_entry", w.vcpu, w.gpa),
        w.call("run_l2", w.vcpu),
        w.call("run_nested_exit", w.vcpu),
    )
    _merge(w, first=False)


@scenario(gfns=2)
def unmerge_and_migrate(w: World) -> None:
    """Two addresses are unmerged while their page is moved to another page frame."""
    _mergeable(w).do(w.call("try_to_merge_two_pages", w.mm, w.hva, w.other_hva))
    w.actor("vmm", w.call("madvise_mergeable", w.mm, w.hva, False))
    w.actor("compaction", w.call("migrate_pages", w.mm, w.other_hva), process=False)


@scenario(gfns=2, pages=4)
def merge_and_unmap(w: World) -> None:
    """KSM merges a page that is unmapped; other memory is mapped there, touched, and may be merged too."""
    _mergeable(w).need_not_reach("ksmd: try_to_merge_two_pages() succeeded", MAY_FAIL)
    w.actor(
        "vmm",
        w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0),
        w.call("do_user_addr_fault", w.mm, w.other_hva),
        w.call("madvise_mergeable", w.mm, w.other_hva, True),
    )
    _merge(w)


@scenario(gfns=2, pages=4)
def merge_and_unmerge(w: World) -> None:
    """KSM merges two pages while the VMM forbids it for both."""
    _mergeable(w)
    w.actor("vmm", *(w.call("madvise_mergeable", w.mm, hva, False) for hva in (w.hva, w.other_hva)))
    _merge(w)
