# SPDX-License-Identifier: GPL-2.0-only
"""Tables for virt/kvm/guest_memfd.c and what it calls of the xarray, the page cache and struct file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pfncache.csource.kvm.adapter import adapts
from pfncache.csource.tables import CallEntry, EachEntry, GuardEntry, MemberEntry, NameEntry, Tables, WalkEntry
from pfncache.lang.atomic import guard
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.kvm_host import File, GmemBinding, GmemFile, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_HWPOISON, Gfn
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.linux.types import Errno, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EHWPOISON, EINVAL, ENOENT, ENOMEM
from pfncache.linux.virt.kvm.guest_memfd.invalidation import GuestMemfdInvalidation
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

KVM_FILTER_SHARED, KVM_FILTER_PRIVATE = 1, 2
VM_FAULT_SIGBUS, VM_FAULT_LOCKED, VM_FAULT_RETRY = 2, 0x200, 0x400
CONSTANTS = {
    "KVM_FILTER_SHARED": KVM_FILTER_SHARED, "KVM_FILTER_PRIVATE": KVM_FILTER_PRIVATE,
    "VM_FAULT_SIGBUS": VM_FAULT_SIGBUS, "VM_FAULT_LOCKED": VM_FAULT_LOCKED, "VM_FAULT_RETRY": VM_FAULT_RETRY,
    "FGP_LOCK": 1, "FGP_CREAT": 2, "XA_PRESENT": 0, "MF_DELAYED": 2, "VM_SHARED": 8, "VM_MAYSHARE": 128,
}  # fmt: skip
INODE = "the inode of a file is its page cache in the model"
ORDER_0 = "every folio of the model is one page"
POLICY = "the model has no NUMA policy"
XARRAY = "an xarray is a tuple by index"
METHOD = "a method of the lock"
NO_ERROR = "the model returns None for an error"

TABLES = Tables(
    config=frozenset({
        "CONFIG_KVM_GUEST_MEMFD", "CONFIG_KVM_PRIVATE_MEM", "CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES",
        "CONFIG_HAVE_KVM_ARCH_GMEM_CONVERT", "CONFIG_HAVE_KVM_ARCH_GMEM_PREPARE", "CONFIG_HAVE_KVM_ARCH_GMEM_RECLAIM",
        "CONFIG_HAVE_KVM_ARCH_GMEM_INVALIDATE",
    }),
    records={
        "inode": "AddressSpace", "address_space": "AddressSpace", "gmem_inode": "AddressSpace", "kvm_gmem": "GmemFile",
        "folio": "Page",
    },
    containers={("gmem_inode", "vfs_inode"): MemberEntry("{0}", INODE, "AddressSpace")},
    members={
        ("AddressSpace", "i_mapping"): MemberEntry("{0}", INODE, "AddressSpace"),
        ("AddressSpace", "host"): MemberEntry("{0}", INODE, "AddressSpace"),
        ("AddressSpace", "vfs_inode"): MemberEntry("{0}", INODE, "AddressSpace"),
        ("AddressSpace", "flags"): MemberEntry("{0}.gmem_flags", "flags of struct gmem_inode"),
        ("AddressSpace", "policy"): MemberEntry("0", POLICY),
        ("File", "f_op"): MemberEntry("{0}.f_mapping.gmem", "whether the operations are kvm_gmem_fops", "bool"),
    },
    names={"kvm_gmem_fops": NameEntry("True", "see f_op", "bool")},
    flags={
        ("KvmMemorySlot", "flags", "KVM_MEMSLOT_GMEM_ONLY"): "gmem_only",
        ("KvmMemorySlot", "flags", "KVM_MEMSLOT_INVALID"): "invalid",
        ("KvmMemorySlot", "flags", "KVM_MEM_READONLY"): "readonly",
        ("KvmMemorySlot", "flags", "KVM_MEM_LOG_DIRTY_PAGES"): "log_dirty",
        ("KvmMemorySlot", "flags", "KVM_MEM_GUEST_MEMFD"): "guest_memfd",
    },
    lists={
        ("AddressSpace", "gmem_file_list"): WalkEntry(
            "self.gmem_files", "{1}.f_mapping is {0} and {0}.gmem_listed", "the one file of an inode is on its list",
            element="{1}.private_data",
        ),
        ("AddressSpace", "i_private_list"): WalkEntry(
            "self.gmem_files", "{1}.f_mapping is {0} and {0}.gmem_listed", "its name before 7.3",
            element="{1}.private_data",
        )
    },
    entries={("GmemFile", "entry"): WalkEntry("", "", "see gmem_file_list", remove="self.unlist_gmem_file({0})")},
    each={
        "xa_for_each_range": EachEntry("self.bindings_in_range({0}, {3}, {4})", (1, 2), XARRAY),
        "xa_for_each": EachEntry("self.bindings_in_range({0}, 0, ULONG_MAX)", (1, 2), XARRAY),
    },
    by_hand={
        "__kvm_gmem_create": "files are made when a scenario is set up, with every record that they will have",
        "kvm_gmem_create": "its checks alone are modelled, for the model machine",
        "kvm_gmem_migrate_folio": "the model does not migrate pages of guest_memfd",
    },
    guards={
        "gmem_get_file": GuardEntry(
            "self.putting_file({0})", "DEFINE_CLASS(gmem_get_file)", make="kvm_gmem_get_file", struct="file"
        )
    },
    opaque={
        "mempolicy": POLICY, "shared_policy": POLICY,
        "vm_operations_struct": "the model calls guest_memfd's page fault by the file",
    },
    calls={
        "file_inode": CallEntry("{0}.f_mapping", INODE, "AddressSpace"),
        "filemap_invalidate_lock": CallEntry("{0}.invalidate_lock.lock()", METHOD, "void"),
        "filemap_invalidate_unlock": CallEntry("{0}.invalidate_lock.unlock()", METHOD, "void"),
        "filemap_invalidate_lock_shared": CallEntry("{0}.invalidate_lock.lock_shared()", METHOD, "void"),
        "filemap_invalidate_unlock_shared": CallEntry("{0}.invalidate_lock.unlock_shared()", METHOD, "void"),
        "KVM_MMU_LOCK": CallEntry("{0}.mmu_lock.write_lock()", "x86 has KVM_HAVE_MMU_RWLOCK", "void"),
        "KVM_MMU_UNLOCK": CallEntry("{0}.mmu_lock.write_unlock()", "x86 has KVM_HAVE_MMU_RWLOCK", "void"),
        "filemap_lock_folio": CallEntry("self.locked_folio({0}, {1})", NO_ERROR, "Page|err"),
        "filemap_grab_folio": CallEntry("self.grabbed_folio({0}, {1})", NO_ERROR, "Page|err"),
        "__filemap_get_folio_mpol": CallEntry("self.grabbed_folio({0}, {1})", "with FGP_LOCK | FGP_CREAT", "Page|err"),
        "mapping_gfp_mask": CallEntry("0", "the model has no GFP flags"),
        "mpol_shared_policy_lookup": CallEntry("0", POLICY),
        "mpol_cond_put": CallEntry("", POLICY, "void"),
        "IS_ALIGNED": CallEntry("({0} & ({1} - 1) == 0)", "a macro of align.h", "bool"),
        "ALIGN_DOWN": CallEntry("({0} & ~({1} - 1))", "a macro of align.h"),
        "page_to_pfn": CallEntry("{0}.pfn", "a member of the record"),
        "pr_warn_ratelimited": CallEntry("", "the model has no log", "void"),
        "folio_order": CallEntry("0", ORDER_0),
        "folio_nr_pages": CallEntry("1", ORDER_0),
        "folio_test_large": CallEntry("False", ORDER_0, "bool"),
        "folio_page": CallEntry("{0}", ORDER_0, "Page"),
        "folio_file_page": CallEntry("{0}", ORDER_0, "Page"),
        "folio_pfn": CallEntry("{0}.pfn", "a member of the record"),
        "folio_next_index": CallEntry("({0}.index + 1)", ORDER_0),
        "folio_test_hwpoison": CallEntry("{0}.hwpoison", "a member of the record", "bool"),
        "folio_test_uptodate": CallEntry("{0}.uptodate", "a member of the record", "bool"),
        "folio_mark_uptodate": CallEntry("self.mark_uptodate({0})", "a member of the record", "void"),
        "folio_lock": CallEntry("{0}.lock.lock()", METHOD, "void"),
        "folio_unlock": CallEntry("{0}.lock.unlock()", METHOD, "void"),
        "folio_put": CallEntry("self.put_page({0})", ORDER_0, "void"),
        "truncate_inode_pages_range": CallEntry("self.truncate_bytes({0}, {1}, {2})", "the model takes pages", "void"),
        "i_size_read": CallEntry("self.inode_size({0})", "as many pages as the cache has entries"),
        "PAGE_ALIGNED": CallEntry("(self.offset_in_page({0}) == 0)", "a macro of mm.h", "bool"),
        "signal_pending": CallEntry("{0}.signal_pending", "a member of the record", "bool"),
        "file_modified": CallEntry("", "the model has no time stamps", "void"),
        "kfree": CallEntry("kfree({0})", "a function of the model", "void"),
        "fput": CallEntry("self.fput({0})", "a function of the model", "void"),
        "fget": CallEntry("self.file_of({0})", "the model has no descriptors: a file's number in gmem_files", "File"),
        "get_file_active": CallEntry("self.get_file_active({0:owner})", "it takes the pointer's owner", "File"),
        "vmf_error": CallEntry("VM_FAULT_SIGBUS", "the model has one result for errors of page faults"),
        "xa_destroy": CallEntry("", "a tuple of the model has no memory of its own", "void"),
        "xa_load": CallEntry("self.binding_at({0}, {1})", XARRAY, "KvmMemorySlot"),
        "xa_empty": CallEntry("self.no_bindings({0})", XARRAY, "bool"),
        "xa_find": CallEntry(
            "self.next_binding({0}, {1}, {2})", XARRAY, "KvmMemorySlot", results=("1",)
        ),
        "xa_store_range": CallEntry("self.store_bindings({0}, {1}, {2}, {3})", XARRAY),
        "xa_err": CallEntry("{0}", "xa_store_range() of the model returns an errno"),
        "kvm_arch_gmem_make_private": CallEntry("self.kvm_arch_gmem_make_private({0}, {1}, {2})", ORDER_0),
        "kvm_arch_gmem_prepare": CallEntry("self.kvm_arch_gmem_make_private({0}, {1}, {2})", "its name before 7.3"),
        "kvm_arch_gmem_reclaim": CallEntry("self.kvm_arch_gmem_reclaim({0})", ORDER_0, "void"),
        "kvm_arch_gmem_invalidate": CallEntry("self.kvm_arch_gmem_reclaim({0})", "its name before 7.3", "void"),
    },
)  # fmt: skip


class GuestMemfdHelpers(GuestMemfdInvalidation):
    """What the C of guest_memfd.c calls in another form than the model's functions have."""

    @part_of("kvm_arch_gmem_invalidate_range")
    def invalidate_vmsas(self, kvm: Kvm, start: Gfn, end: Gfn) -> None:
        """Take the pages of a range from what is no SPTE."""
        self.kvm_arch_gmem_invalidate_range(kvm, start, end)

    @part_of_caller
    def unlist_gmem_file(self, f: GmemFile) -> None:
        """Take a file off its inode's list."""
        for file in self.gmem_files:
            if file.private_data is f:
                file.f_mapping.gmem_listed = False

    @guard
    def putting_file(self, file: File | None) -> Iterator[None]:
        """Put a file at the end of the block, if there is one."""
        yield
        if file is not None:
            self.fput(file)

    @part_of("fget")
    def file_of(self, fd: int) -> File | None:
        """Take a reference on the file of a descriptor."""
        for number in range(len(self.gmem_files)):
            if number == fd:
                self.get_file(self.gmem_files[number])
                return self.gmem_files[number]
        return None

    @part_of_caller
    def inode_size(self, inode: AddressSpace) -> int:
        """Return the size of a file in bytes."""
        return len(inode.i_pages) << self.PAGE_SHIFT

    @part_of("filemap_lock_folio")
    def locked_folio(self, mapping: AddressSpace, index: int) -> tuple[Page | None, int]:
        """Return the cached page, locked, or -ENOENT."""
        page = self.filemap_lock_folio(mapping, index)
        if page is None:
            return None, -ENOENT
        return page, 0

    @part_of("filemap_grab_folio")
    def grabbed_folio(self, mapping: AddressSpace, index: int) -> tuple[Page | None, int]:
        """Return the cached page, or a new one, locked, or -ENOMEM."""
        page = self.filemap_grab_folio(mapping, index)
        if page is None:
            return None, -ENOMEM
        return page, 0

    @part_of_caller
    def mark_uptodate(self, page: Page) -> None:
        """Set the flag."""
        page.uptodate = True

    @part_of("truncate_inode_pages_range")
    def truncate_bytes(self, mapping: AddressSpace, start: int, last: int) -> None:
        """Remove the pages of a range of bytes, the last one included."""
        self.truncate_inode_pages_range(mapping, start >> self.PAGE_SHIFT, (last + 1) >> self.PAGE_SHIFT)

    @part_of_caller
    def binding_at(self, bindings: tuple[GmemBinding, ...], index: int) -> KvmMemorySlot | None:
        """Return the entry at an index."""
        if index < 0 or index >= len(bindings):
            return None
        return bindings[index].slot

    @part_of_caller
    def no_bindings(self, bindings: tuple[GmemBinding, ...]) -> bool:
        """Return whether there is no entry."""
        for number in range(len(bindings)):
            if bindings[number].slot is not None:
                return False
        return True

    @part_of_caller
    def next_binding(
        self, bindings: tuple[GmemBinding, ...], index: int, last: int
    ) -> tuple[KvmMemorySlot | None, int]:
        """Return the first entry from an index on, and its index."""
        for number in range(len(bindings)):
            if index <= number <= last:
                slot = bindings[number].slot
                if slot is not None:
                    return slot, number
        return None, index

    @part_of_caller
    def store_bindings(
        self, bindings: tuple[GmemBinding, ...], first: int, last: int, slot: KvmMemorySlot | None
    ) -> int:
        """Store an entry at a range of indexes; it cannot fail."""
        for number in range(len(bindings)):
            if first <= number <= last:
                bindings[number].slot = slot
        return 0

    def bindings_in_range(
        self, bindings: tuple[GmemBinding, ...], start: int, last: int
    ) -> Iterator[tuple[int, KvmMemorySlot]]:
        """Yield each entry once, with the first index that it is at: an entry of a range is one entry."""
        before: KvmMemorySlot | None = None
        for number in range(len(bindings)):
            if start <= number <= last:
                slot = bindings[number].slot
                if slot is not None and slot is not before:
                    yield number, slot
                before = slot


class GuestMemfdAdapters(KvmMm):
    """The model's functions that take or return something else than the C's: each calls the C's function."""

    c_kvm_gmem_get_pfn: Callable[..., tuple[Errno, Pfn, Page | None, int, bool, bool, bool]]
    c_kvm_gmem_punch_hole: Callable[..., Errno]
    c_kvm_gmem_allocate: Callable[..., Errno]
    c_kvm_gmem_release: Callable[..., int]
    c_kvm_gmem_error_folio: Callable[..., int]
    c_kvm_gmem_fault_user_mapping: Callable[..., tuple[int, Page | None, bool]]
    c_kvm_gmem_prepare_memory_region: Callable[..., Errno]
    c_kvm_gmem_mmap: Callable[..., Errno]
    c_kvm_gmem_get_invalidate_filter: Callable[..., int]

    @adapts("kvm_gmem_get_pfn", "kvm", "slot", "gfn", "pfn", "page", "max_order")
    def kvm_gmem_get_pfn(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Return the page, or the error pfn that stands for the errno."""
        ret, pfn, _page, _order, _pfn_set, _page_set, _order_set = self.c_kvm_gmem_get_pfn(
            kvm, slot, gfn, 0, True, None, True, 0, True, pfn_set=False, page_set=False, max_order_set=False
        )
        if ret == 0:
            return pfn
        return KVM_PFN_ERR_HWPOISON if ret == -EHWPOISON else KVM_PFN_ERR_FAULT

    def kvm_gmem_punch_hole(self, file: File, start: Pgoff, end: Pgoff) -> Errno:
        """Pass the range in bytes."""
        return self.c_kvm_gmem_punch_hole(file.f_mapping, start << self.PAGE_SHIFT, (end - start) << self.PAGE_SHIFT)

    def kvm_gmem_allocate(self, file: File, start: Pgoff, end: Pgoff) -> Errno:
        """Pass the range in bytes."""
        return self.c_kvm_gmem_allocate(file.f_mapping, start << self.PAGE_SHIFT, (end - start) << self.PAGE_SHIFT)

    def kvm_gmem_release(self, file: File) -> None:
        """Pass the inode too."""
        self.c_kvm_gmem_release(file.f_mapping, file)

    def kvm_gmem_error_folio(self, mapping: AddressSpace, index: Pgoff) -> None:
        """Pass the folio; the caller holds a reference on it."""
        page = mapping.i_pages[index].page
        if page is not None:
            self.c_kvm_gmem_error_folio(mapping, page)

    def kvm_gmem_fault_user_mapping(self, mapping: AddressSpace, index: Pgoff) -> Pfn:
        """Return the page, or an error pfn; with __do_fault()'s test for poisoned memory."""
        for file in self.gmem_files:
            if file.f_mapping is mapping:
                ret, page, _page_set = self.c_kvm_gmem_fault_user_mapping(
                    vmf_vma_vm_file=file, vmf_vma_vm_flags=0, vmf_pgoff=index, vmf_page=None
                )
                if ret != VM_FAULT_LOCKED:
                    return KVM_PFN_ERR_FAULT
                assert page is not None
                if page.hwpoison:
                    page.lock.unlock()
                    self.put_page(page)
                    return KVM_PFN_ERR_HWPOISON
                return page.pfn
        return KVM_PFN_ERR_FAULT

    def kvm_gmem_prepare_memory_region(self, kvm: Kvm, slot: KvmMemorySlot, file: File, pgoff: Pgoff) -> Errno:
        """Pass the file's number as its descriptor, and the offset in bytes; mark the slot, as its caller does."""
        for number in range(len(self.gmem_files)):
            if self.gmem_files[number] is file:
                slot.guest_memfd = True
                return self.c_kvm_gmem_prepare_memory_region(kvm, slot, number, pgoff << self.PAGE_SHIFT)
        return -EINVAL

    def kvm_gmem_mmap(self, file: File, shared: bool) -> Errno:
        """Pass a VMA that is shared or not."""
        return self.c_kvm_gmem_mmap(file, vma_vm_file=file, vma_vm_flags=0x88 if shared else 0x80)

    def kvm_gmem_get_invalidate_filter(self, inode: AddressSpace) -> bool:
        """Return whether the filter is that of private mappings."""
        return self.c_kvm_gmem_get_invalidate_filter(inode) == KVM_FILTER_PRIVATE


class GuestMemfdAdapters612(KvmMm):
    """Adapters to functions of 6.12 that have other parameters."""

    c_kvm_gmem_get_pfn: Callable[..., tuple[Errno, Pfn, int, bool, bool]]

    @adapts("kvm_gmem_get_pfn", "kvm", "slot", "gfn", "pfn", "max_order")
    def kvm_gmem_get_pfn(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Return the page, or the error pfn that stands for the errno."""
        ret, pfn, _order, _pfn_set, _order_set = self.c_kvm_gmem_get_pfn(
            kvm, slot, gfn, 0, True, 0, True, pfn_set=False, max_order_set=False
        )
        if ret == 0:
            return pfn
        return KVM_PFN_ERR_HWPOISON if ret == -EHWPOISON else KVM_PFN_ERR_FAULT
