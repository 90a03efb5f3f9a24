# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/guest_memfd.c, the file: KVM_CREATE_GUEST_MEMFD, fallocate(), mmap(), and the release of the file.

A guest_memfd is memory that belongs to one VM, and that user space need not be able to map.
"""

from __future__ import annotations

from pfncache.lang.part_of import part_of
from pfncache.lang.records import LIVE
from pfncache.linux.include.linux.kvm_host import File, GmemBinding, GmemFile, Kvm
from pfncache.linux.include.linux.mm_types import AddressSpace, PageCacheEntry
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno, Pgoff
from pfncache.linux.include.uapi.linux.errno import EBADF, EINTR, EINVAL, ENODEV, ENOMEM, EOPNOTSUPP
from pfncache.linux.include.uapi.linux.falloc import FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE
from pfncache.linux.include.uapi.linux.kvm import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.rwsem import down_read, down_write
from pfncache.linux.mm.slub import kfree
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

LLONG_MAX = (1 << 63) - 1


class GuestMemfdFile(KvmMm):
    """The functions of virt/kvm/guest_memfd.c that user space reaches through the file descriptor."""

    # Creation

    def kvm_gmem_get_supported_flags(self, kvm: Kvm) -> int:
        """Return the flags that a guest_memfd of this VM may have.

        Linux: include/linux/kvm_host.h kvm_gmem_get_supported_flags(), v7.3.4.
        """
        if self.kvm_arch_has_private_mem(kvm):
            return GUEST_MEMFD_FLAG_MMAP
        return GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED

    def kvm_gmem_create(self, kvm: Kvm, size: int, flags: int) -> Errno:
        """Check the arguments of KVM_CREATE_GUEST_MEMFD; the size is in bytes, a u64 that must be a positive loff_t.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_create(), v7.3.4.
        Returns: 0 or -EINVAL.
        Simplified: the checks only; __kvm_gmem_create() is called next, as setup.
        """
        if flags & ~self.kvm_gmem_get_supported_flags(kvm) != 0:
            return -EINVAL
        if not 0 < size <= LLONG_MAX or self.offset_in_page(size) != 0:
            return -EINVAL
        return 0

    def _kvm_gmem_create(self, name: str, kvm: Kvm, pages: int, flags: int) -> File:
        """Create a guest_memfd, with every record that the file will have.

        Linux: virt/kvm/guest_memfd.c __kvm_gmem_create(), v7.3.4.
        Simplified: setup, not a step.
        """
        inode = self.new(
            AddressSpace,
            f"{name}.inode",
            i_count=1,
            i_pages=tuple(self.new(PageCacheEntry, f"{name}[{i}]") for i in range(pages)),
            gmem=True,
            gmem_flags=flags,
            gmem_listed=True,
        )
        inode.__dict__["slab_state"] = LIVE
        f = self.new(
            GmemFile,
            f"{name}.f",
            kvm=kvm,
            bindings=tuple(self.new(GmemBinding, f"{name}.bindings[{i}]") for i in range(pages)),
        )
        f.__dict__["slab_state"] = LIVE
        file = self.new(File, name, f_count=1, f_mapping=inode, private_data=f)
        self.kvm_get_kvm(kvm)
        self.mappings = (*self.mappings, inode)
        self.gmem_files = (*self.gmem_files, file)
        return file

    # File operations

    def kvm_gmem_fallocate(self, file: File, mode: int, offset: int, length: int) -> Errno:
        """Allocate pages or punch a hole; offset and length are in bytes.

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
        """Remove the pages of [start, end) from the guest, from user page tables and from the page cache.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_punch_hole(), fs/open.c ksys_fallocate(), v7.3.4.
        Locks: takes invalidate_lock for writing.
        Returns: 0, or -EBADF for a file that is closed.
        Simplified: with the reference that ksys_fallocate() holds.
        """
        if not self.file_ref_get(file):
            return -EBADF
        inode = file.f_mapping
        with down_write(inode.invalidate_lock):
            self.kvm_gmem_invalidate_start(inode, start, end)
            self.truncate_inode_pages_range(inode, start, end)
            self.kvm_gmem_invalidate_end(inode, start, end)
        self.fput(file)
        return 0

    def kvm_gmem_allocate(self, file: File, start: Pgoff, end: Pgoff) -> Errno:
        """Bring the pages of [start, end) into the page cache; their first use zeroes them.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_allocate(), fs/open.c ksys_fallocate(), v7.3.4.
        Returns: 0, -EBADF for a file that is closed, -EINVAL, -EINTR or -ENOMEM.
        Simplified: with the reference that ksys_fallocate() holds.
        """
        if not self.file_ref_get(file):
            return -EBADF
        ret = self.allocate_pages(file.f_mapping, start, end)
        self.fput(file)
        return ret

    @part_of("kvm_gmem_allocate")
    def allocate_pages(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> Errno:
        """Bring pages of an inode into the page cache.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_allocate(), v7.3.4.
        Locks: takes invalidate_lock for reading.
        Returns: 0, -EINVAL, -EINTR or -ENOMEM.
        """
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
                    self.page_folio(page).lock.unlock()
                    self.put_page(page)
        return 0

    def kvm_gmem_mmap(self, file: File, shared: bool) -> Errno:
        """Check whether the file may be mapped: only with GUEST_MEMFD_FLAG_MMAP, and only MAP_SHARED.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_mmap(), v7.3.4.
        Returns: 0, -ENODEV or -EINVAL.
        Simplified: the check only; vm_mmap_pgoff() maps.
        """
        if file.f_mapping.gmem_flags & GUEST_MEMFD_FLAG_MMAP == 0:
            return -ENODEV
        return 0 if shared else -EINVAL

    # Release

    def kvm_gmem_release(self, file: File) -> None:
        """Detach a file without references from every slot, and free it.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_release(), v7.3.4.
        Locks: takes slots_lock and invalidate_lock for writing.
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
            self.invalidate_all_bindings(f, inode)
            inode.gmem_listed = False
        kfree(f)
        self.kvm_put_kvm(kvm)

    @part_of("kvm_gmem_release")
    def invalidate_all_bindings(self, f: GmemFile, inode: AddressSpace) -> None:
        """Zap what every slot has mapped of the file.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_release(), v7.3.4.
        Locks: slots_lock, invalidate_lock for writing.
        """
        self._kvm_gmem_invalidate_start(f, 0, len(f.bindings), self.kvm_gmem_get_invalidate_filter(inode))
        self._kvm_gmem_invalidate_end(f, 0, len(f.bindings))
