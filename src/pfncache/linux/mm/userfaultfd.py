# SPDX-License-Identifier: GPL-2.0-only
"""mm/userfaultfd.c: write protection by a userfaultfd; a write waits until user space allows it."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, block_until
from pfncache.lang.part_of import part_of
from pfncache.linux.include.linux.lockdep import mmap_assert_locked, mmap_assert_write_locked
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct, UserfaultfdCtx
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi.linux.errno import EINVAL, ENOENT
from pfncache.linux.kernel.locking.rwsem import down_read, down_write


class UserfaultfdWp(Mm):
    """The functions of mm/userfaultfd.c, one page at a time."""

    def userfaultfd_register(self, mm: MmStruct, address: Hva) -> Errno:
        """Register one page for write protection: UFFDIO_REGISTER with UFFDIO_REGISTER_MODE_WP.

        Linux: mm/userfaultfd.c userfaultfd_register(), v7.3.4.
        Locks: takes mmap_lock for writing.
        Returns: 0, or -EINVAL without a mapping or for device memory.
        Simplified: guest_memfd, which has no such faults, is refused as well; no other mode.
        """
        with down_write(mm.mmap_lock):
            vma = mm.vmas[address >> self.PAGE_SHIFT]
            mapping = vma.mapping
            if not vma.present or vma.pfnmap or (mapping is not None and mapping.gmem):
                return -EINVAL
            mmap_assert_write_locked(mm.mmap_lock)  # vma_start_write() of userfaultfd_set_ctx() does
            vma.uffd_wp = True
        return 0

    def userfaultfd_writeprotect(self, mm: MmStruct, address: Hva, enable_wp: bool) -> Errno:
        """Protect one page, or allow writes and wake the tasks that wait: UFFDIO_WRITEPROTECT.

        Linux: mm/userfaultfd.c userfaultfd_writeprotect(), v7.3.4.
        Returns: 0, or -ENOENT where nothing is registered.
        """
        ret = self.mwriteprotect_range(mm, address, enable_wp)
        if ret == 0 and not enable_wp:
            self.wake_userfault(mm.userfaultfd)
        return ret

    def mwriteprotect_range(self, mm: MmStruct, address: Hva, enable_wp: bool) -> Errno:
        """Protect one page, or allow writes.

        Linux: mm/userfaultfd.c mwriteprotect_range(), uffd_wp_range(), v7.3.4.
        Locks: takes mmap_lock for reading.
        Returns: 0, or -ENOENT where nothing is registered.
        """
        with down_read(mm.mmap_lock):
            mmap_assert_locked(mm.mmap_lock)  # mas_root() of the iterator does
            if not mm.vmas[address >> self.PAGE_SHIFT].uffd_wp:
                return -ENOENT
            self.change_pud_range(mm, address >> self.PAGE_SHIFT, enable_wp)
            self.flush_tlb_range(mm, address, address + self.PAGE_SIZE)
        return 0

    def handle_userfault(self, mm: MmStruct, number: int) -> Errno:
        """Wait until user space allows a write, without mmap_lock.

        Linux: mm/userfaultfd.c handle_userfault(), v7.3.4.
        Locks: mmap_lock for reading, which is dropped and taken again; may sleep.
        Returns: 0: the fault has to be repeated.
        Simplified: signals do not end it.
        """
        ctx = mm.userfaultfd
        woken = self.add_to_wait_queue(ctx)
        must_wait = self.userfaultfd_must_wait(mm, number)
        mm.mmap_lock.unlock_shared()
        if must_wait:
            might_sleep()
            self.wait_in_queue(ctx, woken)
        self.leave_wait_queue(ctx, woken)
        mm.mmap_lock.lock_shared()
        return 0

    @part_of("handle_userfault")
    @atomic
    def add_to_wait_queue(self, ctx: UserfaultfdCtx) -> int:
        """Enter the queue, which user space reads. Return the number of wakeups until now.

        Linux: mm/userfaultfd.c handle_userfault(), v7.3.4.
        """
        ctx.faults += 1
        return ctx.woken

    @atomic
    def userfaultfd_must_wait(self, mm: MmStruct, number: int) -> bool:
        """Return whether the PTE is still read-only, or not there at all.

        Linux: mm/userfaultfd.c userfaultfd_must_wait(), v7.3.4.
        Locks: mmap_lock for reading; no PTE lock.
        """
        if mm.ptes[number].migration >= 0:
            return False
        return mm.ptes[number].pfn < 0 or not mm.ptes[number].writable

    @part_of("handle_userfault")
    @atomic
    def wait_in_queue(self, ctx: UserfaultfdCtx, woken: int) -> None:
        """Sleep until the queue is woken.

        Linux: mm/userfaultfd.c handle_userfault(), v7.3.4.
        """
        block_until(ctx.woken != woken)

    @part_of("handle_userfault")
    @atomic
    def leave_wait_queue(self, ctx: UserfaultfdCtx, woken: int) -> None:
        """Leave the queue, unless a wakeup has removed this task.

        Linux: mm/userfaultfd.c handle_userfault(), v7.3.4.
        """
        if ctx.woken == woken:
            ctx.faults -= 1

    @atomic
    def wake_userfault(self, ctx: UserfaultfdCtx) -> None:
        """Wake the tasks that wait, if there are any.

        Linux: mm/userfaultfd.c wake_userfault(), v7.3.4.
        Simplified: all of them, not those of a range.
        """
        if ctx.faults > 0:
            ctx.faults = 0
            ctx.woken += 1

    @atomic
    def userfaultfd_poll(self, ctx: UserfaultfdCtx) -> bool:
        """Return whether a task waits for user space.

        Linux: mm/userfaultfd.c userfaultfd_poll(), v7.3.4.
        """
        return ctx.faults > 0
