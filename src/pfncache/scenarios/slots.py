# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of memslots that change while KVM uses them."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.linux.include.trace.events.kvm import CLOCK_WRITTEN, GUEST_MAPPED
from pfncache.scenarios import users
from pfncache.scenarios.region import Region, SlotLayout
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World


@scenario(log_dirty=True)
def dirty_logging(w: World) -> None:
    """The clock's page, which is dirty-logged, is zapped while the clock is updated."""
    w.clock_on()
    w.kvm.bitmap_cache[0].bits[0].__dict__["dirty"] = False
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(slots=2, log_dirty=True)
def steal_time(w: World) -> None:
    """Steal time is written while its slot is deleted."""
    w.steal_time_on()
    w.actor("vcpu", w.call("run_steal_time_update", w.vcpu))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


@scenario(slots=3)
def move(w: World) -> None:
    """The clock's slot moves while the clock is updated."""
    w.clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 1, 1, w.hva))


@scenario(slots=3, gfns=2, log_dirty=True)
def move_logged(w: World) -> None:
    """A slot of two pages moves by a page with its log; the clock, at a gfn that it keeps, is updated meanwhile."""
    w.do(
        w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0),
        w.call("set_msr_system_time", w.vcpu, w.kernel.PAGE_SIZE, True),
    )
    update = w.call("run_clock_update", w.vcpu)
    w.do(update).actor("vcpu", update)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 1, 2, w.hva, True))


@scenario(slots=3, slot_ids=2, gfns=2)
def overlap(w: World) -> None:
    """User space asks for a slot at the second page of another slot, then at the first; the guest faults there."""
    for target in ("vmm: set_memory_region() succeeded", "vmm: set_memory_region() #2 succeeded"):
        w.cannot_reach(target, "a gfn has one slot")
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False))
    w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 1, 1, 1, w.other_hva),
        w.call("set_memory_region", w.kvm, 1, 0, 1, w.other_hva),
    )


@scenario(slots=2, gfns=2)
def dirty_logging_of_second_page(w: World) -> None:
    """The clock is updated in a slot with dirty logging that begins at the second page of the guest."""
    w.do(
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 1, 1, w.hva, True),
        w.call("set_msr_system_time", w.vcpu, w.kernel.PAGE_SIZE, True),
    )
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(pages=2)
def page_reuse(w: World) -> None:
    """Another process allocates the page that the VM's process frees."""
    w.clock_on()
    other = w.kernel.new_mm("other")
    w.do(w.call("vm_mmap_pgoff", other, w.hva, None, 0))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("other", w.call("do_user_addr_fault", other, w.hva))


@scenario(slots=2)
def update_during_invalidation(w: World) -> None:
    """A slot is deleted while an MMU notifier is between its start and its end, and while the guest faults."""
    w.clock_on()
    w.actor("vcpu", w.call("run_guest_access", w.vcpu, 0, False))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


@scenario(readonly=True)
def read_only(w: World) -> None:
    """The guest writes to a read-only slot, has its clock and its page tables there, and the page is zapped."""
    for target in ("guest: run_guest_access() succeeded", GUEST_MAPPED, CLOCK_WRITTEN):
        w.cannot_reach(target, "KVM does not write to a read-only slot")
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False), w.call("kvm_mmu_gva_to_gpa_read", w.vcpu, 0))
    w.actor(
        "vcpu",
        w.call("set_msr_system_time", w.vcpu, w.gpa, True),
        w.call("run_clock_update", w.vcpu),
    )
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


def _two_slots(w: World) -> World:
    """Replace the slot by two of one page each, over one user page."""
    return w.do(
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva),
        w.call("set_memory_region", w.kvm, 1, 1, 1, w.hva),
    )


def _touch_both(w: World) -> World:
    """Add a guest that accesses both slots, and a task that zaps the page."""
    w.actor("guest", *(w.call("run_guest_access", w.vcpu, gpa, False) for gpa in (0, w.kernel.PAGE_SIZE)))
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(slots=4, slot_ids=2, gfns=2)
def shared_user_page(w: World) -> None:
    """The guest faults at two gfns, whose slots have one user page, while the page is zapped."""
    _touch_both(_two_slots(w))


@scenario(slots=4, slot_ids=2, gfns=2)
def shared_user_page_is_mapped(w: World) -> None:
    """The guest accesses two gfns, which have one user page and an SPTE each, while the page is zapped."""
    _two_slots(w)
    for gpa in (0, w.kernel.PAGE_SIZE):
        w.do(w.call("run_guest_access", w.vcpu, gpa, False))
    _touch_both(w)


# What a vCPU allocates in memslots when it shadows page tables for the first time


def _without_rmaps(w: World) -> World:
    """Begin before any nested guest: no memslot has an rmap."""
    w.kvm.__dict__["shadow_root_allocated"] = False
    for slot in w.kvm.slot_cache:
        slot.__dict__["arch_ready"] = False
    return w.actor("vcpu", Call(users.load_shadow_mmu, (w.kernel, w.kvm)))


@scenario(slots=2)
def create_and_shadow(w: World) -> None:
    """A memslot is created, and zapped, while a vCPU allocates the rmaps of those that it finds."""
    w.do(w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
    _without_rmaps(w)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva), w.call("kvm_zap_gfn_range", w.kvm, 0, 1))


@scenario(slots=3)
def move_and_shadow(w: World) -> None:
    """A memslot moves, and is zapped, while a vCPU allocates the rmaps of those that it finds."""
    _without_rmaps(w)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 1, 1, w.hva), w.call("kvm_zap_gfn_range", w.kvm, 1, 2))


@scenario(slots=2)
def log_and_shadow(w: World) -> None:
    """Logging of a memslot begins, and it is zapped, while a vCPU allocates the rmaps of those that it finds."""
    _without_rmaps(w)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 1, w.hva, True), w.call("kvm_zap_gfn_range", w.kvm, 0, 1))


@scenario
def zap_range(w: World) -> None:
    """KVM zaps a range whose memory type changes, while the guest faults there."""
    access = w.call("run_guest_access", w.vcpu, 0, False)
    w.do(access).actor("guest", access)
    w.actor("vcpu", Call(users.zap_range, (w.kernel, w.kvm, 0, 1)))


@scenario(slots=2, gfns=2, layout=SlotLayout(regions=(Region(base_gfn=1),)))
def delete_second(w: World) -> None:
    """A slot that begins behind gfn 0, and that the guest may have mapped, is deleted; then its page is zapped.

    kvm_arch_flush_shadow_memslot() takes the SPTEs from base_gfn on: no invalidation finds them without a slot.
    """
    w.actor("guest", w.call("run_guest_access", w.vcpu, w.gpa, False))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva), w.call("madvise_dontneed", w.mm, w.hva))
