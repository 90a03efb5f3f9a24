# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: event channels, some of them signalled in hard-irq context."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.part_of import part_of, part_of_caller
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
        Returns: 1, 0 if it was pending, -ENOTCONN if it is masked, or -EWOULDBLOCK when shared_info must be refreshed
        first.
        """
        kick: bool = False
        with srcu_read_lock(kvm.srcu):
            gpc = kvm.xen.shinfo_cache
            with read_lock_irq(gpc.lock):
                if not self.kvm_gpc_check(gpc, self.PAGE_SIZE):
                    return -EWOULDBLOCK
                rc: Errno = self.set_evtchn_pending(gpc)
                if rc == -ENOTCONN:
                    self.kvm_xen_check_poller(vcpu, self.evtchn_port())
                if rc != 1:
                    return rc
            info = vcpu.xen.vcpu_info_cache
            with read_lock_irq(info.lock):
                if not self.kvm_gpc_check(info, self.VCPU_INFO_SIZE):
                    # Delivered when the vCPU runs next: kvm_xen_inject_pending_events().
                    kick = not self.note_pending_sel(vcpu, self.port_word_bit(kvm))
                elif self.set_evtchn_pending_sel(info):
                    if vcpu.xen.upcall_vector:
                        self.kvm_xen_inject_vcpu_vector(vcpu)
                    else:
                        kick = True
        if kick:
            vcpu.unblock = True
            self.kvm_vcpu_kick(vcpu)
        return 1

    @part_of("kvm_xen_set_evtchn_fast")
    @atomic
    def set_evtchn_pending(self, gpc: GfnToPfnCache) -> Errno:
        """Set the event's bit in shared_info, unless it is set; look whether the guest has masked it.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        Locks: gpc.lock for reading.
        Returns: 1, 0 if it was set, -ENOTCONN if the guest has masked it.
        Simplified: one access instead of two.
        """
        self.access_khva(gpc, True)
        kvm = gpc.kvm
        assert kvm is not None
        self.trace_evtchn_set(kvm)
        if self.test_and_set_port(gpc, self.evtchn_port()):
            return 0
        if self.port_is_masked(gpc, self.evtchn_port()):
            return -ENOTCONN
        self.trace_evtchn_pending(kvm)
        return 1

    @part_of("kvm_xen_set_evtchn_fast")
    @atomic
    def set_evtchn_pending_sel(self, info: GfnToPfnCache) -> bool:
        """Set the bit of the event's word in vcpu_info, and mark an upcall pending if it was clear.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        Locks: info.lock for reading.
        Returns: whether the bit was clear.
        Simplified: one access instead of two.
        """
        self.access_khva(info, True)
        kvm = info.kvm
        assert kvm is not None
        if self.test_and_set_word(info, self.port_word_bit(kvm)):
            return False
        self.host_set_upcall(info)
        self.trace_evtchn_signalled(kvm, False)
        return True

    @part_of("kvm_xen_set_evtchn_fast")
    @atomic
    def note_pending_sel(self, vcpu: KvmVcpu, word: int) -> bool:
        """Set the bit of an event's word in the kernel's selector of the vCPU.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        Returns: whether it was set before.
        Simplified: in the checker the selector has one bit.
        """
        was_set = vcpu.xen.evtchn_pending_sel
        vcpu.xen.evtchn_pending_sel = True
        return was_set

    # Contents of the guest's pages: in the checker, no bit was set before but that of a masked event.

    @part_of_caller
    def evtchn_port(self) -> int:
        """Return the port of the event that the task sends.

        Linux: nothing; port of struct kvm_xen_evtchn.
        """
        return 1

    @part_of_caller
    def port_word_bit(self, kvm: Kvm) -> int:
        """Return the number of the word in shared_info that has the event's bit.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        """
        return self.evtchn_port() // (64 if kvm.xen.long_mode else 32)

    @part_of_caller
    def test_and_set_port(self, gpc: GfnToPfnCache, port: int) -> bool:
        """Set an event's pending bit in shared_info; return whether it was set before.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        """
        kvm = gpc.kvm
        assert kvm is not None
        was_set: bool = kvm.xen.evtchn_pending
        if kvm.xen.evtchn_masked:
            kvm.xen.evtchn_pending = True
        return was_set

    @part_of_caller
    def port_is_masked(self, gpc: GfnToPfnCache, port: int) -> bool:
        """Return whether the guest has masked an event in shared_info.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        """
        kvm = gpc.kvm
        assert kvm is not None
        return kvm.xen.evtchn_masked

    @part_of_caller
    def test_and_set_word(self, info: GfnToPfnCache, word: int) -> bool:
        """Set a bit of evtchn_pending_sel in vcpu_info; return whether it was set before.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        """
        return False

    @part_of_caller
    @host_only
    def host_set_upcall(self, info: GfnToPfnCache) -> None:
        """Set evtchn_upcall_pending in vcpu_info.

        Linux: arch/x86/kvm/xen.c kvm_xen_set_evtchn_fast(), v7.3.4.
        """
        self.host_kernel_bytes(info.khva)[0] = 1

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
