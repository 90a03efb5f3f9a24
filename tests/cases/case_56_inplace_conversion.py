# SPDX-License-Identifier: GPL-2.0-only
"""Case 56: guest_memfd converts single pages between private and shared in place, and user space maps what is shared.

Known from: the in-place conversion series for guest_memfd (v8, 2026-06); in no released kernel. The code is our own.
Right verdict: holds, for caches by user address, for steal time by uaccess, and for caches that look their page up in
guest_memfd. A page fault of user space has the folio locked, and a reference, but no PTE yet when the conversion unmaps
the page: without the test for references that are not expected, or if the fault asks whether the page is private
without invalidate_lock, user space and KVM access private memory: private-access. In the whole catalogue, violated:
lock-order. The fault takes invalidate_lock, then the folio lock; memory_failure() of 7.3.4 has the other order.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3, rfc_v4_fixed
from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import File, GfnToPfnCache, Kvm
from pfncache.linux.include.linux.mm_types import AddressSpace, Page, PageCacheEntry
from pfncache.linux.include.linux.types import Errno, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EAGAIN
from pfncache.linux.include.uapi.linux.kvm import GUEST_MEMFD_FLAG_INIT_SHARED
from pfncache.linux.kernel.locking.rwsem import down_read, down_write
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import no_caches


class ConvertibleEntry(PageCacheEntry, extends=True):
    """One entry of i_pages, with whether its page is private."""

    private: bool


class InPlaceConversion(Patch, Vmlinux):
    """KVM: guest_memfd: convert pages in place. Property: KVM does not access what is private."""

    structs = (ConvertibleEntry,)

    def _kvm_gmem_create(self, name: str, kvm: Kvm, pages: int, flags: int) -> File:
        """Begin as the flags say."""
        file = super()._kvm_gmem_create(name, kvm, pages, flags)
        for entry in file.f_mapping.i_pages:
            assert isinstance(entry, ConvertibleEntry)
            entry.private = flags & GUEST_MEMFD_FLAG_INIT_SHARED == 0
        return file

    def kvm_gmem_is_private_mem(self, inode: AddressSpace, index: Pgoff) -> bool:
        """Look at the page's own entry."""
        entry = inode.i_pages[index]
        assert isinstance(entry, ConvertibleEntry)
        return entry.private

    def kvm_gmem_fault_user_mapping(self, mapping: AddressSpace, index: Pgoff) -> Pfn:
        """Exclude conversions until the page is locked."""
        with down_read(mapping.invalidate_lock):
            return super().kvm_gmem_fault_user_mapping(mapping, index)

    def kvm_gmem_convert(self, file: File, index: Pgoff, private: bool) -> Errno:
        """Make a page private or shared: an ioctl of guest_memfd. -EAGAIN for one that has another reference."""
        inode = file.f_mapping
        ret: Errno = 0
        with down_write(inode.invalidate_lock):
            self.kvm_gmem_invalidate_start(inode, index, index + 1)
            if private:
                self.unmap_mapping_range(inode, index, index + 1)
                ret = -EAGAIN if self.has_other_reference(inode, index) else 0
            if ret == 0:
                self.set_private(file, index, private)
            self.kvm_gmem_invalidate_end(inode, index, index + 1)
        return ret

    @atomic
    def has_other_reference(self, inode: AddressSpace, index: Pgoff) -> bool:
        """Return whether another than the page cache has the page."""
        page = inode.i_pages[index].page
        return page is not None and page.refcount > 1

    @atomic
    def set_private(self, file: File, index: Pgoff, private: bool) -> None:
        """Store what the page is, and so what kvm_mem_is_private() returns for the gfn."""
        entry = file.f_mapping.i_pages[index]
        assert isinstance(entry, ConvertibleEntry)
        entry.private = private
        kvm, slot = file.private_data.kvm, file.private_data.bindings[index].slot
        assert kvm is not None
        if slot is not None:
            kvm.mem_attr_array[index - slot.gmem_pgoff + slot.base_gfn].private = private

    @atomic
    def trace_gpc_access(self, gpc: GfnToPfnCache) -> None:
        """Look at the page that is accessed through a cache."""
        super().trace_gpc_access(gpc)
        if self.pfn_valid(gpc.pfn):
            self.require_shared(self.mem_map[gpc.pfn])

    @atomic
    def trace_user_access(self, page: Page, write: bool) -> None:
        """Look at the page that is accessed through a user address."""
        super().trace_user_access(page, write)
        self.require_shared(page)

    def require_shared(self, page: Page) -> None:
        """Report an access to a page whose entry is private."""
        mapping = page.mapping
        if mapping is not None and not page.anon:
            entry = mapping.i_pages[page.index]
            assert isinstance(entry, ConvertibleEntry)
            if entry.private:
                report("private-access", f"KVM accesses pfn {page.pfn}, which was made private")


class NoReferenceTest(Patch, Vmlinux):
    """KVM: guest_memfd: convert whatever references a page has."""

    def has_other_reference(self, inode: AddressSpace, index: Pgoff) -> bool:
        """Do not look."""
        return False


class FaultWithoutLock(Patch, Vmlinux):
    """KVM: guest_memfd: do not take invalidate_lock in page faults of user space, as 7.3.4 does not."""

    def kvm_gmem_fault_user_mapping(self, mapping: AddressSpace, index: Pgoff) -> Pfn:
        """Ask whether the page is private, then get it."""
        if self.kvm_gmem_is_private_mem(mapping, index):
            return -1
        page = self.filemap_grab_folio(mapping, index)
        if page is None:
            return -1
        self.make_uptodate(mapping, page)
        return page.pfn


@scenario(memory=MemoryKind.GMEM_MMAP)
def clock(w: World) -> None:
    """The page of the clock, which user space maps, is made private and shared again while the clock is updated."""
    w.clock_on()
    update = w.call("run_clock_update", w.vcpu)
    w.actor("vcpu", update, update)
    w.actor("vmm", *(w.call("kvm_gmem_convert", w.gmem, 0, private) for private in (True, False)))


@scenario(memory=MemoryKind.GMEM_UNMAPPED)
def unmapped_clock(w: World) -> None:
    """The same page without a user mapping."""
    w.clock_refused().do(w.call("set_msr_system_time", w.vcpu, w.gpa, True))
    update = w.call("run_clock_update", w.vcpu)
    w.actor("vcpu", update, update)
    w.actor("vmm", *(w.call("kvm_gmem_convert", w.gmem, 0, private) for private in (True, False)))


@scenario(memory=MemoryKind.GMEM_MMAP, caches=no_caches)
def steal_time(w: World) -> None:
    """Steal time is written through the user address, which user space touches, while its page is made private."""
    w.steal_time_on()
    w.actor("vcpu", w.call("run_steal_time_update", w.vcpu))
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
    w.actor("vmm", w.call("kvm_gmem_convert", w.gmem, 0, True))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, caches=no_caches)
def guest(w: World) -> None:
    """The guest accesses memory, private and shared, that is converted and converted back."""
    w.actor("private", w.call("run_guest_access", w.vcpu, 0, True))
    w.actor("shared", w.call("run_guest_access", w.vcpu, 0, False))
    w.actor("vmm", *(w.call("kvm_gmem_convert", w.gmem, 0, private) for private in (True, False)))


in_place = mainline_7_3 + [InPlaceConversion]
in_place_without_test = in_place + [NoReferenceTest]
in_place_without_lock = in_place + [FaultWithoutLock]
rfc_in_place = rfc_v4_fixed + [InPlaceConversion]
