# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of huge SPTEs: the slot's two pages are a transparent huge page, which one SPTE maps."""

from __future__ import annotations

from pfncache.linux.include.trace.events.kvm import GUEST_MAPPED, HUGE_MAPPED
from pfncache.scenarios.region import Region, SlotLayout
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _touched(w: World) -> World:
    """Map anonymous memory behind the slot's first page, which is the second, and touch it: one PMD maps both."""
    return w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0), w.call("do_user_addr_fault", w.mm, w.hva))


def _access(w: World, gfn: int) -> World:
    """Add a guest that accesses a page."""
    return w.actor("guest", w.call("run_guest_access", w.vcpu, gfn << w.kernel.PAGE_SHIFT, False))


@scenario(gfns=2, pages=4, huge=True)
def guest(w: World) -> None:
    """The guest faults in the first page of a huge page whose second page is zapped: the SPTE maps both, or one."""
    _access(_touched(w), 0).reaches(HUGE_MAPPED)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(gfns=2, pages=4, huge=True)
def mapped(w: World) -> None:
    """A huge SPTE is there when user space unmaps its first page; the guest accesses the second."""
    _touched(w).do(w.call("run_guest_access", w.vcpu, 0, False))
    _access(w, 1)
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(gfns=2, pages=4, huge=True)
def clock(w: World) -> None:
    """The clock is in the second page of a huge page whose first page is zapped."""
    _touched(w).do(w.call("set_msr_system_time", w.vcpu, w.kernel.PAGE_SIZE, True), w.call("run_clock_update", w.vcpu))
    update = w.call("run_clock_update", w.vcpu)
    w.actor("vcpu", update, update)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(gfns=2, pages=4, huge=True)
def collapse(w: World) -> None:
    """The guest accesses two pages that khugepaged replaces by a huge page, which it maps then."""
    w.do(w.call("do_user_addr_fault", w.mm, w.hva), w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.do(w.call("do_user_addr_fault", w.mm, w.other_hva))
    w.reaches(HUGE_MAPPED)
    _access(_access_first(w), 1)
    w.actor("khugepaged", w.call("collapse_huge_page", w.mm, w.hva), process=False)


def _access_first(w: World) -> World:
    """Let the guest access the first page before."""
    return w.do(w.call("run_guest_access", w.vcpu, 0, False))


@scenario(gfns=2, pages=4, slots=2, huge=True)
def log_on(w: World) -> None:
    """Logging is switched on for a huge page that the guest faults in."""
    _access(_touched(w), 0).reaches(HUGE_MAPPED)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 2, w.hva, True))


@scenario(gfns=2, pages=4, slots=2, huge=True, log_dirty=True)
def log_off(w: World) -> None:
    """Logging is switched off, so that two SPTEs become one, while one of the pages is zapped and the guest faults."""
    _access_first(_touched(w)).reaches(HUGE_MAPPED)
    _access(w, 0)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 2, w.hva, False))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(gfns=2, pages=4, huge=True)
def collapse_and_migrate(w: World) -> None:
    """Two pages are collapsed by khugepaged while one is migrated and the guest accesses it."""
    w.do(w.call("do_user_addr_fault", w.mm, w.hva), w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.do(w.call("do_user_addr_fault", w.mm, w.other_hva))
    _access(w, 0)
    w.actor("compaction", w.call("migrate_pages", w.mm, w.hva), process=False)
    w.actor("khugepaged", w.call("collapse_huge_page", w.mm, w.hva), process=False)


@scenario(gfns=2, pages=4, huge=True)
def fault(w: World) -> None:
    """Two tasks touch the pages of a huge page, of which the second is unmapped."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.need_not_reach("touch': do_user_addr_fault() succeeded", "the page may be unmapped before")
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("touch'", w.call("do_user_addr_fault", w.mm, w.other_hva))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.other_hva))


@scenario(gfns=2, pages=4, huge=True)
def fault_protected(w: World) -> None:
    """User space touches the first page of two, of which the second is read-only; the guest writes to the second."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0), w.call("do_mprotect_pkey", w.mm, w.other_hva, False))
    w.cannot_reach("guest: run_guest_access() succeeded", "the page is read-only")
    w.cannot_reach(GUEST_MAPPED, "the page is read-only")
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
    _access(w, 1)


@scenario(gfns=2, pages=4, slots=4, slot_ids=2, huge=True)
def two_slots(w: World) -> None:
    """The halves of a huge page are in two slots, of which the second is deleted while the guest faults in both."""
    _touched(w).do(
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva),
        w.call("set_memory_region", w.kvm, 1, 1, 1, w.other_hva),
    )
    w.actor("guest", *(w.call("run_guest_access", w.vcpu, gpa, False) for gpa in (w.kernel.PAGE_SIZE, 0)))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 1, 0, 0, w.other_hva))


@scenario(gfns=2, pages=4, slots=2, huge=True)
def one_slot_is_left(w: World) -> None:
    """The slot has the second half of a huge page alone, where the guest faults."""
    _touched(w).do(
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva), w.call("set_memory_region", w.kvm, 0, 1, 1, w.other_hva)
    )
    _access(w, 1)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(gfns=2, pages=4, slots=2, huge=True)
def misaligned(w: World) -> None:
    """The slot's first gfn has another last bit than its user address: no SPTE can map the huge page."""
    _touched(w).do(
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 2, w.hva - w.kernel.PAGE_SIZE),
    )
    _access(w, 1)
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(memory=MemoryKind.GMEM, gfns=2, file_pages=2, pages=4, huge=True, shared_attribute=True)
def convert_half(w: World) -> None:
    """The guest faults in the shared half of a huge page whose other half is made private."""
    _access(_touched(w), 0)
    w.reaches(HUGE_MAPPED)
    w.actor("vmm", w.call("set_memory_attributes", w.kvm, 1, 2, True))


@scenario(memory=MemoryKind.GMEM, gfns=2, file_pages=2, pages=4, huge=True)
def convert_back(w: World) -> None:
    """Both halves of a huge page are made shared, one after the other, while the guest faults there."""
    _access(_touched(w), 0).reaches(HUGE_MAPPED)
    w.actor(
        "vmm",
        w.call("set_memory_attributes", w.kvm, 0, 1, False),
        w.call("set_memory_attributes", w.kvm, 1, 2, False),
    )


@scenario(memory=MemoryKind.GMEM, gfns=2, file_pages=2, pages=4, huge=True, shared_attribute=True)
def convert_mapped(w: World) -> None:
    """Half of a huge page that an SPTE maps is made private; the guest accesses the other half."""
    _access_first(_touched(w))
    _access(w, 0)
    w.actor("vmm", w.call("set_memory_attributes", w.kvm, 1, 2, True))


# A memslot that does not begin at gfn 0

UPPER = SlotLayout(regions=(Region(base_gfn=2, npages=2, user_page=2),))
"""A memslot of two pages at the second huge page of the guest."""
BOTH = SlotLayout(
    regions=(
        Region(npages=2, user_page=4, mapped=0),
        Region(slot=1, base_gfn=2, npages=2, user_page=2, pgoff=2),
    ),
    structure=1,
)
"""The same behind another memslot, of which user space maps nothing."""


@scenario(gfns=4, pages=4, slots=2, huge=True, layout=UPPER)
def upper_log_on(w: World) -> None:
    """Logging is switched on for a huge page that the guest faults in, in a memslot that begins at gfn 2."""
    _access(_touched(w), 2).reaches(HUGE_MAPPED)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 2, 2, w.hva, True))


@scenario(gfns=2, pages=4, slots=2, huge=True, log_dirty=True)
def log_off_second(w: World) -> None:
    """Logging is switched off where the guest has the second page of a huge page alone: its SPTE becomes huge."""
    _touched(w).do(w.call("run_guest_access", w.vcpu, w.kernel.PAGE_SIZE, False))
    w.reaches(HUGE_MAPPED)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 2, w.hva, False))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(
    memory=MemoryKind.GMEM, gfns=4, file_pages=4, pages=4, slots=2, slot_ids=2, user_pages=6, huge=True, layout=BOTH,
    shared_attribute=True,
)  # fmt: skip
def upper_convert_half(w: World) -> None:
    """The guest faults in the shared half of a huge page whose other half is made private, in the second memslot."""
    _converted_upper(w, 2)


@scenario(
    memory=MemoryKind.GMEM, gfns=4, file_pages=4, pages=4, slots=2, slot_ids=2, user_pages=6, huge=True, layout=BOTH,
    shared_attribute=True,
)  # fmt: skip
def convert_halves(w: World) -> None:
    """One call makes half of a huge page private in each of two memslots; the guest faults in the second."""
    _converted_upper(w, 1)


def _touched_upper(w: World) -> World:
    """Map anonymous memory behind the structure's page, and touch that: one PMD maps both."""
    behind = w.hva + w.kernel.PAGE_SIZE
    return w.do(w.call("vm_mmap_pgoff", w.mm, behind, None, 0), w.call("do_user_addr_fault", w.mm, w.hva))


def _converted_upper(w: World, start: int) -> None:
    """Make the gfns from `start` up to the last one private, while the guest faults in that one, which stays shared."""
    _access(_touched_upper(w), 3)
    w.reaches(HUGE_MAPPED)
    w.actor("vmm", w.call("set_memory_attributes", w.kvm, start, 3, True))
