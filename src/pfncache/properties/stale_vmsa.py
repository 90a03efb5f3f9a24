# SPDX-License-Identifier: GPL-2.0-only
"""A VMCB has the page of a VMSA that is not what a lookup would return."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import Kvm, KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Pfn
from pfncache.properties.oracle import NOTHING, Oracle, found
from pfncache.properties.property import Property


class StaleVmsaProbe(Oracle):
    """Checks each VMSA that is stored in a VMCB, and those that are left at the end."""

    @atomic
    def trace_set_vmsa(self, vcpu: KvmVcpu, gfn: Gfn, pfn: Pfn) -> None:
        """Require that the page is what a lookup would return now."""
        super().trace_set_vmsa(vcpu, gfn, pfn)
        kvm = vcpu.kvm
        assert kvm is not None
        slot = self.oracle_slot(kvm, gfn)
        # A slot that is going away requests a reload; a file that is being released has its pages until it has done so.
        if slot is not None and slot.gmem_file is not None:
            now = self.oracle_gmem_page(slot, gfn)
            if now != pfn:
                report("stale-vmsa", f"{vcpu} gets a VMSA in pfn {pfn}, but a lookup would now return {found(now)}")

    @atomic
    def trace_quiescent(self, kvm: Kvm) -> None:
        """Require of each vCPU, unless a reload is requested, that its VMSA is what a lookup would return."""
        super().trace_quiescent(kvm)
        for vcpu in kvm.vcpus:
            pfn = vcpu.sev_es.vmsa_pa
            if pfn != NOTHING and not vcpu.vmsa_page_reload and not vcpu.update_protected_guest_state:
                slot = self.oracle_slot(kvm, vcpu.sev_es.snp_guest_vmsa_gpa >> self.PAGE_SHIFT)
                now: Pfn = NOTHING
                if slot is not None:
                    now = self.oracle_gmem_page(slot, vcpu.sev_es.snp_guest_vmsa_gpa >> self.PAGE_SHIFT)
                if now != pfn:
                    report(
                        "stale-vmsa",
                        f"{vcpu} has a VMSA in pfn {pfn} when all is done, but a lookup would return {found(now)}",
                    )


STALE_VMSA = Property(
    "stale-vmsa",
    "a vCPU of an SNP guest has a VMSA that is not what a lookup would return, and is not to look it up again",
    StaleVmsaProbe,
)
