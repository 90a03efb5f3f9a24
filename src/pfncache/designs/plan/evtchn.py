# SPDX-License-Identifier: GPL-2.0-only
"""KVM: x86/xen: events that a kernel thread sends while the process of the VM exits."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.lang.atomic import atomic
from pfncache.lang.records import Count
from pfncache.linux.arch.x86.kvm.xen.evtchn import EWOULDBLOCK
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.kthread import kthread_unuse_mm, kthread_use_mm
from pfncache.linux.vmlinux import Vmlinux


class CountedMm(MmStruct, extends=True):
    """struct mm_struct, with the count of its users, of which its process is one."""

    mm_users: Count = 1


class TakeUserOfMm(Patch, Vmlinux):
    """KVM: x86/xen: do not use an address space whose last user has gone.

    kthread_use_mm() takes a reference of the structure alone. mmget_not_zero() keeps the mappings too, or fails. The
    model's exit_mmap() of a process stands for its mmput().
    """

    structs = (CountedMm,)

    @atomic
    def mmget_not_zero(self, mm: MmStruct) -> bool:
        """Become a user of an address space, unless it has none any more."""
        assert isinstance(mm, CountedMm)
        if mm.mm_users <= 0:
            return False
        mm.mm_users += 1
        return True

    @atomic
    def drop_mm_user(self, mm: MmStruct) -> bool:
        """Stop to be a user; return whether it was the last one."""
        assert isinstance(mm, CountedMm)
        mm.mm_users -= 1
        return mm.mm_users == 0

    def exit_mmap(self, mm: MmStruct) -> None:
        """Tear the address space down if it has no other user."""
        if self.drop_mm_user(mm):
            super().exit_mmap(mm)

    def kvm_xen_set_evtchn(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Be a user of the VM's address space in a kernel thread, or send nothing."""
        rc = self.kvm_xen_set_evtchn_fast(kvm, vcpu)
        if rc != -EWOULDBLOCK:
            return rc
        if current().mm is kvm.mm:
            return self.set_evtchn_slow(kvm, vcpu)
        if current().mm is not None:
            WARN_ON_ONCE(True, "current->mm is that of another process")
            return -EINVAL
        if not self.mmget_not_zero(kvm.mm):
            return -EINVAL
        kthread_use_mm(kvm.mm)
        ret = self.set_evtchn_slow(kvm, vcpu)
        kthread_unuse_mm()
        self.exit_mmap(kvm.mm)
        return ret
