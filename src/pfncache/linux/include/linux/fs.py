# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/fs.h: files and their page caches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pfncache.lang.records import Bound, Count, Record
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.kernel.locking.rwsem import RwSemaphore
from pfncache.linux.kernel.locking.spinlock import SpinLock

if TYPE_CHECKING:
    from pfncache.linux.virt.kvm.guest_memfd.gmem_file import GmemFile


class PageCacheEntry(Record):
    """One slot of address_space->i_pages."""

    page: Page | None


class AddressSpace(Record):
    """struct address_space: the page cache of a file (memfd or guest_memfd inode).

    Locks: invalidate_lock; i_mmap_rwsem over the walk of mappings.
    """

    i_pages: tuple[PageCacheEntry, ...]
    """By index; as many as the file has pages."""
    invalidate_lock: RwSemaphore
    i_mmap_rwsem: RwSemaphore
    i_pages_lock: SpinLock
    no_direct_map: bool
    """AS_NO_DIRECT_MAP."""
    gmem: bool
    """a_ops are guest_memfd's, not shmem's."""
    gmem_flags: Annotated[int, Bound(0, 7)]
    """guest_memfd: GUEST_MEMFD_FLAG_* of the inode."""
    gmem_listed: bool
    """guest_memfd: the inode's gmem_file_list has its one file (7.3.4 never adds a second)."""


class File(Record):
    """struct file of a guest_memfd. Its memory is type-safe: f_count of a closed file may be read."""

    f_count: Count
    f_mapping: AddressSpace
    """The page cache."""
    private_data: GmemFile
