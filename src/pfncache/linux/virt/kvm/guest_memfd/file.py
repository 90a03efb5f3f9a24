# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/guest_memfd.c, the file: how it is made, what fallocate() and mmap() do to it, how it is closed."""

from __future__ import annotations

from pfncache.lang.records import LIVE
from pfncache.linux.include.linux.kvm_host import File, GmemBinding, GmemFile, Kvm
from pfncache.linux.include.linux.mm_types import AddressSpace, PageCacheEntry
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno, Pgoff
from pfncache.linux.include.uapi.linux.errno import EINTR, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP
from pfncache.linux.include.uapi.linux.kvm import (
    GUEST_MEMFD_FLAG_INIT_SHARED,
    GUEST_MEMFD_FLAG_MMAP,
    GUEST_MEMFD_FLAG_NO_DIRECT_MAP,
)
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.rwsem import down_read, down_write
from pfncache.linux.mm.slub import kfree
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

FALLOC_FL_KEEP_SIZE = 1
FALLOC_FL_PUNCH_HOLE = 2


class GuestMemfdFile(KvmMm):
    """The functions of virt/kvm/guest_memfd.c that user space calls through the file descriptor."""

    # Making one

    def kvm_gmem_supported_flags(self, kvm: Kvm) -> int:
        """The flags that a guest_memfd of this VM may have.

        Linux: include/linux/kvm_host.h kvm_gmem_get_supported_flags(), v7.3.4.
        """
        if self.kvm_arch_has_private_mem(kvm):
            return GUEST_MEMFD_FLAG_MMAP
        return GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED

    def kvm_gmem_check_create(self, kvm: Kvm, size: int, flags: int) -> Errno:
        """The checks of KVM_CREATE_GUEST_MEMFD.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_create(), v7.3.4.
        Returns: 0 or -EINVAL.
        """
        if flags & ~self.kvm_gmem_supported_flags(kvm) != 0:
            return -EINVAL
        if size <= 0 or self.offset_in_page(size) != 0:
            return -EINVAL
        return 0

    def kvm_gmem_create(self, name: str, kvm: Kvm, pages: int, flags: int) -> File:
        """KVM_CREATE_GUEST_MEMFD, with every object that the file will have.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_create(), v7.3.4.
        Simplified: setup, not a step; kvm_gmem_check_create() has the checks.
        """
        inode = AddressSpace(
            f"{name}.inode",
            i_pages=tuple(PageCacheEntry(f"{name}[{i}]") for i in range(pages)),
            no_direct_map=bool(flags & GUEST_MEMFD_FLAG_NO_DIRECT_MAP),
            gmem=True,
            gmem_flags=flags,
            gmem_listed=True,
        )
        f = GmemFile(f"{name}.f", kvm=kvm, bindings=tuple(GmemBinding(f"{name}.bindings[{i}]") for i in range(pages)))
        f.__dict__["slab_state"] = LIVE
        file = File(name, f_count=1, f_mapping=inode, private_data=f)
        self.kvm_get_kvm(kvm)
        self.mappings = (*self.mappings, inode)
        self.gmem_files = (*self.gmem_files, file)
        return file

    # File operations

    def kvm_gmem_fallocate(self, file: File, mode: int, offset: int, length: int) -> Errno:
        """fallocate(), in bytes.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_fallocate(), v7.3.4.
        Returns: 0, -EOPNOTSUPP, -EINVAL, -EINTR or -ENOMEM.
        """
        if mode & FALLOC_FL_KEEP_SIZE == 0:
            return -EOPNOTSUPP
        if mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE) != 0:
            return -EOPNOTSUPP
        if self.offset_in_page(offset) != 0 or self.offset_in_page(length) != 0:
            return -EINVAL
        start = offset >> self.PAGE_SHIFT
        end = (offset + length) >> self.PAGE_SHIFT
        if mode & FALLOC_FL_PUNCH_HOLE != 0:
            return self.kvm_gmem_punch_hole(file, start, end)
        return self.kvm_gmem_allocate(file, start, end)

    def kvm_gmem_punch_hole(self, file: File, start: Pgoff, end: Pgoff) -> Errno:
        """Free the pages of [start, end): from the guest, from user page tables, from the cache.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_punch_hole(), v7.3.4.
        Returns: 0.
        """
        inode = file.f_mapping
        with down_write(inode.invalidate_lock):
            self.kvm_gmem_invalidate_start(inode, start, end)
            self.truncate_inode_pages_range(inode, start, end)
            self.kvm_gmem_invalidate_end(inode, start, end)
        return 0

    def kvm_gmem_allocate(self, file: File, start: Pgoff, end: Pgoff) -> Errno:
        """fallocate(KEEP_SIZE): bring pages into the cache, to be zeroed at their first use.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_allocate(), v7.3.4.
        Returns: 0, -EINVAL, -EINTR or -ENOMEM.
        """
        inode = file.f_mapping
        if end > len(inode.i_pages):
            return -EINVAL
        with down_read(inode.invalidate_lock):
            for index in range(len(inode.i_pages)):
                if start <= index < end:
                    if current().signal_pending:
                        return -EINTR
                    page = self.filemap_grab_folio(inode, index)
                    if page is None:
                        return -ENOMEM
                    page.lock.unlock()
                    self.put_page(page)
        return 0

    def kvm_gmem_mmap(self, file: File, shared: bool) -> Errno:
        """Whether the file may be mapped: with the flag for it only, and MAP_SHARED.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_mmap(), v7.3.4.
        Returns: 0, -ENODEV or -EINVAL.
        Simplified: the check only; vm_mmap_pgoff() maps.
        """
        if file.f_mapping.gmem_flags & GUEST_MEMFD_FLAG_MMAP == 0:
            return -ENODEV
        return 0 if shared else -EINVAL

    # Closing it

    def task_work_run(self, file: File) -> None:
        """On the way back to user space: release the file if this task has dropped its last reference.

        Linux: kernel/task_work.c task_work_run(), fs/file_table.c __fput(), v7.3.4.
        """
        if current().delayed_fput is file:
            current().delayed_fput = None
            self.kvm_gmem_release(file)
            self.kvm_gmem_evict_inode(file.f_mapping)

    def kvm_gmem_release(self, file: File) -> None:
        """The last reference on the file is gone: no slot may use it any more.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_release(), v7.3.4.
        Locks: takes slots_lock and invalidate_lock.
        """
        f = file.private_data
        kvm = f.kvm
        assert kvm is not None
        inode = file.f_mapping
        with mutex(kvm.slots_lock), down_write(inode.invalidate_lock):
            for binding in f.bindings:
                slot = binding.slot
                if slot is not None:
                    slot.gmem_file = None
            self.kvm_gmem_release_invalidate(f, inode)
            inode.gmem_listed = False
        kfree(f)
        self.kvm_put_kvm(kvm)

    def kvm_gmem_release_invalidate(self, f: GmemFile, inode: AddressSpace) -> None:
        """Take everything away from the guest.

        Linux: virt/kvm/guest_memfd.c, part of kvm_gmem_release(), v7.3.4.
        Locks: slots_lock, invalidate_lock for writing.
        """
        self._kvm_gmem_invalidate_start(f, inode, 0, len(f.bindings))
        self._kvm_gmem_invalidate_end(f, 0, len(f.bindings))

    def kvm_gmem_evict_inode(self, inode: AddressSpace) -> None:
        """The inode goes with its last reference; KVM is not told, as nothing is bound any more.

        Linux: mm/truncate.c truncate_inode_pages_final() by way of fs/inode.c evict(), v7.3.4.
        """
        self.truncate_inode_pages_range(inode, 0, len(inode.i_pages))

    def sys_close(self, file: File) -> None:
        """close(): drop the file descriptor's reference.

        Linux: fs/open.c close(), v7.3.4.
        """
        self.fput(file)
        self.task_work_run(file)
