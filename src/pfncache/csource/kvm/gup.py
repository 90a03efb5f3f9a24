# SPDX-License-Identifier: GPL-2.0-only
"""Tables for lookups of pages by user address in virt/kvm/kvm_main.c, and what they call of mm/."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pfncache.csource.tables import CallEntry, MemberEntry, NameEntry, Tables
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.kvm_host import KvmMemorySlot, KvmVcpu
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_HWPOISON, KVM_PFN_ERR_SIGPENDING, Gfn
from pfncache.linux.include.linux.mm_types import Page, Vma
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno, Hva, Kva, Pfn
from pfncache.linux.include.uapi.linux.errno import EFAULT, EHWPOISON, EINTR
from pfncache.linux.mm.gup import Gup
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

MAIN = "virt/kvm/kvm_main.c"
FOLL_WRITE = 1
VM_READ, VM_WRITE, VM_PFNMAP, VM_IO = 1, 2, 0x10, 0x20
CONSTANTS = {
    "FOLL_WRITE": FOLL_WRITE, "FOLL_NOWAIT": 2, "FOLL_HWPOISON": 4, "FOLL_HONOR_NUMA_FAULT": 8,
    "FOLL_INTERRUPTIBLE": 16, "FAULT_FLAG_WRITE": 1, "VM_READ": VM_READ, "VM_WRITE": VM_WRITE, "VM_PFNMAP": VM_PFNMAP,
    "VM_IO": VM_IO,
}  # fmt: skip
PAIR = "the model's returns a pfn or an error pfn"
BEFORE_6_13 = "before 6.13 it asks GUP once more whether the page is poisoned, with mmap_lock held"
LOCKED = "a method of the lock"

TABLES = Tables(
    by_hand={
        "hva_to_pfn/6": BEFORE_6_13,
        "hva_to_pfn_remapped/5": BEFORE_6_13,
        "kvm_vcpu_map": "an inline function that calls __kvm_vcpu_map(); before 6.13 device memory could be mapped",
        "kvm_vcpu_unmap/3": "before 6.13 device memory could be mapped",
    },
    records={"vma_of_page": "Vma", "kvm_host_map": ""},
    records_in={(MAIN, "vm_area_struct"): "Vma"},
    members={
        ("Vma", "vm_flags"): MemberEntry("self.vma_flags({0})", "a truth value for each flag"),
    },
    names={
        "allow_unsafe_mappings": NameEntry("False", "a parameter of the module, which is off", "bool"),
        "KVM_PFN_ERR_NEEDS_IO": NameEntry("KVM_PFN_ERR_FAULT", "lookups of the model wait for I/O"),
    },
    calls={
        "hva_to_pfn": CallEntry(
            "self.follow_hva({0.hva})", "where kvm_main.c is not translated too: the model's takes an address",
            results=("0.refcounted_page",),
        ),
        "hva_to_pfn/6": CallEntry("self.hva_to_pfn(self.PAGE_ALIGN_DOWN({0}))", BEFORE_6_13),
        "get_user_page_fast_only": CallEntry("self.fast_only({0})", PAIR, "bool", results=("2",)),
        "pin_user_pages_fast": CallEntry("self.pinned_fast({0})", PAIR, results=("3",)),
        "pin_user_pages_unlocked": CallEntry("self.looked_up_pinned({0}, {3})", PAIR, results=("2",)),
        "get_user_pages_unlocked": CallEntry("self.looked_up({0}, {3})", PAIR, results=("2",)),
        "mmap_read_lock": CallEntry("{0}.mmap_lock.lock_shared()", LOCKED, "void"),
        "mmap_read_unlock": CallEntry("{0}.mmap_lock.unlock_shared()", LOCKED, "void"),
        "follow_pfnmap_start": CallEntry(
            "self.follow_pfnmap_start(current().mm, {0.vma}, {0.address})", "it takes the members of the structure",
            results=("0->pfn", "0->writable"),
        ),
        "follow_pfnmap_end": CallEntry("self.follow_pfnmap_end(current().mm)", "see follow_pfnmap_start()", "void"),
        "fixup_user_fault": CallEntry(
            "self.no_fault_handler()", "VM_PFNMAP mappings of the model have every PTE, and no fault handler",
            results=("3",),
        ),
    },
)  # fmt: skip


class GupHelpers(Gup, KvmMm):
    """What lookups of pages call in another form than the model's functions have."""

    @part_of_caller
    def vma_flags(self, vma: Vma) -> int:
        """Return the flags of a VMA as bits."""
        flags: int = 0
        if vma.readable:
            flags |= VM_READ
        if vma.writable:
            flags |= VM_WRITE
        if vma.pfnmap:
            flags |= VM_PFNMAP
        return flags

    @part_of_caller
    def page_or_none(self, pfn: Pfn) -> Page | None:
        """Return the page of a pfn that is no error."""
        return self.mem_map[pfn] if pfn >= 0 else None

    @part_of("hva_to_pfn")
    def follow_hva(self, hva: Hva) -> tuple[Pfn, Page | None]:
        """Return the page at a user address as a pfn, and as a page if it has a struct page."""
        pfn = self.hva_to_pfn(self.PAGE_ALIGN_DOWN(hva))
        if current().lookup_has_no_page:
            current().lookup_has_no_page = False
            return pfn, None
        return pfn, self.mem_map[pfn] if self.pfn_valid(pfn) else None

    @part_of("get_user_page_fast_only")
    def fast_only(self, hva: Hva) -> tuple[bool, Page | None]:
        """Return whether a page was found, and the page."""
        pfn = self.get_user_page_fast_only(self.PAGE_ALIGN_DOWN(hva))
        return pfn >= 0, self.page_or_none(pfn)

    @part_of("pin_user_pages_fast")
    def pinned_fast(self, hva: Hva) -> tuple[int, Page | None]:
        """Return the number of pages that were pinned, or an errno, and the page."""
        pfn = self.pin_user_pages_fast(self.PAGE_ALIGN_DOWN(hva))
        return self.count_of(pfn), self.page_or_none(pfn)

    @part_of("get_user_pages_unlocked")
    def looked_up(self, hva: Hva, flags: int) -> tuple[int, Page | None]:
        """Return the number of pages that were found, or an errno, and the page."""
        mm = current().mm
        assert mm is not None
        pfn = self.get_user_pages_unlocked(mm, self.PAGE_ALIGN_DOWN(hva), flags & FOLL_WRITE != 0)
        return self.count_of(pfn), self.page_or_none(pfn)

    @part_of("pin_user_pages_unlocked")
    def looked_up_pinned(self, hva: Hva, flags: int) -> tuple[int, Page | None]:
        """Return the number of pages that were pinned, or an errno, and the page."""
        mm = current().mm
        assert mm is not None
        pfn = self.get_user_pages_unlocked(mm, self.PAGE_ALIGN_DOWN(hva), flags & FOLL_WRITE != 0, True)
        return self.count_of(pfn), self.page_or_none(pfn)

    @part_of_caller
    def count_of(self, pfn: Pfn) -> int:
        """Return one for a page, or the errno that an error pfn stands for."""
        if pfn >= 0:
            return 1
        if pfn == KVM_PFN_ERR_HWPOISON:
            return -EHWPOISON
        return -EINTR if pfn == KVM_PFN_ERR_SIGPENDING else -EFAULT

    @part_of("fixup_user_fault")
    def no_fault_handler(self) -> tuple[Errno, bool]:
        """Return an error, and that mmap_lock was not dropped."""
        return -EFAULT, False


class GupAdapters(KvmMm):
    """The model's functions that take or return something else than the C's: each calls the C's function."""

    c_hva_to_pfn: Callable[..., tuple[Pfn, bool, Page | None, bool, bool]]
    c__kvm_faultin_pfn: Callable[..., tuple[Pfn, bool, Page | None, bool, bool]]
    c_kvm_vcpu_unmap: Callable[..., tuple[Any, ...]]
    c__kvm_vcpu_map: Callable[..., tuple[Any, ...]]

    def hva_to_pfn(self, hva: Hva) -> Pfn:
        """Pass the arguments of a lookup for writing in a structure; a page is returned with its reference."""
        pfn, _writable, page, _writable_set, _page_set = self.c_hva_to_pfn(
            kfp_slot=None,
            kfp_gfn=0,
            kfp_hva=hva,
            kfp_flags=FOLL_WRITE,
            kfp_pin=False,
            kfp_map_writable=False,
            kfp_map_writable_given=False,
            kfp_refcounted_page=None,
            kfp_refcounted_page_given=True,
        )
        self.note_missing_page(pfn, page)
        return pfn

    @part_of_caller
    def note_missing_page(self, pfn: Pfn, page: Page | None) -> None:
        """Note that a lookup has returned a pfn that has a struct page, but no page to put."""
        if page is None and self.pfn_valid(pfn):
            current().lookup_has_no_page = True

    def _kvm_faultin_pfn(self, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Pass where whether the page is writable, and its reference go; a page is returned with its reference."""
        pfn, _writable, page, _writable_set, _page_set = self.c__kvm_faultin_pfn(
            slot,
            gfn,
            FOLL_WRITE,
            writable=False,
            writable_given=True,
            refcounted_page=None,
            refcounted_page_given=True,
            writable_set=False,
            refcounted_page_set=False,
        )
        self.note_missing_page(pfn, page)
        return pfn

    def _kvm_vcpu_map(self, vcpu: KvmVcpu, gfn: Gfn) -> tuple[Errno, Pfn, Kva]:
        """Pass an empty structure, and return its members."""
        ret, _gfn, hva, _page, pfn, _pinned, _writable, _s1, _s2, _s3, _s4, _s5, _s6 = self.c__kvm_vcpu_map(
            vcpu,
            gfn,
            True,
            map_pinned_page=None,
            map_page=None,
            map_hva=0,
            map_pfn=0,
            map_gfn=0,
            map_writable=False,
        )
        return ret, pfn, hva

    def kvm_vcpu_unmap(self, vcpu: KvmVcpu, gfn: Gfn, pfn: Pfn, khva: Kva) -> None:
        """Pass the structure as it was filled."""
        page = self.mem_map[pfn]
        self.c_kvm_vcpu_unmap(
            vcpu,
            map_pinned_page=page,
            map_page=page,
            map_hva=khva,
            map_pfn=pfn,
            map_gfn=gfn,
            map_writable=True,
        )
