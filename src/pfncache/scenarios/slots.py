# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of memslots that change under a user."""

from __future__ import annotations

from pfncache.check.system import System
from pfncache.scenarios.scenario import Kernel
from pfncache.scenarios.world import World


def dirty_logging(kernel: Kernel) -> System:
    """The clock's page is logged, and goes away and comes back."""
    w = World(kernel, log_dirty=True).clock_on()
    w.kvm.slot_cache[0].dirty_bitmap[0].__dict__["dirty"] = False
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva)).system()


def steal_time(kernel: Kernel) -> System:
    """Steal time is written while its slot is deleted."""
    w = World(kernel, slots=2, log_dirty=True)
    w.vcpu.st.cache.gpa = w.gpa
    w.actor("vcpu", w.call("run_steal_time_update", w.vcpu))
    return w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva)).system()


def move(kernel: Kernel) -> System:
    """The clock's slot moves away and back."""
    w = World(kernel, slots=3).clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    return w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 1, 1, w.hva)).system()


def page_reuse(kernel: Kernel) -> System:
    """Another process takes the pages that the VM's process frees."""
    w = World(kernel, pages=2).clock_on()
    other = w.kernel.new_mm("other")
    w.do(w.call("vm_mmap_pgoff", other, w.hva, None, 0))
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
    return w.actor("other", w.call("do_user_addr_fault", other, w.hva)).system()


def update_during_invalidation(kernel: Kernel) -> System:
    """A slot is deleted while a notifier is between its start and its end, and while the guest faults."""
    w = World(kernel, slots=2).clock_on()
    w.actor("vcpu", w.call("run_guest_access", w.vcpu, 0, False))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
    return w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva)).system()


def read_only(kernel: Kernel) -> System:
    """The guest writes to a read-only slot, has its clock and its page tables there, and the page goes away."""
    w = World(kernel, readonly=True)
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False), w.call("kvm_mmu_gva_to_gpa_read", w.vcpu, 0))
    w.actor(
        "vcpu",
        w.call("set_msr_system_time", w.vcpu, w.gpa, True),
        w.call("run_clock_update", w.vcpu),
    )
    return w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva)).system()
