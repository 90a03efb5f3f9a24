# SPDX-License-Identifier: GPL-2.0-only
"""Case 14b: write() populates a page of a guest_memfd with NO_DIRECT_MAP, unless it is populated already.

Known from: "KVM: guest_memfd: add generic population via write", v3 to v7 of 2025, where a second write() is refused
with EEXIST: Firecracker relies on it.
Right verdict: holds.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.designs.no_direct_map import NoDirectMap
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.types import Errno, Pgoff
from pfncache.linux.include.uapi.linux.errno import EEXIST, ENOMEM
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import no_caches


class Write(Patch, Vmlinux):
    """KVM: guest_memfd: add generic population via write."""

    def kvm_gmem_write(self, file: File, index: Pgoff) -> Errno:
        """Write one page."""
        inode = file.f_mapping
        page = self.filemap_grab_folio(inode, index)
        if page is None:
            return -ENOMEM
        if page.uptodate:
            page.lock.unlock()
            self.put_page(page)
            return -EEXIST
        self.kernel_access_page(page)
        page.uptodate = True
        self.make_uptodate(inode, page)
        page.lock.unlock()
        self.put_page(page)
        return 0


@scenario(memory=MemoryKind.GMEM_NDM, caches=no_caches)
def write_and_touch(w: World) -> None:
    """A page is populated by write() while user space touches it."""
    w.actor("handler", w.call("kvm_gmem_write", w.gmem, 0))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))


write_once = mainline_7_3 + [NoDirectMap, Write]
