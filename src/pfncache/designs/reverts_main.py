# SPDX-License-Identifier: GPL-2.0-only
"""Reverts of changes of virt/kvm/kvm_main.c: how older kernels behave."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, Gfn, is_error_noslot_pfn
from pfncache.linux.include.linux.types import Hva, Kva, Pfn
from pfncache.linux.virt.kvm.kvm_main.gfn_to_pfn import GfnToPfn
from pfncache.linux.virt.kvm.kvm_main.host_map import HostMap


class RevertPinnedMap(Patch, GfnToPfn, HostMap):
    """Revert "KVM: Pin (as in FOLL_PIN) pages during kvm_vcpu_map()" (6.13).

    A reference does not keep fork() from sharing the page: the next write of the VMM copies it, and KVM and the
    processor go on with the child's page.
    """

    def pin_hva(self, hva: Hva) -> Pfn:
        """Take a reference instead of a pin. Device memory, which older kernels map here, is refused."""
        pfn = self.hva_to_pfn(hva)
        return pfn if is_error_noslot_pfn(pfn) or self.pfn_valid(pfn) else KVM_PFN_ERR_FAULT

    def kvm_vcpu_unmap(self, vcpu: KvmVcpu, gfn: Gfn, pfn: Pfn, khva: Kva) -> None:
        """Drop the reference."""
        kvm = vcpu.kvm
        assert kvm is not None
        self.kunmap(khva)
        self.mark_page_dirty(kvm, gfn)
        self.put_page(self.mem_map[pfn])


class TryGetPfn(Patch, GfnToPfn):
    """Take a reference on a page of VM_PFNMAP memory, as kernels before 6.13 do.

    Part of the series "precisely track refcounted pages" (6.13). A page that has none, because its driver does not
    count references, cannot be mapped.
    """

    def resolve_remapped_page(self, pfn: Pfn) -> Pfn:
        """Do what kvm_try_get_pfn() does."""
        return pfn if self.try_get_page(self.mem_map[pfn]) else KVM_PFN_ERR_FAULT
