# SPDX-License-Identifier: GPL-2.0-only
"""Tables for virt/kvm/pfncache.c and what it calls in virt/kvm/kvm_main.c, mm/ and kernel/iomem.c."""

from __future__ import annotations

from pfncache.csource.tables import CallEntry, Hook, MemberEntry, NameEntry, Tables, WalkEntry
from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.report import report
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.virt.kvm.kvm_mm import KvmMm

TABLES = Tables(
    headers=("include/linux/kvm_types.h", "include/linux/kvm_host.h", "virt/kvm/kvm_mm.h"),
    config=frozenset({
        "CONFIG_HAS_IOMEM", "CONFIG_HAVE_KVM_PFNCACHE", "CONFIG_NUMA", "CONFIG_KVM", "CONFIG_X86_64", "CONFIG_64BIT",
        "CONFIG_SMP",
    }),
    calls={
        "kvm_release_pfn_clean": CallEntry("self.kvm_release_page_clean({0})", "its name before 6.13", "void"),
        "kvm_release_page_unused": CallEntry("self.put_looked_up({0})", "the model's takes a pfn", "void"),
        "kvm_release_page_clean": CallEntry("self.put_looked_up({0})", "the model's takes a pfn", "void"),
        "kunmap": CallEntry("self.kunmap_page({0})", "the model's takes the address", "void"),
        "memremap": CallEntry("self.memremap({0})", "the model maps one page, for MEMREMAP_WB"),
        "pfn_to_page": CallEntry("self.mem_map[{0}]", "mem_map is a tuple of pages by pfn", "Page"),
        "pfn_to_hpa": CallEntry("{0}", "the model's memremap() takes a pfn"),
        "mapping_no_direct_map": CallEntry("{0}.no_direct_map", "a flag of the mapping", "bool"),
        "vmap": CallEntry("self.vmap({0})", "the model maps one page: C passes the address of a pointer to it"),
        "access_ok": CallEntry("self.is_user_range({0}, {1})", "the model's callers compare with PAGE_OFFSET", "bool"),
    },
    members={
        ("Page", "mapping"): MemberEntry("self.raw_mapping({0})", "an anonymous page's has tag bits", "AddressSpace")
    },
    names={
        name: NameEntry(f"self.{name}", "the checker's pages are small: a member of the kernel image")
        for name in (
            "PAGE_SIZE", "PAGE_SHIFT", "PAGE_OFFSET", "KVM_HVA_ERR_BAD", "KVM_HVA_ERR_RO_BAD",
            "KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS",
        )
    },
    lists={("Kvm", "gpc_list"): WalkEntry("{0}.gpcs", "{0}.gpc_list.reaches({1}.list)", "the links are membership")},
    entries={
        ("GfnToPfnCache", "list"): WalkEntry(
            "", "", "the head of the list that a cache can be on is its VM's",
            add="{0}.kvm.gpc_list.list_add({0}.list)", remove="{0}.kvm.gpc_list.list_del({0}.list)",
        )
    },
    stores={
        ("GfnToPfnCache", "pfn"): Hook(
            "self.tag_khva({0})", "KASAN's tag: the page's owner when it is published", unless="KVM_PFN_ERR_"
        )
    },
    before={
        "gpc_map": Hook("self.note_map({struct:gfn_to_pfn_cache}, {0})", "properties look at what a cache maps"),
    },
)  # fmt: skip


class PfncacheHelpers(KvmMm):
    """What the C of pfncache.c calls in another form than the model's functions have."""

    @part_of("kvm_release_page_unused")
    def put_looked_up(self, page: Page | None) -> None:
        """Drop the reference of a lookup; a pfn without struct page has none."""
        if page is not None:
            self.put_page(page)

    @atomic
    @part_of_caller
    def raw_mapping(self, page: Page) -> AddressSpace | None:
        """Return page->mapping, read without folio_mapping()."""
        if page.anon:
            report(
                "wild-pointer",
                f"mapping of pfn {page.pfn}, an anonymous page, is followed as an address_space, tag bits and all",
            )
        return page.mapping

    @part_of("kunmap")
    def kunmap_page(self, page: Page) -> None:
        """Do nothing: the direct map stays."""
        self.kunmap(self.PAGE_OFFSET + (page.pfn << self.PAGE_SHIFT))

    @part_of("access_ok")
    def is_user_range(self, address: Hva, length: int) -> bool:
        """Return whether the range lies in user address space."""
        return address + length <= self.PAGE_OFFSET
