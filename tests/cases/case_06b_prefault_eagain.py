# SPDX-License-Identifier: GPL-2.0-only
"""Case 06b: KVM_PRE_FAULT_MEMORY leaves its SRCU section when it meets a slot that is deleted.

Known from: 3ccbf6f47098 ("KVM: x86/mmu: Return -EAGAIN if userspace deletes/moves memslot during prefault") in v6.18.
Right verdict: holds.
"""

from __future__ import annotations

from pfncache import World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.arch.x86.kvm.mmu.mmu import RET_PF_RETRY, Mmu
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EAGAIN
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.scenarios.world import no_caches


class PreFaultOrLeave(Patch, Mmu):
    """KVM: x86/mmu: Return -EAGAIN if userspace deletes/moves memslot during prefault."""

    def kvm_vcpu_pre_fault_memory(self, vcpu: KvmVcpu, gfn: Gfn, private: bool) -> Errno:
        """Retry, unless the slot is being deleted."""
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex), srcu_read_lock(kvm.srcu):
            while True:
                slot = self.gfn_to_memslot(kvm, gfn)
                if slot is not None and slot.invalid:
                    return -EAGAIN
                ret = self.kvm_tdp_page_fault(kvm, gfn, private)
                if ret != RET_PF_RETRY:
                    return ret


@scenario(slots=2, caches=no_caches)
def prefault(w: World) -> None:
    """Memory is pre-faulted while its slot is deleted."""
    w.actor("vcpu", w.call("kvm_vcpu_pre_fault_memory", w.vcpu, 0, False))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


leave_section = mainline_7_3 + [PreFaultOrLeave]
