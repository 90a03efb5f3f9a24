# SPDX-License-Identifier: GPL-2.0-only
"""Case 31: KVM_SET_VCPU_EVENTS unmaps the pages of the nested guest outside an SRCU read section.

Known from: 4bcdd831d9d0 ("KVM: x86: Acquire kvm->srcu when handling KVM_SET_VCPU_EVENTS") in v6.11, found by
syzkaller.
Right verdict: violated, srcu-unprotected.
"""

from __future__ import annotations

from pfncache import World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import no_caches


class EventsWithoutSrcu(Patch, Vmlinux):
    """Revert "KVM: x86: Acquire kvm->srcu when handling KVM_SET_VCPU_EVENTS"."""

    def kvm_vcpu_ioctl_x86_set_vcpu_events(self, vcpu: KvmVcpu) -> None:
        """Map in a section, leave nested mode outside of it."""
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex):
            with srcu_read_lock(kvm.srcu):
                ret, pfn, khva = self.kvm_vcpu_map(vcpu, 0)
            if ret == 0:
                self.kvm_vcpu_unmap(vcpu, 0, pfn, khva)


@scenario(slots=2, caches=no_caches)
def leave_nested(w: World) -> None:
    """Nested mode is left from an ioctl while the memslot is deleted."""
    w.actor("vcpu", w.call("kvm_vcpu_ioctl_x86_set_vcpu_events", w.vcpu))
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


events = mainline_7_3 + [EventsWithoutSrcu]
