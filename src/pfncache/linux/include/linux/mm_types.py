# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/mm_types.h, fs.h: pages, page tables, the address spaces of processes and of files."""

from __future__ import annotations

from typing import Annotated, Any

from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.locks import lock_acquire, lock_release
from pfncache.lang.part_of import part_of
from pfncache.lang.records import Bound, Count, Record
from pfncache.linux.include.linux.types import Incarnation, Pfn, Pgoff
from pfncache.linux.kernel.locking.mutex import Mutex
from pfncache.linux.kernel.locking.rwsem import RwSemaphore
from pfncache.linux.kernel.locking.spinlock import SpinLock
from pfncache.linux.kernel.rcu.srcutree import SrcuStruct


class Page(Record):
    """struct page, and the folio of order 0 that it is, or of order 1 that it is a part of. Its pfn is its index.

    Locks: lock is the folio lock (PG_locked).
    """

    pfn: Pfn
    free: bool
    """On the allocator's free list."""
    incarnation: Incarnation
    """Incremented when the allocator hands the page out."""
    refcount: Count
    mapcount: Count
    """User PTEs that map the page."""
    anon: bool
    """PageAnon(): the mapping field has tag bits and does not point to an address_space."""
    anon_shared: bool
    """Without PageAnonExclusive(), of an anonymous page: other processes may map it, so that a write copies it."""
    ksm: bool
    """PageKsm(): pages of equal contents were merged into this one, which is anon_shared to the end."""
    pincount: Count
    """References by FOLL_PIN, which refcount has too; Linux adds 1024 for each, and looks for that."""
    mapping: AddressSpace | None
    index: Pgoff
    uptodate: bool
    hwpoison: bool
    direct_map: bool = True
    """The direct map's PTE of the page is present."""
    direct_map_tlb: bool
    """A TLB may have the direct map's PTE of the page, which is gone."""
    rmp_private: bool
    """SNP: the page is assigned to a guest in the RMP; a host write to it is fatal."""
    lock: Mutex
    compound: bool
    """It and its neighbour, the pfn with another last bit, are a folio of order 1; the first has the references."""
    host_bytes: bytearray
    """Contents, in direct execution."""


class PageCacheEntry(Record):
    """One slot of address_space->i_pages."""

    page: Page | None


class ShmemFalloc(Record):
    """struct shmem_falloc of mm/shmem.c: the pages [start, next) of the hole that is being punched; empty for none."""

    start: Pgoff
    next: Pgoff

    @part_of("shmem_fallocate")
    @atomic
    def begin(self, start: Pgoff, end: Pgoff) -> None:
        """Publish the hole.

        Linux: mm/shmem.c shmem_fallocate(), v7.3.4.
        """
        self.start = start
        self.next = end
        lock_acquire(self, exclusive=False, excludes=False)

    @part_of("shmem_fallocate")
    @atomic
    def end(self) -> None:
        """Take the hole back, and wake the faults that wait.

        Linux: mm/shmem.c shmem_fallocate(), v7.3.4.
        """
        self.start = 0
        self.next = 0
        lock_release(self)

    @part_of("shmem_falloc_wait")
    @atomic
    def has(self, index: Pgoff) -> bool:
        """Return whether a page is in the hole.

        Linux: mm/shmem.c shmem_falloc_wait(), v7.3.4.
        """
        return self.start <= index < self.next

    @part_of("shmem_falloc_wait")
    @atomic
    def wait(self, index: Pgoff) -> None:
        """Wait until the page is in no hole.

        Linux: mm/shmem.c shmem_falloc_wait(), v7.3.4.
        """
        block_until(not self.start <= index < self.next)
        lock_acquire(self, exclusive=True, excludes=False)
        lock_release(self)


class AddressSpace(Record, slab=True):
    """struct inode and the struct address_space in it: the page cache of a file (memfd or guest_memfd).

    Freed by RCU when its last reference is dropped. Locks: i_rwsem over shmem_fallocate(); invalidate_lock for
    guest_memfd; i_mmap_rwsem over the tree of mappings.
    """

    i_count: Count
    """References; the inode's one struct file has one."""
    i_pages: tuple[PageCacheEntry, ...]
    """By index; as many as the file has pages."""
    i_rwsem: RwSemaphore
    """inode_lock()."""
    invalidate_lock: RwSemaphore
    i_mmap_rwsem: RwSemaphore
    i_private: ShmemFalloc
    """memfd: the hole that is being punched."""
    i_pages_lock: SpinLock
    no_direct_map: bool
    """GUP refuses the pages, which the kernel does not map: secretmem in 7.3.4, AS_NO_DIRECT_MAP of later proposals."""
    gmem: bool
    """a_ops are guest_memfd's, not shmem's."""
    gmem_flags: Annotated[int, Bound(0, 7)]
    """guest_memfd: GUEST_MEMFD_FLAG_* of the inode."""
    gmem_listed: bool
    """guest_memfd: the inode's gmem_file_list has its one file (7.3.4 never adds a second)."""


class Vma(Record):
    """struct vm_area_struct, cut into pages: the attributes of one page of user address space."""

    present: bool
    """In the process's tree of VMAs."""
    readable: bool
    writable: bool
    pfnmap: bool
    """VM_PFNMAP: a driver has made the PTE, and no reference is taken on a struct page."""
    mergeable: bool
    """VM_MERGEABLE: KSM may merge the page with one of equal contents."""
    uffd_wp: bool
    """VM_UFFD_WP: registered with a userfaultfd for write protection."""
    dontcopy: bool
    """VM_DONTCOPY: fork() leaves it out."""
    mapping: AddressSpace | None
    """The mapped file (always shared); None for anonymous memory."""
    pgoff: Pgoff
    i_mmap: AddressSpace | None
    """The file in whose tree of mappings it is, changed under i_mmap_rwsem; the tree of the process is `present`."""


class Pte(Record):
    """A user PTE."""

    pfn: Pfn = -1
    """-1: not present."""
    writable: bool
    prot_none: bool
    """Present for the kernel alone: PROT_NONE."""
    special: bool
    """pte_special(): of a VM_PFNMAP mapping, so that GUP-fast refuses it."""
    uffd_wp: bool
    """pte_uffd(): a write has to be allowed by user space first."""
    migration: Pfn = -1
    """Not present, a migration entry: the page frame that is being moved. `writable` is the entry's."""
    huge: bool
    """It and its neighbour, the page with another last bit, are one PMD that maps a folio."""
    tlb: Pfn = -1
    """What a TLB may have for the address although the PTE has it no more, or no more writable; -1: nothing."""
    tlb_writable: bool


class UserfaultfdCtx(Record):
    """struct userfaultfd_ctx: the one userfaultfd of a process."""

    faults: Count
    """Faults in fault_pending_wqh and fault_wqh, which wait for user space."""
    woken: Annotated[int, Bound(0, 7)]
    """Calls that have woken all that waited; a wait queue in Linux."""


class MmStruct(Record):
    """struct mm_struct: a process's address space.

    Locks: mmap_lock over vmas; page_table_lock (the split PTE lock) over ptes.
    """

    mm_count: Count
    """References of kernel threads that use the address space; that of its process's tasks is not counted."""
    mmap_lock: RwSemaphore
    page_table_lock: SpinLock
    anon_vma_rwsem: RwSemaphore
    """anon_vma->root->rwsem: over walks of the reverse mapping of anonymous memory."""
    vmas: tuple[Vma, ...]
    """By hva >> PAGE_SHIFT."""
    ptes: tuple[Pte, ...]
    """By hva >> PAGE_SHIFT."""
    notifiers: tuple[Any, ...]
    """struct mmu_notifier: the VMs that may subscribe; mmu_notifier_registered is set in those that do."""
    notifier_srcu: SrcuStruct
    """The SRCU of the notifiers: unsubscribing waits for calls in progress. Linux has one for all processes."""
    userfaultfd: UserfaultfdCtx
    write_protect_seq: Annotated[int, Bound(0, 31)]
    """A seqcount: odd while fork() takes the permission to write from PTEs."""
    forked: bool
    """The process that fork() made the address space for may run; also if fork() has failed."""


class VmapArea(Record):
    """struct vmap_area: one page of vmalloc space."""

    busy: bool
    used: bool
    """It was mapped before: its address waits on the lazy list."""
    pfn: Pfn = -1
    tlb: Pfn = -1
    """What a TLB may have for the address, which is unmapped."""
    incarnation: Incarnation
    """The owner of the page at the time of mapping; for reports only."""
