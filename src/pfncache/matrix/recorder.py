# SPDX-License-Identifier: GPL-2.0-only
"""Record the means by which KVM reaches guest memory, on the model."""

from __future__ import annotations

from pfncache.designs.design import Patch
from pfncache.linux.arch.x86.lib.copy_user_64 import Usercopy
from pfncache.linux.arch.x86.mm.fault import Fault
from pfncache.linux.include.linux.kvm_host import Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Hva, Kva, Pfn
from pfncache.linux.mm.gup import Gup
from pfncache.linux.virt.kvm.guest_memfd.page import GuestMemfdPage

USER_MAPPING, GUEST_MEMFD, DIRECT_MAP, ALIAS = "user mapping", "guest_memfd", "direct map", "kernel alias"
ORDER = (USER_MAPPING, GUEST_MEMFD, DIRECT_MAP, ALIAS)


class AccessRecorder(Patch, Fault, Gup, Usercopy, GuestMemfdPage):
    """Not in any kernel: record the means of each access to guest memory, failed ones included."""

    host_means: set[str]

    def user_access_retry(self, address: Hva, write: bool) -> bool:
        """An access through a user address."""
        self.host_means.add(USER_MAPPING)
        return super().user_access_retry(address, write)

    def get_user_page_fast_only(self, address: Hva) -> Pfn:
        """A lookup through a user address."""
        self.host_means.add(USER_MAPPING)
        return super().get_user_page_fast_only(address)

    def pin_user_pages_fast(self, address: Hva) -> Pfn:
        """A lookup through a user address, whose page is pinned."""
        self.host_means.add(USER_MAPPING)
        return super().pin_user_pages_fast(address)

    def kvm_gmem_get_pfn(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """A lookup in guest_memfd."""
        self.host_means.add(GUEST_MEMFD)
        return super().kvm_gmem_get_pfn(kvm, slot, gfn)

    def kernel_access(self, khva: Kva, write: bool) -> Pfn:
        """An access through a kernel address."""
        self.host_means.add(ALIAS if khva >= self.VMALLOC_START else DIRECT_MAP)
        return super().kernel_access(khva, write)
