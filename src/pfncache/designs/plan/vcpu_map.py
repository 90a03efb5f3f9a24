# SPDX-License-Identifier: GPL-2.0-only
"""KVM: pages of a nested guest's that are mapped and pinned: VMCBs, and what L1 gives to L2's processor."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gfn, is_error_noslot_pfn
from pfncache.linux.include.linux.types import Errno, Kva, Pfn
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL
from pfncache.linux.vmlinux import Vmlinux


class VmapPinnedPages(Patch, Vmlinux):
    """KVM: vmap() a page without a direct map in kvm_vcpu_map().

    Its users sleep, so that a local mapping does not do. The page is pinned until the alias is gone: that does not
    outlive the page, and no invalidation has to wait for it.
    """

    def _kvm_vcpu_map(self, vcpu: KvmVcpu, gfn: Gfn) -> tuple[Errno, Pfn, Kva]:
        """Map a page without a direct map by vmap()."""
        kvm = vcpu.kvm
        assert kvm is not None
        pfn = self.kvm_follow_pfn(self.gfn_to_memslot(kvm, gfn), gfn, True)
        if is_error_noslot_pfn(pfn):
            return -EINVAL, pfn, 0
        page = self.mem_map[pfn]
        khva = self.kmap(page) if page.direct_map else self.vmap(page)
        if khva == 0:
            self.unpin_user_page(page)
            return -EFAULT, pfn, 0
        return 0, pfn, khva

    def kvm_vcpu_unmap(self, vcpu: KvmVcpu, gfn: Gfn, pfn: Pfn, khva: Kva) -> None:
        """Take the alias away, then the pin."""
        if self.is_vmalloc_addr(khva):
            self.vunmap(khva)
        super().kvm_vcpu_unmap(vcpu, gfn, pfn, khva)
