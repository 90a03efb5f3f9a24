# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/vmx/nested.c: a page of L1 that is pinned and mapped from the entry of L2 to its exit."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class VmxNested(KvmMm):
    """The pages of vmcs12, of which the model has the virtual-APIC page."""

    def nested_get_vmcs12_pages(self, vcpu: KvmVcpu, gpa: Gpa) -> bool:
        """Pin and map the virtual-APIC page, whose pfn goes into vmcs02.

        Linux: arch/x86/kvm/vmx/nested.c nested_get_vmcs12_pages(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        Returns: whether L2 can be entered. In C, an entry without the page fails in the processor.
        """
        host_map = vcpu.virtual_apic_map
        ret, pfn, khva = self.kvm_vcpu_map(vcpu, self.gpa_to_gfn(gpa))
        if ret != 0:
            return False
        host_map.gfn = self.gpa_to_gfn(gpa)
        host_map.pfn = pfn
        host_map.khva = khva
        return True

    def nested_put_vmcs12_pages(self, vcpu: KvmVcpu) -> None:
        """Unmap and unpin the page, and mark it dirty at its gfn, whatever is there by now.

        Linux: arch/x86/kvm/vmx/nested.c nested_put_vmcs12_pages(), v7.3.4.
        Locks: vcpu.mutex, SRCU.
        """
        host_map = vcpu.virtual_apic_map
        if host_map.khva != 0:
            self.kvm_vcpu_unmap(vcpu, host_map.gfn, host_map.pfn, host_map.khva)
            host_map.khva = 0
