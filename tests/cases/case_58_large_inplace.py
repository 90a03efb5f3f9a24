# SPDX-License-Identifier: GPL-2.0-only
"""Case 58: guest_memfd with folios of two pages converts one of them between private and shared in place.

Known from: in no released kernel; case 56 has conversion in place of single pages. The code is our own.
Right verdict: holds if the conversion of a page invalidates all that a folio could have of it, and a fault asks for the
order of the folio's pages that are of one kind. A split before the conversion is not enough: a fault at the other page
takes no invalidate_lock, may allocate a large folio behind the split, and is in no range that is being invalidated. Nor
is the invalidation, if a fault behind it maps all of such a folio. Either is stale-spte: a huge shared SPTE that maps a
private page.
"""

from __future__ import annotations

from pfncache import MemoryKind, World, scenario
from pfncache.designs.catalogue import Patch, mainline_7_3
from pfncache.designs.large_folios import LargeGmemFolios
from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.kvm_host import File, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.mm_types import AddressSpace, Page, PageCacheEntry
from pfncache.linux.include.linux.types import Errno, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EAGAIN
from pfncache.linux.kernel.locking.rwsem import down_write
from pfncache.linux.vmlinux import Vmlinux
from pfncache.scenarios.world import no_caches


class ConvertibleEntry(PageCacheEntry, extends=True):
    """One entry of i_pages, with whether its page is private."""

    private: bool


class ConvertLarge(LargeGmemFolios):
    """KVM: guest_memfd: convert pages of large folios in place."""

    structs = (ConvertibleEntry,)

    def kvm_gmem_is_private_mem(self, inode: AddressSpace, index: Pgoff) -> bool:
        """Look at the page's own entry, in a file that begins as shared memory."""
        entry = inode.i_pages[index]
        assert isinstance(entry, ConvertibleEntry)
        return entry.private or super().kvm_gmem_is_private_mem(inode, index)

    @atomic
    def is_of_one_kind(self, inode: AddressSpace, index: Pgoff) -> bool:
        """Return whether both pages that a folio could have are private, or both shared."""
        one, other = inode.i_pages[index], inode.i_pages[index ^ 1]
        assert isinstance(one, ConvertibleEntry)
        assert isinstance(other, ConvertibleEntry)
        return one.private == other.private

    @atomic
    def add_large_folio(self, mapping: AddressSpace, index: Pgoff, new: Page) -> bool:
        """Add no folio for pages of two kinds."""
        return self.is_of_one_kind(mapping, index) and super().add_large_folio(mapping, index, new)

    def gmem_max_order(self, slot: KvmMemorySlot, gfn: Gfn, pfn: Pfn) -> int:
        """Return 0 for pages of two kinds, whatever the folio: it may have been allocated before they were."""
        file = slot.gmem_file
        if file is None or super().gmem_max_order(slot, gfn, pfn) == 0:
            return 0
        return 1 if self.is_of_one_kind(file.f_mapping, self.kvm_gmem_get_index(slot, gfn)) else 0

    def kvm_gmem_convert(self, file: File, index: Pgoff, private: bool) -> Errno:
        """Make a page private or shared: an ioctl of guest_memfd. -EAGAIN while its folio is in use."""
        inode = file.f_mapping
        ret: Errno = 0
        with down_write(inode.invalidate_lock):
            first, last = self.range_to_invalidate(index)
            self.kvm_gmem_invalidate_start(inode, first, last)
            if self.split_at(inode, index | 1):
                self.set_private(file, index, private)
            else:
                ret = -EAGAIN
            self.kvm_gmem_invalidate_end(inode, first, last)
        return ret

    def range_to_invalidate(self, index: Pgoff) -> tuple[Pgoff, Pgoff]:
        """Return the pages that a folio could have with the page."""
        return index & -2, (index & -2) + 2

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


class InvalidatePage(Patch, Vmlinux):
    """KVM: guest_memfd: invalidate the page alone that is converted."""

    def range_to_invalidate(self, index: Pgoff) -> tuple[Pgoff, Pgoff]:
        """Return the page."""
        return index, index + 1


class OrderOfFolio(Patch, Vmlinux):
    """KVM: guest_memfd: map a folio as a whole, whatever its pages are."""

    def is_of_one_kind(self, inode: AddressSpace, index: Pgoff) -> bool:
        """Do not look."""
        return True


@scenario(memory=MemoryKind.GMEM_UNMAPPED, gfns=2, file_pages=2, pages=4, huge=True, caches=no_caches)
def shared_half(w: World) -> None:
    """The guest faults in the first page of a folio whose second page is made private."""
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 2))
    w.actor("guest", w.call("run_guest_access", w.vcpu, 0, False))
    w.actor("vmm", w.call("kvm_gmem_convert", w.gmem, 1, True))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, gfns=2, file_pages=2, pages=4, huge=True, caches=no_caches)
def hole(w: World) -> None:
    """The guest faults twice at the first of two pages, neither allocated, while the second is made private."""
    access = w.call("run_guest_access", w.vcpu, 0, False)
    w.actor("guest", access, access)
    w.actor("vmm", w.call("kvm_gmem_convert", w.gmem, 1, True))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, gfns=2, file_pages=2, pages=4, huge=True, caches=no_caches)
def mapped(w: World) -> None:
    """A huge SPTE maps a folio whose second page is made private, and shared again; the guest faults at the first."""
    access = w.call("run_guest_access", w.vcpu, 0, False)
    w.do(access).actor("guest", access)
    w.actor("vmm", *(w.call("kvm_gmem_convert", w.gmem, 1, private) for private in (True, False)))


large_in_place = mainline_7_3 + [ConvertLarge]
large_in_place_page = large_in_place + [InvalidatePage]
large_in_place_order = large_in_place + [OrderOfFolio]
