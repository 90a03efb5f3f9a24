# SPDX-License-Identifier: GPL-2.0-only
"""Case 57: a pfncache instead of kvm_vcpu_map() for L1's virtual-APIC page, whose pfn the processor uses while L2 runs.

Known from: the nested VMX series of 2025-11 to 2026-01, which replaces struct kvm_host_map by pfncaches; the code is
our own. Mainline pins the page, so that what user space maps in its place is another one: lost-update, cured here.
Right verdict: if the cache is checked at the entry alone, violated, use-after-free: no reference keeps the page while
L2 runs. If an invalidation makes a request, and waits until the vCPU is outside: holds.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.atomic import atomic, block_until
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from pfncache.linux.vmlinux import Vmlinux


class L2Vcpu(KvmVcpu, extends=True):
    """struct kvm_vcpu, with whether it runs L2, and a request to look at the cache again."""

    in_l2: bool
    request: bool


class NestedPfncache(Patch, Vmlinux):
    """KVM: nVMX: cache the virtual-APIC page in a pfncache, and check it at each entry.

    The cache of kvm-clock stands for it.
    """

    structs = (L2Vcpu,)

    def nested_get_vmcs12_pages(self, vcpu: KvmVcpu, gpa: Gpa) -> bool:
        """Activate the cache."""
        vcpu.virtual_apic_map.gfn = self.gpa_to_gfn(gpa)
        return self.kvm_gpc_activate(vcpu.pv_time, gpa, 1) == 0

    def nested_put_vmcs12_pages(self, vcpu: KvmVcpu) -> None:
        """Deactivate it."""
        self.kvm_gpc_deactivate(vcpu.pv_time)

    def run_l2(self, vcpu: KvmVcpu) -> Errno:
        """Refresh the cache, write its pfn into vmcs02, and run L2 unless there is a request."""
        kvm = vcpu.kvm
        assert kvm is not None
        assert isinstance(vcpu, L2Vcpu)
        gpc = vcpu.pv_time
        with mutex(vcpu.mutex), vcpu_loaded(vcpu):
            vcpu.request = False
            with srcu_read_lock(kvm.srcu):
                gpc.lock.read_lock_irq()
                while not self.kvm_gpc_check(gpc, 1):
                    gpc.lock.read_unlock_irq()
                    if self.kvm_gpc_refresh(gpc, 1) != 0:
                        return -EFAULT
                    gpc.lock.read_lock_irq()
                vcpu.virtual_apic_map.pfn = gpc.pfn
                gpc.lock.read_unlock_irq()
            vcpu.in_l2 = True
            if not vcpu.request:
                self.write_virtual_apic(vcpu)
            vcpu.in_l2 = False
            return 0


class WaitForL2(Patch, Vmlinux):
    """KVM: nVMX: make vCPUs leave L2, and wait for them, when a cache is invalidated."""

    def gfn_to_pfn_cache_invalidate_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Request, then wait, as KVM_REQUEST_WAIT does."""
        super().gfn_to_pfn_cache_invalidate_start(kvm, start, end)
        for vcpu in kvm.vcpus:
            assert isinstance(vcpu, L2Vcpu)
            vcpu.request = True
            self.wait_for_outside(vcpu)

    @atomic
    def wait_for_outside(self, vcpu: L2Vcpu) -> None:
        """Wait until the vCPU does not run L2."""
        block_until(not vcpu.in_l2)


def _l2(w: World) -> World:
    return w.actor(
        "vcpu",
        w.call("run_nested_entry", w.vcpu, w.gpa),
        w.call("run_l2", w.vcpu),
        w.call("run_l2", w.vcpu),
        w.call("run_nested_exit", w.vcpu),
    )


@scenario
def munmap(w: World) -> None:
    """The page is unmapped while L2 runs."""
    _l2(w).actor("munmap", w.call("vm_munmap", w.mm, w.hva))


@scenario(memory=MemoryKind.GMEM_MMAP)
def punch(w: World) -> None:
    """The page is punched out of guest_memfd while L2 runs."""
    _l2(w).actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(pages=4)
def migrate(w: World) -> None:
    """The page is moved while L2 runs."""
    w.do(w.call("do_user_addr_fault", w.mm, w.hva))
    _l2(w).actor("compaction", w.call("migrate_pages", w.mm, w.hva), process=False)


nested_pfncache = mainline_7_3 + [NestedPfncache]
nested_pfncache_waits = nested_pfncache + [WaitForL2]
