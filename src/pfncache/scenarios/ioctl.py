# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of ioctls of a VM as user space calls them, in bytes, that do no more than look at memslots."""

from __future__ import annotations

from dataclasses import replace

from pfncache.check.system import Call
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.uapi.linux.errno import EBADF, EEXIST, EINVAL, ENOENT, ENOMEM
from pfncache.linux.include.uapi.linux.kvm import KVM_MEM_GUEST_MEMFD, KVM_MEM_LOG_DIRTY_PAGES
from pfncache.linux.virt.kvm.kvm_main.ioctl import KvmUserspaceMemoryRegion2
from pfncache.scenarios.region import Region, SlotLayout
from pfncache.scenarios.results import returns
from pfncache.scenarios.scenario import Declaration, Scenario, scenario
from pfncache.scenarios.world import MemoryKind, World


def _set_region(w: World, slot: int, flags: int, gpa: int, hva: int = 0) -> Call:
    """Return KVM_SET_USER_MEMORY_REGION2 of a page, with a descriptor of guest_memfd that is not open."""
    region = KvmUserspaceMemoryRegion2(slot, flags, gpa, w.kernel.PAGE_SIZE, hva or w.other_hva, 0, None)
    return w.call("kvm_vm_ioctl_set_memory_region", w.kvm, region)


def _slots(declare: Declaration) -> Scenario:
    """Make a scenario of two memslots, for kernels in which a VM without private memory may have guest_memfd."""
    made = scenario(slots=3, slot_ids=2, gfns=2, layout=SlotLayout(regions=(Region(),)))(declare)
    return replace(made, memory=MemoryKind.GMEM_MMAP)


@_slots
def set_memory_region(w: World) -> None:
    """User space makes a slot with a file that is not open while another slot is deleted.

    kvm_set_memory_region() looks the descriptor up last, under slots_lock: any other error takes precedence.
    """
    gmem, size = KVM_MEM_GUEST_MEMFD, w.kernel.PAGE_SIZE
    w.actor(
        "vmm",
        returns(_set_region(w, 0, gmem, 0), -EINVAL, -EBADF),
        returns(_set_region(w, 1, gmem, 0), -EEXIST, -EBADF),
        returns(_set_region(w, 1, gmem, size), -EBADF),
        returns(_set_region(w, 1, gmem, 1), -EINVAL),
        returns(_set_region(w, 1, KVM_MEM_LOG_DIRTY_PAGES, size), 0),
    )
    w.actor("deleter", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


@_slots
def new_region_without_memory(w: World) -> None:
    """There is no memory for a memslot whose file is not open, then there is; the guest faults in another slot."""
    gmem, size = KVM_MEM_GUEST_MEMFD, w.kernel.PAGE_SIZE
    w.actor(
        "vmm",
        returns(_set_region(w, 1, gmem, size), -ENOMEM),
        returns(_set_region(w, 1, gmem, size), -EBADF),
        returns(_set_region(w, 1, gmem, 0), -EEXIST),
        returns(_set_region(w, 0, gmem, 0), -EINVAL),
        returns(_set_region(w, 1, gmem, size, w.kernel.PAGE_OFFSET - size), -EBADF),
        returns(_set_region(w, 1, gmem, size, w.kernel.PAGE_OFFSET), -EINVAL),
    )
    task = w.actors[-1].task
    assert isinstance(task, TaskStruct)
    task.fail_nth = 1
    w.actor("guest", w.call("run_guest_access", w.vcpu, w.gpa, False))


@scenario(slots=2, log_dirty=True)
def get_dirty_log(w: World) -> None:
    """User space reads the log of a slot while it is deleted, and of one that cannot be."""
    w.actor(
        "vmm",
        returns(w.call("kvm_vm_ioctl_get_dirty_log", w.kvm, 0), 0, -ENOENT),
        returns(w.call("kvm_vm_ioctl_get_dirty_log", w.kvm, 1), -EINVAL),
    )
    w.actor("deleter", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
