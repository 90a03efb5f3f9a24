# SPDX-License-Identifier: GPL-2.0-only
"""Case 08b: guest_memfd is populated from a page of user space that was pinned before.

Known from: 2a62345b3052 ("KVM: guest_memfd: GUP source pages prior to populating guest memory") in v7.0: case 08 as
merged.
Right verdict: holds.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno, Hva, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EFAULT, ENOMEM
from pfncache.linux.kernel.locking.rwsem import down_read, down_write
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import no_caches


class FaultUnderInvalidateLock(Patch, Vmlinux):
    """KVM: guest_memfd: hold invalidate_lock over a fault of user space."""

    def kvm_gmem_fault_user_mapping(self, mapping: AddressSpace, index: Pgoff) -> Pfn:
        """Fault under the lock."""
        with down_read(mapping.invalidate_lock):
            return super().kvm_gmem_fault_user_mapping(mapping, index)


class GupFirst(Patch, Vmlinux):
    """KVM: guest_memfd: GUP source pages prior to populating guest memory."""

    def kvm_gmem_populate(self, file: File, index: Pgoff, source: Hva) -> Errno:
        """Pin, then fill."""
        mm = current().mm
        assert mm is not None
        pinned = self.get_user_pages_unlocked(mm, source)
        if pinned < 0:
            return -EFAULT
        inode = file.f_mapping
        ret: Errno = 0
        with down_write(inode.invalidate_lock):
            page = self.filemap_grab_folio(inode, index)
            if page is None:
                ret = -ENOMEM
            else:
                self.kernel_access_page(page)
                page.lock.unlock()
                self.put_page(page)
        self.put_page(self.mem_map[pinned])
        return ret


@scenario(memory=MemoryKind.GMEM_MMAP, caches=no_caches)
def populate(w: World) -> None:
    """A guest_memfd is populated while user space touches its own mapping of it, and unmaps something else."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.actor("populate", w.call("kvm_gmem_populate", w.gmem, 0, w.other_hva))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("munmap", w.call("vm_munmap", w.mm, 0))


gup_first = mainline_7_3 + [FaultUnderInvalidateLock, GupFirst]
