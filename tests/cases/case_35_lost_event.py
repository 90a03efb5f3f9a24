# SPDX-License-Identifier: GPL-2.0-only
"""Case 35: an event that could not be delivered at once is lost: the fast path does not note it in evtchn_pending_sel.

Known from: the class of 8e62bf2bfa46 ("KVM: x86/xen: inject vCPU upcall vector when local APIC is enabled") in v6.8.
Right verdict: violated, lost-event.
"""

from __future__ import annotations

from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.arch.x86.kvm.xen import Xen
from pfncache.linux.arch.x86.kvm.xen.evtchn import EWOULDBLOCK
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.kernel.locking.spinlock import read_lock_irq
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock


class ForgetsEvent(Patch, Xen):
    """KVM: x86/xen: do not note an event whose vcpu_info is away."""

    def kvm_xen_set_evtchn_fast(self, kvm: Kvm, vcpu: KvmVcpu) -> Errno:
        """Kick the vCPU alone."""
        with srcu_read_lock(kvm.srcu):
            gpc = kvm.xen.shinfo_cache
            with read_lock_irq(gpc.lock):
                if not self.kvm_gpc_check(gpc, self.PAGE_SIZE):
                    return -EWOULDBLOCK
                rc: Errno = self.set_evtchn_pending(gpc)
                if rc != 1:
                    return rc
            info = vcpu.xen.vcpu_info_cache
            with read_lock_irq(info.lock):
                if self.kvm_gpc_check(info, self.PVCLOCK_SIZE):
                    self.set_evtchn_pending_sel(info)
        self.kvm_vcpu_kick(vcpu)
        return 1


forgets = mainline_7_3 + [ForgetsEvent]
