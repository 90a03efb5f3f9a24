# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: event channels, some of them signalled in hard-irq context."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.kvm.xen.poll import XenPoll
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, Kvm, KvmVcpu
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EINVAL, ENOTCONN
from pfncache.linux.kernel.kthread import kthread_unuse_mm, kthread_use_mm
from pfncache.linux.kernel.locking.spinlock import read_lock_irq
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock

EWOULDBLOCK = EAGAIN


class XenEvtchn(XenPoll):
    """The functions of arch/x86/kvm/xen.c for event channels."""

    def kvm_xen_set_evtchn_fast(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Mark an event pending without sleeping. Neither page is marked dirty: by KVM's ABI, both always are.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        Locks: any context.
        Returns: 1, 0 or -ENOTCONN as set_evtchn_pending(), or -EWOULDBLOCK when shared_info must be refreshed first.
        Simplified: the vCPU is kicked, or its vector injected, even if the selector had the bit before.
        """
        kick: bool = False
        with srcu_read_lock(kvm.srcu):
            gpc = kvm.xen.shinfo_cache
            with read_lock_irq(gpc.lock):
                if not self.kvm_gpc_check(gpc, self.PAGE_SIZE):
                    return -EWOULDBLOCK
                rc: Errno = self.set_evtchn_pending(gpc)
                if rc == -ENOTCONN:
                    self.kvm_xen_check_poller(vcpu)
                if rc != 1:
                    return rc
            info = vcpu.xen.vcpu_info_cache
            with read_lock_irq(info.lock):
                if not self.kvm_gpc_check(info, self.PVCLOCK_SIZE):
                    # Delivered when the vCPU runs next: kvm_xen_inject_pending_events().
                    vcpu.xen.evtchn_pending_sel = True
                    kick = True
                else:
                    self.set_evtchn_pending_sel(info)
                    if vcpu.xen.upcall_vector:
                        self.kvm_xen_inject_vcpu_vector(vcpu)
                    else:
                        kick = True
        if kick:
            self.kvm_vcpu_kick(vcpu)
        return 1

    @part_of("kvm_xen_set_evtchn_fast")
    @atomic
    def set_evtchn_pending(self, gpc: GfnToPfnCache) -> Errno:
        """Set the event's bit in shared_info.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        Locks: gpc.lock for reading.
        Returns: 1, 0 if it was set, -ENOTCONN if the guest has masked it.
        Simplified: an event that is not masked is already pending in direct execution only.
        """
        self.access_khva(gpc, True)
        kvm = gpc.kvm
        assert kvm is not None
        if kvm.xen.evtchn_masked:
            was: bool = kvm.xen.evtchn_pending
            kvm.xen.evtchn_pending = True
            return 0 if was else -ENOTCONN
        self.trace_evtchn_pending(kvm)
        return 1

    @part_of("kvm_xen_set_evtchn_fast")
    @atomic
    def set_evtchn_pending_sel(self, info: GfnToPfnCache) -> None:
        """Set the bit of the event's word in vcpu_info, and mark an upcall pending.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        Locks: info.lock for reading.
        Simplified: the vCPU is kicked even if the bit was set before.
        """
        self.access_khva(info, True)
        kvm = info.kvm
        assert kvm is not None
        self.trace_evtchn_signalled(kvm, False)

    def kvm_xen_inject_vcpu_vector(self, vcpu: KvmVcpu) -> None:
        """Deliver the vCPU's upcall vector as an MSI, which wakes it.

        Linux: arch/x86/kvm/xen.c kvm_xen_inject_vcpu_vector(), arch/x86/kvm/lapic.c __apic_accept_irq(), v7.3.4.
        Locks: any context; vcpu_info's gpc.lock may be held.
        """
        self.kvm_vcpu_kick(vcpu)

    def kvm_xen_set_evtchn(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Mark an event pending, and refresh shared_info if necessary, in the VM's address space.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn(), v7.3.4.
        Locks: may sleep; takes no xen_lock (since v6.9: 7a36d680658b), so that two senders may refresh at a time.
        Returns: 1, -EINVAL in another process, or the error of the refresh.
        """
        rc = self.kvm_xen_set_evtchn_fast(kvm, vcpu)
        if rc != -EWOULDBLOCK:
            return rc
        borrowed: bool = False
        if current().mm is not kvm.mm:
            if current().mm is not None:
                WARN_ON_ONCE(True, "current->mm is that of another process")
                return -EINVAL
            kthread_use_mm(kvm.mm)
            borrowed = True
        ret = self.set_evtchn_slow(kvm, vcpu)
        if borrowed:
            kthread_unuse_mm()
        return ret

    @part_of("kvm_xen_set_evtchn")
    def set_evtchn_slow(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Repeat the fast path and a refresh until one of them has a result.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn(), its loop, v7.3.4.
        Locks: may sleep.
        Returns: 1, or the error of the refresh.
        """
        while True:
            again = self.kvm_xen_set_evtchn_fast(kvm, vcpu)
            if again != -EWOULDBLOCK:
                return again
            with srcu_read_lock(kvm.srcu):
                ret = self.kvm_gpc_refresh(kvm.xen.shinfo_cache, self.PAGE_SIZE)
            if ret != 0:
                return ret
