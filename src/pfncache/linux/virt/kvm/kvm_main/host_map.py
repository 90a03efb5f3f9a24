# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c, struct kvm_host_map: a kernel mapping of a guest page that is pinned while it is mapped."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import KvmVcpu
from pfncache.linux.include.linux.kvm_types import Gfn, is_error_noslot_pfn
from pfncache.linux.include.linux.types import Errno, Kva, Pfn
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class HostMap(KvmMm):
    """kvm_vcpu_map() and kvm_vcpu_unmap()."""

    def kvm_vcpu_map(self, vcpu: KvmVcpu, gfn: Gfn) -> tuple[Errno, Pfn, Kva]:
        """Pin and map a guest page for writing.

        Linux: include/linux/kvm_host.h kvm_vcpu_map(), v7.3.4.
        Locks: SRCU; may sleep.
        Returns: as _kvm_vcpu_map().
        """
        return self._kvm_vcpu_map(vcpu, gfn)

    def _kvm_vcpu_map(self, vcpu: KvmVcpu, gfn: Gfn) -> tuple[Errno, Pfn, Kva]:
        """Pin and map a guest page for writing.

        Linux: virt/kvm/kvm_main.c __kvm_vcpu_map(), v7.3.4.
        Locks: SRCU; may sleep.
        Returns: 0, -EINVAL without a page, or -EFAULT without a mapping; the pfn; its kernel address.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        pfn = self.kvm_follow_pfn(self.gfn_to_memslot(kvm, gfn), gfn, True)
        if is_error_noslot_pfn(pfn):
            return -EINVAL, pfn, 0
        khva = self.kmap(self.mem_map[pfn])
        return 0 if khva != 0 else -EFAULT, pfn, khva

    def kvm_vcpu_unmap(self, vcpu: KvmVcpu, gfn: Gfn, pfn: Pfn, khva: Kva) -> None:
        """Undo kvm_vcpu_map(), and mark the page dirty.

        Linux: virt/kvm/kvm_main.c kvm_vcpu_unmap(), v7.3.4.
        Locks: SRCU.
        """
        kvm = vcpu.kvm
        assert kvm is not None
        self.kunmap(khva)
        self.mark_page_dirty(kvm, gfn)
        self.unpin_user_page(self.mem_map[pfn])
