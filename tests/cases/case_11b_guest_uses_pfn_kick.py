# SPDX-License-Identifier: GPL-2.0-only
"""Case 11b: the pfn of a cache is in vmcs02; an invalidation makes a request, and waits until the vCPU is outside.

Known from: as case 11, with the handshake of KVM_REQUEST_WAIT.
Right verdict: holds. What the patch stores in struct kvm_vcpu is new members of it.
"""

from __future__ import annotations

from pfncache import World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.types import Hva, Pfn
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux


class NestedVcpu(KvmVcpu, extends=True):
    """struct kvm_vcpu, with whether it is in guest mode, a request, and the pfn in vmcs02."""

    in_guest_mode: bool
    request: bool
    vmcs02_pfn: Pfn = -1


class GuestUsesPfnKick(Patch, Vmlinux):
    """KVM: pfncache: restore guest-uses-pfn support."""

    structs = (NestedVcpu,)

    def kvm_vcpu_run_l2(self, vcpu: NestedVcpu) -> None:
        """Refresh, write the pfn into vmcs02, enter unless there is a request, let the guest use it, leave."""
        kvm = vcpu.kvm
        assert kvm is not None
        gpc = vcpu.pv_time
        while True:
            vcpu.request = False
            with srcu_read_lock(kvm.srcu):
                gpc.lock.read_lock_irq()
                while not self.kvm_gpc_check(gpc, self.PVCLOCK_SIZE):
                    gpc.lock.read_unlock_irq()
                    if self.kvm_gpc_refresh(gpc, self.PVCLOCK_SIZE) != 0:
                        return
                    gpc.lock.read_lock_irq()
                vcpu.vmcs02_pfn = gpc.pfn
                gpc.lock.read_unlock_irq()
            vcpu.in_guest_mode = True
            if not vcpu.request:
                break
            vcpu.in_guest_mode = False
        self.guest_uses_pfn(vcpu)
        vcpu.in_guest_mode = False

    @atomic
    def guest_uses_pfn(self, vcpu: NestedVcpu) -> None:
        """Write the virtual APIC page, as the processor does."""
        if self.pfn_valid(vcpu.vmcs02_pfn) and self.mem_map[vcpu.vmcs02_pfn].free:
            report("use-after-free", f"the guest writes pfn {vcpu.vmcs02_pfn} from vmcs02, but it is free")

    def gfn_to_pfn_cache_invalidate_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Kick the vCPUs out, and wait."""
        super().gfn_to_pfn_cache_invalidate_start(kvm, start, end)
        for vcpu in kvm.vcpus:
            assert isinstance(vcpu, NestedVcpu)
            vcpu.request = True
            self.wait_for_outside(vcpu)

    @atomic
    def wait_for_outside(self, vcpu: NestedVcpu) -> None:
        """Wait, as KVM_REQUEST_WAIT does."""
        block_until(not vcpu.in_guest_mode)


@scenario
def nested_guest(w: World) -> None:
    """The page of a cache whose pfn is in vmcs02 is unmapped."""
    w.clock_on()
    w.actor("vcpu", w.call("kvm_vcpu_run_l2", w.vcpu))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


kick = mainline_7_3 + [GuestUsesPfnKick]
