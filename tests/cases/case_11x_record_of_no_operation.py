# SPDX-License-Identifier: GPL-2.0-only
"""Case 11x: as case 11b, with the state of the vCPU in a record at the top of the file, which no operation is given.

Such a record is no part of the state: a second run of the set-up would find it as the first one left it.
Right answer: a usage error that says what to do instead.
"""

from __future__ import annotations

from pfncache import World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.records import Record
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.types import Hva, Pfn
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux


class GuestMode(Record):
    """vcpu->mode, vcpu->requests, and the pfn in vmcs02."""

    in_guest: bool
    request: bool
    pfn: Pfn = -1


MODE = GuestMode("mode")


class GuestUsesPfnKick(Patch, Vmlinux):
    """KVM: pfncache: restore guest-uses-pfn support."""

    def kvm_vcpu_run_l2(self, vcpu: KvmVcpu) -> None:
        """Refresh, write the pfn into vmcs02, enter unless there is a request, let the guest use it, leave."""
        kvm = vcpu.kvm
        assert kvm is not None
        gpc = vcpu.pv_time
        while True:
            MODE.request = False
            with srcu_read_lock(kvm.srcu):
                gpc.lock.read_lock_irq()
                while not self.kvm_gpc_check(gpc, self.PVCLOCK_SIZE):
                    gpc.lock.read_unlock_irq()
                    if self.kvm_gpc_refresh(gpc, self.PVCLOCK_SIZE) != 0:
                        return
                    gpc.lock.read_lock_irq()
                MODE.pfn = gpc.pfn
                gpc.lock.read_unlock_irq()
            MODE.in_guest = True
            if not MODE.request:
                break
            MODE.in_guest = False
        self.guest_uses_pfn()
        MODE.in_guest = False

    @atomic
    def guest_uses_pfn(self) -> None:
        """Write the virtual APIC page, as the processor does."""
        if self.pfn_valid(MODE.pfn) and self.mem_map[MODE.pfn].free:
            report("use-after-free", f"the guest writes pfn {MODE.pfn} from vmcs02, but it is free")

    def gfn_to_pfn_cache_invalidate_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Kick the vCPU out, and wait."""
        super().gfn_to_pfn_cache_invalidate_start(kvm, start, end)
        MODE.request = True
        self.wait_for_outside()

    @atomic
    def wait_for_outside(self) -> None:
        """Wait, as KVM_REQUEST_WAIT does."""
        block_until(not MODE.in_guest)


@scenario
def nested_guest(w: World) -> None:
    """The page of a cache whose pfn is in vmcs02 is unmapped."""
    w.clock_on()
    w.actor("vcpu", w.call("kvm_vcpu_run_l2", w.vcpu))
    w.actor("munmap", w.call("vm_munmap", w.mm, w.hva))


kick = mainline_7_3 + [GuestUsesPfnKick]
