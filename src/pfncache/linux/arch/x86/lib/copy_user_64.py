# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/lib/copy_user_64.S and the uaccess headers: accesses to user addresses of the current process."""

from __future__ import annotations

from pfncache.lang.atomic import atomic, host_only
from pfncache.lang.choose import choose
from pfncache.lang.locks import lock_acquire, lock_release
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.report import report
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.preempt import might_sleep
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Hva, Pfn
from pfncache.linux.kernel.locking.rwsem import down_read


class Usercopy(Mm):
    """copy_to_user() and the other uaccess functions: a faulting access is retried after the fault, or fails."""

    @part_of_caller
    @atomic
    def user_access(self, mm: MmStruct, address: Hva, write: bool) -> bool:
        """Access a user address through the page tables, or what a TLB has of them, in one step.

        Linux: arch/x86/mm/extable.c fixup_exception(), and the processor, v7.3.4.
        Returns: False for a page fault.
        """
        pte = mm.ptes[address >> self.PAGE_SHIFT]
        if self.tlbs and pte.tlb >= 0 and (pte.tlb_writable or not write) and choose(2) == 1:
            self.access_user_page(pte.tlb, address, write)
            return True
        if pte.pfn < 0 or pte.prot_none or (write and not pte.writable):
            return False
        self.access_user_page(pte.pfn, address, write)
        return True

    @part_of_caller
    def access_user_page(self, pfn: Pfn, address: Hva, write: bool) -> None:
        """Report an access to a free page, or a write to a page that the RMP assigns to a guest.

        Linux: mm/kasan/generic.c kasan_check_range(); the processor, with the RMP, v7.3.4.
        """
        if self.pfn_valid(pfn):
            page = self.mem_map[pfn]
            if page.free:
                report("use-after-free", f"pfn {pfn} is accessed through user address {address:#x}, but it is free")
            if page.rmp_private and write:
                report("private-access", f"RMP fault: the host writes pfn {pfn}, which is assigned to a guest")
            self.trace_user_access(page, write)

    @part_of_caller
    def user_access_retry(self, address: Hva, write: bool) -> bool:
        """Repeat an access and its fault until one succeeds or the other fails.

        Linux: arch/x86/lib/copy_user_64.S rep_movs_alternative(), arch/x86/mm/fault.c do_user_addr_fault(), v7.3.4.
        Locks: may sleep, unless page faults are disabled or in atomic context, where a fault fails.
        Returns: False for -EFAULT.
        """
        mm = current().mm
        if mm is None:
            return False
        while not self.user_access(mm, address, write):
            if current().pagefault_disabled or current().preempt_count != 0:  # faulthandler_disabled()
                return False
            with down_read(mm.mmap_lock):
                fault = self.handle_mm_fault(mm, address, write)
            if fault != 0:
                return False
        return True

    @atomic
    def might_fault(self) -> None:
        """Report an access to user memory where a fault could not be handled, whether or not there is one.

        Linux: include/linux/kernel.h might_fault(), which is __might_fault() of a kernel with lockdep, v7.3.4.
        """
        if current().pagefault_disabled:
            return
        might_sleep()
        mm = current().mm
        if mm is not None:
            lock_acquire(mm.mmap_lock, exclusive=False)
            lock_release(mm.mmap_lock)

    def unsafe_put_user(self, address: Hva, data: bytes) -> bool:
        """Write to memory of the current process between user_access_begin() and user_access_end().

        Linux: include/linux/uaccess.h unsafe_put_user(), arch/x86/include/asm/uaccess.h, v7.3.4.
        Returns: whether the bytes were written.
        """
        if not self.user_access_retry(address, True):
            return False
        self.host_put(address, data)
        return True

    def _try_cmpxchg_user(self, address: Hva) -> bool:
        """Compare and exchange a word of the current process.

        Linux: arch/x86/include/asm/uaccess.h __try_cmpxchg_user(), v7.3.4.
        Returns: whether the word could be accessed; in direct execution, the caller writes the bytes.
        Simplified: the comparison always succeeds.
        """
        return self.user_access_retry(address, True)

    def copy_to_user(self, address: Hva, data: bytes) -> bool:
        """Write to memory of the current process.

        Linux: include/linux/uaccess.h copy_to_user(), __copy_to_user(), v7.3.4.
        Locks: may sleep, unless page faults are disabled.
        Returns: whether all bytes were written.
        Simplified: within one page.
        """
        self.might_fault()
        if not self.user_access_retry(address, True):
            return False
        self.host_put(address, data)
        return True

    def copy_from_user(self, address: Hva, length: int) -> bool:
        """Read memory of the current process.

        Linux: include/linux/uaccess.h copy_from_user(), __copy_from_user(), v7.3.4.
        Locks: may sleep, unless page faults are disabled.
        Returns: whether all bytes were read; in direct execution, host_get() returns them.
        Simplified: within one page.
        """
        self.might_fault()
        return self.user_access_retry(address, False)

    @part_of("rep_movs_alternative")
    @host_only
    def host_put(self, address: Hva, data: bytes) -> None:
        """Write bytes to a user address.

        Linux: arch/x86/lib/copy_user_64.S rep_movs_alternative(), v7.3.4.
        """
        mm = current().mm
        assert mm is not None
        offset = self.offset_in_page(address)
        self.host_page_bytes(mm.ptes[address >> self.PAGE_SHIFT].pfn)[offset : offset + len(data)] = data

    @part_of("rep_movs_alternative")
    def host_get(self, address: Hva, length: int) -> bytes:
        """Return the bytes at a user address that copy_from_user() has found readable, in direct execution.

        Linux: arch/x86/lib/copy_user_64.S rep_movs_alternative(), v7.3.4.
        """
        mm = current().mm
        assert mm is not None
        offset = self.offset_in_page(address)
        return bytes(self.host_page_bytes(mm.ptes[address >> self.PAGE_SHIFT].pfn)[offset : offset + length])
