# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: vcpu_info, where a Xen guest looks for pending events."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.kvm.xen.evtchn import XenEvtchn
from pfncache.linux.arch.x86.kvm.xen.runstate import XenRunstate
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.preempt import current_thread_info
from pfncache.linux.include.linux.sched import current
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock


class XenVcpuInfo(XenEvtchn, XenRunstate):
    """The functions of arch/x86/kvm/xen.c for vcpu_info."""

    @part_of("kvm_xen_vcpu_set_attr")
    def vcpu_info_is_aligned(self, gpa: Gpa) -> bool:
        """Return whether vcpu_info is aligned there: its bits are set atomically, and must not cross a page.

        Linux: arch/x86/kvm/xen.c kvm_xen_vcpu_set_attr(), v7.3.4 (since v7.3.2: eacdb76c5f04).
        """
        return gpa % self.VCPU_INFO_ALIGN == 0

    def kvm_xen_inject_pending_events(self, vcpu: KvmVcpu) -> None:
        """Deliver the events that the fast path left pending.

        The upcall comes last: an event that is noted in the vCPU before is delivered with it.

        Linux: arch/x86/kvm/xen.c kvm_xen_inject_pending_events(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Simplified: the selector has one bit.
        """
        if not vcpu.xen.evtchn_pending_sel:
            return
        gpc = vcpu.xen.vcpu_info_cache
        gpc.lock.read_lock_irq()
        while not self.kvm_gpc_check(gpc, self.VCPU_INFO_SIZE):
            gpc.lock.read_unlock_irq()
            if self.kvm_gpc_refresh(gpc, self.VCPU_INFO_SIZE) != 0:
                return
            gpc.lock.read_lock_irq()
        self.inject_evtchn_pending_sel(vcpu, gpc)
        vcpu.xen.evtchn_pending_sel = False
        self.inject_upcall_pending(gpc)
        self.kvm_gpc_mark_dirty_in_slot(gpc)
        self.note_xen_dirty(gpc)
        gpc.lock.read_unlock_irq()
        if vcpu.xen.upcall_vector:
            self.kvm_xen_inject_vcpu_vector(vcpu)

    @part_of("kvm_xen_inject_pending_events")
    @atomic
    def inject_evtchn_pending_sel(self, vcpu: KvmVcpu, gpc: GfnToPfnCache) -> None:
        """Set the pending bits in vcpu_info.

        Linux: arch/x86/kvm/xen.c kvm_xen_inject_pending_events(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        self.access_khva(gpc, True)
        self.trace_gpc_write(gpc)

    @part_of("kvm_xen_inject_pending_events")
    @atomic
    def inject_upcall_pending(self, gpc: GfnToPfnCache) -> None:
        """Mark an upcall pending in vcpu_info.

        Linux: arch/x86/kvm/xen.c kvm_xen_inject_pending_events(), v7.3.4.
        Locks: gpc.lock for reading.
        """
        self.access_khva(gpc, True)
        self.host_set_upcall(gpc)
        kvm = gpc.kvm
        assert kvm is not None
        self.trace_evtchn_signalled(kvm, True)

    def kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Return whether an upcall is pending; none is without vcpu_info.

        Linux: arch/x86/kvm/xen.h kvm_xen_has_interrupt(), v7.3.4.
        """
        return vcpu.xen.vcpu_info_cache.active and self._kvm_xen_has_interrupt(vcpu)

    def _kvm_xen_has_interrupt(self, vcpu: KvmVcpu) -> bool:
        """Read vcpu_info in an SRCU section.

        Linux: arch/x86/kvm/xen.c __kvm_xen_has_interrupt(), v7.3.4 (without the section before v7.3.2: aa8ad943f242).
        Simplified: the VM's upcall_vector is set.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu):
            return self.upcall_is_pending(vcpu)

    @part_of("__kvm_xen_has_interrupt")
    def upcall_is_pending(self, vcpu: KvmVcpu) -> bool:
        """Read vcpu_info; return True where it must not be refreshed: before the vCPU blocks, and in atomic context.

        Linux: arch/x86/kvm/xen.c __kvm_xen_has_interrupt(), v7.3.4.
        Locks: SRCU.
        Simplified: the contents of vcpu_info are not modelled; an upcall is always pending.
        """
        gpc = vcpu.xen.vcpu_info_cache
        gpc.lock.read_lock_irq()
        while not self.kvm_gpc_check(gpc, self.VCPU_INFO_SIZE):
            gpc.lock.read_unlock_irq()
            if current_thread_info().preempt_count != 0 or current().interruptible:
                return True
            if self.kvm_gpc_refresh(gpc, self.VCPU_INFO_SIZE) != 0:
                return False
            gpc.lock.read_lock_irq()
        self.access_khva(gpc, False)
        gpc.lock.read_unlock_irq()
        return True
