# SPDX-License-Identifier: GPL-2.0-only
"""KVM maps or accesses private memory."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.linux.types import Kva, Pfn
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED
from pfncache.properties.oracle import Oracle
from pfncache.properties.property import Property


class PrivateAccessProbe(Oracle):
    """Checks each kernel mapping that pfncache makes, and each access of the kernel to a page.

    On a CoCo VM the access itself is fatal, and the model of the processor reports it; the probe reports it for every
    type of VM.
    """

    @atomic
    def trace_gpc_map(self, gpc: GfnToPfnCache, pfn: Pfn) -> None:
        """Require that the mapped page is not private."""
        super().trace_gpc_map(gpc, pfn)
        if self.pfn_valid(pfn) and self.is_private_page(self.mem_map[pfn]):
            report("private-access", f"{gpc} makes a kernel mapping of pfn {pfn}, which is private guest memory")

    @atomic
    def trace_kernel_access(self, khva: Kva, page: Page, write: bool) -> None:
        """Require that a page accessed through a kernel address is not private."""
        super().trace_kernel_access(khva, page, write)
        if self.is_private_page(page):
            report("private-access", f"the kernel accesses pfn {page.pfn}, which is private guest memory")

    @atomic
    def trace_user_access(self, page: Page, write: bool) -> None:
        """Require that a page accessed through a user address is not private."""
        super().trace_user_access(page, write)
        if self.is_private_page(page):
            report("private-access", f"KVM accesses pfn {page.pfn}, which is private guest memory, through user space")

    def is_private_page(self, page: Page) -> bool:
        """Return whether the page belongs to a guest_memfd whose pages are private."""
        mapping = page.mapping
        if page.anon or mapping is None:
            return False
        return mapping.gmem and mapping.gmem_flags & GUEST_MEMFD_FLAG_INIT_SHARED == 0


PRIVATE_ACCESS = Property(
    "private-access",
    "KVM maps or accesses PRIVATE guest memory; on SNP or TDX hardware that is fatal",
    PrivateAccessProbe,
)
