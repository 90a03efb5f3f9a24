# SPDX-License-Identifier: GPL-2.0-only
"""Case 51: KVM keeps the pfn of a vCPU's VMSA, which is private guest memory, in the VMCB of an SNP guest.

Known from: arch/x86/kvm/svm/sev.c of v7.3.4, __sev_snp_reload_vmsa() and sev_gmem_invalidate_range(): the pfn is
tracked by its gfn, invalidated from guest_memfd and from the deletion of a memslot, and looked up again by the vCPU.
Right verdict: holds where the VMSA is mapped for the guest, so that TLBs are flushed. Without the hook in guest_memfd,
without that in memslots, or without the retry test: violated, use-after-free.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Sequence
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import no_caches


class NoHookInGmem(Patch, Vmlinux):
    """KVM: guest_memfd: call kvm_arch_gmem_invalidate_range() for the deletion of memslots alone."""

    def kvm_arch_gmem_invalidate_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Do nothing in guest_memfd, which has raised the count."""
        if kvm.mmu_invalidate_in_progress == 0:
            super().kvm_arch_gmem_invalidate_range(kvm, start, end)


class NoHookInMemslots(Patch, Vmlinux):
    """KVM: x86/mmu: do not call kvm_arch_gmem_invalidate_range() when a memslot is deleted."""

    def kvm_arch_flush_shadow_memslot(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Zap the guest's mappings alone."""
        with write_lock(kvm.mmu_lock):
            if self.kvm_unmap_gfn_range(kvm, slot.base_gfn, slot.base_gfn + slot.npages, True, True):
                self.kvm_flush_remote_tlbs(kvm)


class NoRetry(Patch, Vmlinux):
    """KVM: SVM: use the VMSA whatever was invalidated meanwhile."""

    def mmu_invalidate_retry_gfn(self, kvm: Kvm, sequence: Sequence, gfn: Gfn) -> bool:
        """Return that nothing was; only the VMSA is looked up in these scenarios."""
        return False


@scenario(memory=MemoryKind.GMEM_COCO, caches=no_caches)
def punch(w: World) -> None:
    """The VMSA is punched while the guest runs."""
    run = w.call("run_snp_guest", w.vcpu)
    w.do(w.call("run_ap_creation", w.vcpu, w.gpa), run)
    w.actor("vcpu", run, run)
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(memory=MemoryKind.GMEM_COCO, slots=2, caches=no_caches)
def slot_deletion(w: World) -> None:
    """The slot of the VMSA is deleted and its page punched while the guest runs."""
    run = w.call("run_snp_guest", w.vcpu)
    w.do(w.call("run_ap_creation", w.vcpu, w.gpa), w.call("run_guest_access", w.vcpu, 0, True), run)
    w.actor("vcpu", run)
    w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("kvm_gmem_punch_hole", w.gmem, 0, 1),
    )


vmsa_without_hook_in_gmem = mainline_7_3 + [NoHookInGmem]
vmsa_without_hook_in_memslots = mainline_7_3 + [NoHookInMemslots]
vmsa_without_retry = mainline_7_3 + [NoRetry]
