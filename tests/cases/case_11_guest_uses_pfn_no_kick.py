# SPDX-License-Identifier: GPL-2.0-only
"""Case 11: the pfn of a cache is in vmcs02 while the guest runs, and an invalidation does not kick the vCPU out.

Known from: KVM_GUEST_USES_PFN of 982ed0de4753 ("KVM: Reinstate gfn_to_pfn_cache with invalidation support") in v5.17,
which a4bff3df5147 ("KVM: pfncache: remove KVM_GUEST_USES_PFN usage") dropped in v6.9; proposed again in 2026-01.
Right verdict: violated: the guest reaches a page that is free.
"""

from __future__ import annotations

from pfncache import World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.atomic import atomic
from pfncache.lang.records import Record
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.types import Pfn
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux


class GuestMode(Record):
    """vcpu->mode, and the pfn in vmcs02."""

    in_guest: bool
    pfn: Pfn = -1


class GuestUsesPfn(Patch, Vmlinux):
    """KVM: pfncache: restore guest-uses-pfn support, without the request."""

    def kvm_vcpu_run_l2(self, vcpu: KvmVcpu, mode: GuestMode) -> None:
        """Refresh, write the pfn into vmcs02, enter, let the guest use it, leave."""
        kvm = vcpu.kvm
        assert kvm is not None
        gpc = vcpu.pv_time
        with srcu_read_lock(kvm.srcu):
            gpc.lock.read_lock_irq()
            while not self.kvm_gpc_check(gpc, self.PVCLOCK_SIZE):
                gpc.lock.read_unlock_irq()
                if self.kvm_gpc_refresh(gpc, self.PVCLOCK_SIZE) != 0:
                    return
                gpc.lock.read_lock_irq()
            mode.pfn = gpc.pfn
            mode.in_guest = True
            gpc.lock.read_unlock_irq()
        self.guest_uses_pfn(mode)
        mode.in_guest = False

    @atomic
    def guest_uses_pfn(self, mode: GuestMode) -> None:
        """Write the virtual APIC page, as the processor does."""
        if self.pfn_valid(mode.pfn) and self.mem_map[mode.pfn].free:
            report("use-after-free", f"the guest writes pfn {mode.pfn} from vmcs02, but it is free")


@scenario
def nested_guest(w: World) -> None:
    """The page of a cache whose pfn is in vmcs02 is unmapped."""
    w.clock_on()
    w.actor("vcpu", w.call("kvm_vcpu_run_l2", w.vcpu, GuestMode("mode")))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


no_kick = mainline_7_3 + [GuestUsesPfn]
