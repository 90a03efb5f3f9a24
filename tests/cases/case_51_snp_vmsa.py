# SPDX-License-Identifier: GPL-2.0-only
"""Case 51: KVM keeps the pfn of a vCPU's VMSA, which is private guest memory, in the VMCB of an SNP guest.

Known from: arch/x86/kvm/svm/sev.c of v7.3.4, __sev_snp_reload_vmsa() and sev_gmem_invalidate_range(): the pfn is
tracked by its gfn, invalidated from guest_memfd and from the deletion of a memslot, and looked up again by the vCPU.
Right verdict: holds. Without the hook in guest_memfd, or without that in memslots: violated, use-after-free.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gfn, Gpa
from pfncache.linux.include.linux.types import Pfn
from pfncache.linux.kernel.locking.mutex import Mutex, mutex
from pfncache.linux.kernel.locking.spinlock import read_lock, write_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import no_caches


class SevVcpu(KvmVcpu, extends=True):
    """struct kvm_vcpu, with what is used of struct vcpu_sev_es_state and of the VMCB."""

    snp_vmsa_mutex: Mutex
    snp_guest_vmsa_gpa: Gpa = INVALID_GPA
    vmsa_pfn: Pfn = -1
    """control.vmsa_pa."""
    vmsa_page_reload: bool
    """KVM_REQ_VMSA_PAGE_RELOAD."""
    in_guest_mode: bool
    """mode is IN_GUEST_MODE."""


class SnpVmsa(Patch, Vmlinux):
    """KVM: SVM: the VMSA of an SNP guest, as in 7.3.4."""

    structs = (SevVcpu,)

    def sev_snp_init_protected_guest_state(self, vcpu: SevVcpu, gpa: Gpa) -> None:
        """Set the VMSA that the guest has chosen (AP creation)."""
        kvm = vcpu.kvm
        assert kvm is not None
        with srcu_read_lock(kvm.srcu), mutex(vcpu.snp_vmsa_mutex):
            self._sev_snp_reload_vmsa(vcpu, gpa)

    def _sev_snp_reload_vmsa(self, vcpu: SevVcpu, gpa: Gpa) -> None:
        """Look the VMSA up; it becomes valid under mmu_lock, or a request to look it up again is made."""
        kvm = vcpu.kvm
        assert kvm is not None
        vcpu.vmsa_pfn = -1
        vcpu.snp_guest_vmsa_gpa = INVALID_GPA
        if gpa == INVALID_GPA:
            return
        gfn = self.gpa_to_gfn(gpa)
        slot = self.gfn_to_memslot(kvm, gfn)
        if slot is None:
            return
        sequence = kvm.mmu_invalidate_seq
        pfn = self.kvm_gmem_get_pfn(kvm, slot, gfn)
        if pfn < 0:
            return
        with read_lock(kvm.mmu_lock):
            vcpu.snp_guest_vmsa_gpa = gpa
            if self.mmu_invalidate_retry_gfn(kvm, sequence, gfn):
                vcpu.vmsa_page_reload = True
            else:
                vcpu.vmsa_pfn = pfn
        self.kvm_release_page_clean(pfn)

    def run_snp_guest(self, vcpu: SevVcpu) -> bool:
        """Run the guest once: KVM_RUN. Return whether it was entered."""
        kvm = vcpu.kvm
        assert kvm is not None
        with mutex(vcpu.mutex):
            with srcu_read_lock(kvm.srcu):
                if vcpu.vmsa_page_reload:
                    vcpu.vmsa_page_reload = False
                    with mutex(vcpu.snp_vmsa_mutex):
                        self._sev_snp_reload_vmsa(vcpu, vcpu.snp_guest_vmsa_gpa)
                if vcpu.vmsa_pfn == -1:
                    return False
                vcpu.in_guest_mode = True
            if vcpu.vmsa_page_reload:
                vcpu.in_guest_mode = False
                return False
            self.vmrun(vcpu)
            vcpu.in_guest_mode = False
            return True

    @atomic
    def vmrun(self, vcpu: SevVcpu) -> None:
        """Access the VMSA, as the processor does."""
        if self.mem_map[vcpu.vmsa_pfn].free:
            report("use-after-free", f"the VMSA of {vcpu} is pfn {vcpu.vmsa_pfn}, which is free")

    def sev_gmem_invalidate_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Request that each vCPU whose VMSA is in [start, end) looks it up again, and wait until it is outside."""
        for vcpu in kvm.vcpus:
            assert isinstance(vcpu, SevVcpu)
            gpa = vcpu.snp_guest_vmsa_gpa
            if gpa != INVALID_GPA and start <= self.gpa_to_gfn(gpa) < end:
                vcpu.vmsa_page_reload = True
                self.kick_and_wait(vcpu)

    @atomic
    def kick_and_wait(self, vcpu: SevVcpu) -> None:
        """Wait, as KVM_REQUEST_WAIT does."""
        block_until(not vcpu.in_guest_mode)

    def unmap_slot_range(
        self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn, private: bool, shared: bool
    ) -> None:
        """Call the hook after the guest's mappings, under mmu_lock: __kvm_gmem_invalidate_start()."""
        super().unmap_slot_range(kvm, slot, start, end, private, shared)
        self.sev_gmem_invalidate_range(kvm, start, end)

    def kvm_arch_flush_shadow_memslot(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Call the hook before the guest's mappings are zapped, under mmu_lock."""
        with write_lock(kvm.mmu_lock):
            if slot.gmem_file is not None:
                self.sev_gmem_invalidate_range(kvm, slot.base_gfn, slot.base_gfn + slot.npages)
            self.kvm_unmap_gfn_range(kvm, slot.base_gfn, slot.base_gfn + slot.npages, True, True)


class NoHookInGmem(Patch, Vmlinux):
    """KVM: guest_memfd: do not call kvm_arch_gmem_invalidate_range()."""

    def unmap_slot_range(
        self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn, private: bool, shared: bool
    ) -> None:
        """Zap the guest's mappings alone."""
        self.check_arch_ready(slot)
        self.kvm_unmap_gfn_range(kvm, start, end, private, shared)


class NoHookInMemslots(Patch, Vmlinux):
    """KVM: x86/mmu: do not call kvm_arch_gmem_invalidate_range() when a memslot is deleted."""

    def kvm_arch_flush_shadow_memslot(self, kvm: Kvm, slot: KvmMemorySlot) -> None:
        """Zap the guest's mappings alone."""
        with write_lock(kvm.mmu_lock):
            self.kvm_unmap_gfn_range(kvm, slot.base_gfn, slot.base_gfn + slot.npages, True, True)


@scenario(memory=MemoryKind.GMEM_COCO, caches=no_caches)
def punch(w: World) -> None:
    """The VMSA is punched while the guest runs."""
    w.do(w.call("sev_snp_init_protected_guest_state", w.vcpu, w.gpa))
    run = w.call("run_snp_guest", w.vcpu)
    w.actor("vcpu", run, run)
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(memory=MemoryKind.GMEM_COCO, slots=2, caches=no_caches)
def slot_deletion(w: World) -> None:
    """The slot of the VMSA is deleted and its page punched while the guest runs."""
    w.do(w.call("sev_snp_init_protected_guest_state", w.vcpu, w.gpa))
    w.actor("vcpu", w.call("run_snp_guest", w.vcpu))
    w.actor(
        "vmm",
        w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva),
        w.call("kvm_gmem_punch_hole", w.gmem, 0, 1),
    )


vmsa = mainline_7_3 + [SnpVmsa]
vmsa_without_hook_in_gmem = vmsa + [NoHookInGmem]
vmsa_without_hook_in_memslots = vmsa + [NoHookInMemslots]
