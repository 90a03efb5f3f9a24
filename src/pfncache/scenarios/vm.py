# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of the destruction of a VM."""

from __future__ import annotations

from pfncache.check.system import Call
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.scenarios import users
from pfncache.scenarios.region import Region, SlotLayout
from pfncache.scenarios.results import returns
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import World
from pfncache.scenarios.xen import shared_info, vcpu_info


@scenario
def destroy_dontneed(w: World) -> None:
    """The last reference to a VM is dropped while user space zaps the memory of its clock."""
    w.clock_on()
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario
def destroy_exit(w: World) -> None:
    """The last reference to a VM is dropped in another process while the VM's process exits."""
    w.clock_on()
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm), process=False)
    w.actor("exit", w.call("exit_mmap", w.mm))


@scenario(caches=shared_info)
def destroy_timer(w: World) -> None:
    """A VM is destroyed while user space unmaps the page of shared_info and a timer of the guest expires."""
    w.do(w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, False), w.call("set_timer", w.vcpu, True, False))
    elsewhere = TaskStruct("elsewhere")
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm))
    w.actor("timer", Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, elsewhere)), process=False)
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(caches=shared_info)
def destroy_armed(w: World) -> None:
    """A VM is destroyed while a timer of the guest expires, which uses shared_info."""
    w.do(w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, False), w.call("set_timer", w.vcpu, True, False))
    elsewhere = TaskStruct("elsewhere")
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm))
    w.actor("timer", Call(users.timer_irq, (w.kernel, w.kvm, w.vcpu, elsewhere)), process=False)


@scenario
def exit_guest(w: World) -> None:
    """The process of a VM with an SPTE exits, while another one drops the last reference to the VM."""
    w.do(w.call("run_guest_access", w.vcpu, 0, False))
    w.actor("exit", w.call("exit_mmap", w.mm))
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm), process=False)


def _xen_caches(vcpu: KvmVcpu) -> tuple[GfnToPfnCache, ...]:
    """Return the caches of shared_info and vcpu_info."""
    return (*shared_info(vcpu), *vcpu_info(vcpu))


@scenario(caches=_xen_caches)
def destroy_xen(w: World) -> None:
    """The last reference to the VM of a Xen guest is dropped while user space zaps the page of its structures."""
    w.do(w.call("set_shared_info", w.kvm, w.gpa, w.other_hva, False), w.call("set_vcpu_info", w.vcpu, w.gpa))
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(slots=3, slot_ids=2, gfns=2, layout=SlotLayout(regions=(Region(), Region(slot=1, base_gfn=1, user_page=2))))
def destroy_slots(w: World) -> None:
    """The last reference to a VM with two memslots is dropped while user space zaps the page of the second."""
    w.do(w.call("run_guest_access", w.vcpu, w.kernel.PAGE_SIZE, False))
    w.actor("destroy", w.call("kvm_put_kvm", w.kvm))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva + w.kernel.PAGE_SIZE))


@scenario(slots=2)
def destroy_after_update(w: World) -> None:
    """A memslot is deleted, which waits for an invalidation, and the VM is destroyed.

    kvm_destroy_vm() has a WARN_ON for a task that is left in mn_memslots_update_rcuwait.
    """
    delete = w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva)
    w.actor("vmm", returns(delete, 0), w.call("kvm_put_kvm", w.kvm))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))
