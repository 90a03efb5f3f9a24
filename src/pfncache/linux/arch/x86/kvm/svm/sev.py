# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/svm/sev.c: the VMSA of an SNP guest's vCPU, a page of guest_memfd whose pfn KVM keeps in the VMCB.

The processor reads and writes it at each entry and exit of the guest. No reference is held on the page, which is
private. It is tracked by its gfn: an invalidation of guest_memfd, and the deletion of the memslot, request that the
vCPU looks it up again.
"""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_SNP_VM
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gfn, Gpa
from pfncache.linux.include.linux.lockdep import lockdep_assert_held, lockdep_assert_held_write
from pfncache.linux.include.linux.types import Errno, Pfn
from pfncache.linux.include.uapi.linux.errno import EINVAL
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import read_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class Sev(KvmMm):
    """The VMSA in guest_memfd: lookup, invalidation, and the creation of vCPUs by the guest."""

    def _sev_snp_reload_vmsa(self, vcpu: KvmVcpu, gpa: Gpa) -> None:
        """Look the page of a VMSA up, and use it unless an invalidation has begun or ended meanwhile.

        Neither the attributes nor KVM_MEMSLOT_INVALID are looked at: the copy of a slot that is going away has no file.

        Linux: arch/x86/kvm/svm/sev.c __sev_snp_reload_vmsa(), v7.3.4 (7.2.12 has the same; 6.12.117 keeps the pfn
        without a retry test, and without tracking it).
        Locks: snp_vmsa_mutex, SRCU; takes mmu_lock for reading.
        Simplified: a vCPU without a VMSA of the guest's has none; in C it has the initial one, which KVM allocates.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        sev_es = vcpu.sev_es
        lockdep_assert_held(sev_es.snp_vmsa_mutex)
        sev_es.vmsa_pa = -1
        sev_es.snp_guest_vmsa_gpa = INVALID_GPA
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
            # From here on, an invalidation finds the vCPU.
            sev_es.snp_guest_vmsa_gpa = gpa
            if self.mmu_invalidate_retry_gfn(kvm, sequence, gfn):
                vcpu.vmsa_page_reload = True
            else:
                self.set_vmsa_pa(vcpu, gfn, pfn)
        self.kvm_release_page_clean(pfn)

    @part_of("__sev_snp_reload_vmsa")
    @atomic
    def set_vmsa_pa(self, vcpu: KvmVcpu, gfn: Gfn, pfn: Pfn) -> None:
        """Store the address of the VMSA in the VMCB.

        Linux: arch/x86/kvm/svm/sev.c __sev_snp_reload_vmsa(), v7.3.4.
        Locks: snp_vmsa_mutex, mmu_lock for reading.
        """
        vcpu.sev_es.vmsa_pa = pfn
        vcpu.sev_es.vmsa_tag = self.mem_map[pfn].incarnation
        self.trace_set_vmsa(vcpu, gfn, pfn)

    def sev_snp_init_protected_guest_state(self, vcpu: KvmVcpu) -> None:
        """Set the VMSA that the guest has chosen, at the reset of the vCPU; without one, the vCPU is halted.

        Linux: arch/x86/kvm/svm/sev.c sev_snp_init_protected_guest_state(), v7.3.4.
        Locks: vcpu.mutex, SRCU; takes snp_vmsa_mutex.
        """
        sev_es = vcpu.sev_es
        with mutex(sev_es.snp_vmsa_mutex):
            if not sev_es.snp_ap_waiting_for_reset:
                return
            sev_es.snp_ap_waiting_for_reset = False
            vcpu.halted = True
            gpa = sev_es.snp_pending_vmsa_gpa
            sev_es.snp_pending_vmsa_gpa = INVALID_GPA
            self._sev_snp_reload_vmsa(vcpu, gpa)
            # Runnable even if the VMSA could not be looked up: KVM_RUN fails then, and the vCPU does not hang.
            if gpa != INVALID_GPA:
                vcpu.halted = False

    def sev_snp_reload_vmsa(self, vcpu: KvmVcpu) -> None:
        """Look the VMSA up again.

        Linux: arch/x86/kvm/svm/sev.c sev_snp_reload_vmsa(), v7.3.4.
        Locks: vcpu.mutex, SRCU; takes snp_vmsa_mutex.
        """
        with mutex(vcpu.sev_es.snp_vmsa_mutex):
            self._sev_snp_reload_vmsa(vcpu, vcpu.sev_es.snp_guest_vmsa_gpa)

    def sev_snp_ap_creation(self, target: KvmVcpu, gpa: Gpa) -> Errno:
        """Choose the VMSA of a vCPU: SVM_VMGEXIT_AP_CREATE, or SVM_VMGEXIT_AP_DESTROY with INVALID_GPA.

        Linux: arch/x86/kvm/svm/sev.c sev_snp_ap_creation(), v7.3.4.
        Locks: SRCU; takes snp_vmsa_mutex of the target, held while it waits until the target has left the guest.
        Returns: 0.
        Simplified: the guest's arguments are valid; no SVM_VMGEXIT_AP_CREATE_ON_INIT.
        """
        with mutex(target.sev_es.snp_vmsa_mutex):
            target.sev_es.snp_pending_vmsa_gpa = gpa
            target.sev_es.snp_ap_waiting_for_reset = True
            # kvm_make_request_and_kick() with KVM_REQUEST_WAIT
            target.update_protected_guest_state = True
            self._kvm_vcpu_kick(target, True)
        return 0

    def sev_gmem_invalidate_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Request that each vCPU whose VMSA is in [start, end) looks it up again, and make it leave the guest.

        Linux: arch/x86/kvm/svm/sev.c sev_gmem_invalidate_range(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        lockdep_assert_held_write(kvm.mmu_lock)
        if kvm.vm_type != KVM_X86_SNP_VM:
            return
        for vcpu in kvm.vcpus:
            gpa = vcpu.sev_es.snp_guest_vmsa_gpa
            if gpa != INVALID_GPA and start <= self.gpa_to_gfn(gpa) < end:
                # kvm_make_request_and_kick() with KVM_REQUEST_WAIT
                vcpu.vmsa_page_reload = True
                self._kvm_vcpu_kick(vcpu, True)

    def pre_sev_run(self, vcpu: KvmVcpu) -> Errno:
        """Check that the vCPU has a VMSA.

        Linux: arch/x86/kvm/svm/sev.c pre_sev_run(), v7.3.4.
        Locks: vcpu.mutex.
        Returns: 0 or -EINVAL.
        """
        return -EINVAL if vcpu.sev_es.vmsa_pa == -1 else 0
