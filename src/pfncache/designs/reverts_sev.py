# SPDX-License-Identifier: GPL-2.0-only
"""Reverts of fixes of SNP guests."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.kvm.svm.sev import Sev
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import INVALID_GPA, Gfn, Gpa


class RevertVmsaTracking(Patch, Sev):
    """KVM: SVM: keep the pfn of a VMSA without tracking it, as sev_snp_reload_vmsa() of 6.12.117 does.

    No invalidation of guest_memfd and no deletion of a memslot is about VMSAs there.
    """

    def _sev_snp_reload_vmsa(self, vcpu: KvmVcpu, gpa: Gpa) -> None:
        """Look the page up and use it."""
        kvm = vcpu.kvm
        assert kvm is not None
        vcpu.sev_es.vmsa_pa = -1
        vcpu.sev_es.snp_guest_vmsa_gpa = INVALID_GPA
        if gpa == INVALID_GPA:
            return
        gfn = self.gpa_to_gfn(gpa)
        slot = self.gfn_to_memslot(kvm, gfn)
        if slot is None:
            return
        pfn = self.kvm_gmem_get_pfn(kvm, slot, gfn)
        if pfn < 0:
            return
        vcpu.sev_es.snp_guest_vmsa_gpa = gpa
        self.set_vmsa_pa(vcpu, gfn, pfn)
        self.kvm_release_page_clean(pfn)

    def sev_gmem_invalidate_range(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Do nothing."""
