# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of private memory, and of memory that is converted."""

from __future__ import annotations

from pfncache.linux.include.trace.events.kvm import GUEST_WRITTEN
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


@scenario(memory=MemoryKind.GMEM)
def faults(w: World) -> None:
    """The guest faults in private memory while it is converted and punched."""
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, True))
    w.actor("convert", w.call("set_memory_attributes", w.kvm, 0, 1, False))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(memory=MemoryKind.GMEM, slots=2, shared_attribute=True)
def conversion_and_slot_update(w: World) -> None:
    """Memory is converted while its slot is deleted and the clock is updated."""
    w.clock_on()
    w.actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("convert", w.call("set_memory_attributes", w.kvm, 0, 1, True))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


@scenario(memory=MemoryKind.GMEM)
def fault_and_convert(w: World) -> None:
    """The guest faults, private and shared, while its memory is converted and converted back."""
    w.actor("private", w.call("run_guest_access", w.vcpu, 0, True))
    w.actor("shared", w.call("run_guest_access", w.vcpu, 0, False))
    w.actor(
        "vmm",
        w.call("set_memory_attributes", w.kvm, 0, 1, False),
        w.call("set_memory_attributes", w.kvm, 0, 1, True),
    )


@scenario(memory=MemoryKind.GMEM)
def user_mapping(w: World) -> None:
    """User space maps the private file at the slot's user address, where KVM writes steal time."""
    for target in (GUEST_WRITTEN, "vmm: do_user_addr_fault() succeeded"):
        w.cannot_reach(target, "user space cannot touch private memory")
    w.steal_time_on()
    w.do(w.call("vm_mmap_pgoff", w.mm, w.hva, w.gmem.f_mapping, 0))
    w.actor("vcpu", w.call("run_steal_time_update", w.vcpu))
    w.actor("vmm", w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(memory=MemoryKind.GMEM_COCO)
def rmp_failure(w: World) -> None:
    """The guest faults in private memory while it is punched; the page may fail to become private in the RMP."""
    w.kernel.rmp_update_may_fail = True
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, True))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))
