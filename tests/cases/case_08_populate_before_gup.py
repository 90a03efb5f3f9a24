# SPDX-License-Identifier: GPL-2.0-only
"""Case 08: guest_memfd is populated from user space with invalidate_lock held, which its own fault takes, too.

Known from: 2a62345b3052 ("KVM: guest_memfd: GUP source pages prior to populating guest memory") in v7.0. Population
held invalidate_lock and then faulted the source in, which takes mmap_lock. A fault that takes invalidate_lock, as in-
place conversion needs it, has them the other way round.
Right verdict: violated, deadlock or at least lock-order.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.mm_types import AddressSpace
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


class PopulateThenCopy(Patch, Vmlinux):
    """KVM: guest_memfd: copy the source with invalidate_lock held, as before 7.0."""

    def kvm_gmem_populate(self, file: File, index: Pgoff, source: Hva) -> Errno:
        """Fill one page."""
        inode = file.f_mapping
        with down_write(inode.invalidate_lock):
            page = self.filemap_grab_folio(inode, index)
            if page is None:
                return -ENOMEM
            page.lock.unlock()
            ret: Errno = 0
            if not self.copy_from_user(source, 1):
                ret = -EFAULT
            self.put_page(page)
            return ret


@scenario(memory=MemoryKind.GMEM_MMAP, caches=no_caches)
def populate(w: World) -> None:
    """A guest_memfd is populated while user space touches its own mapping of it, and unmaps something else."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.actor("populate", w.call("kvm_gmem_populate", w.gmem, 0, w.other_hva))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("munmap", w.call("vm_munmap", w.mm, 0))


populate_then_copy = mainline_7_3 + [FaultUnderInvalidateLock, PopulateThenCopy]
