# SPDX-License-Identifier: GPL-2.0-only
"""The steps of the series RFC v4, in C of our own, as edits of the source of 7.3.4."""

from __future__ import annotations

from tests.csource.edits import Change, before_function, everywhere, substitute

PFNCACHE, GMEM, MAIN = "virt/kvm/pfncache.c", "virt/kvm/guest_memfd.c", "virt/kvm/kvm_main.c"
OLD, NEW = "gfn_to_pfn_cache_invalidate_start", "gpc_invalidate_hva_range_start"

IS_BACKED = """\
static bool gpc_is_gmem_backed(struct gfn_to_pfn_cache *gpc)
{
	struct kvm_memory_slot *slot = gpc->memslot;

	if (!slot || !(slot->flags & KVM_MEM_GUEST_MEMFD))
		return false;

	return (slot->flags & KVM_MEMSLOT_GMEM_ONLY) ||
		kvm_mem_is_private(gpc->kvm, gpa_to_gfn(gpc->gpa));
}
"""
LOOKUP = """\
if (gpc_is_gmem_backed(gpc)) {
			if (kvm_gmem_get_pfn(gpc->kvm, gpc->memslot, kfp.gfn, &new_pfn, &page, NULL))
				new_pfn = KVM_PFN_ERR_FAULT;
		} else {
			new_pfn = hva_to_pfn(&kfp);
		}"""
RESOLVE = [
    Change(PFNCACHE, "hva_to_pfn_retry", substitute(r"new_pfn = hva_to_pfn\(&kfp\);", LOOKUP)),
    Change(PFNCACHE, "hva_to_pfn_retry", before_function(IS_BACKED)),
]

LACKS = """\
static bool gpc_lacks_direct_map(kvm_pfn_t pfn)
{
	struct address_space *mapping = pfn_to_page(pfn)->mapping;

	return mapping && mapping_no_direct_map(mapping);
}
"""
MAP = """\
if (pfn_valid(pfn) && gpc_lacks_direct_map(pfn)) {
		struct page *page = pfn_to_page(pfn);

		return vmap(&page, 1, VM_MAP, PAGE_KERNEL);
	}

	if (pfn_valid(pfn))"""
UNMAP = """\
if (pfn_valid(pfn) && is_vmalloc_addr(khva)) {
		vunmap(khva);
		return;
	}

	if (pfn_valid(pfn))"""
VMAP = [
    Change(PFNCACHE, "gpc_map", substitute(r"if \(pfn_valid\(pfn\)\)", MAP)),
    Change(PFNCACHE, "gpc_unmap", substitute(r"if \(pfn_valid\(pfn\)\)", UNMAP)),
    Change(PFNCACHE, "gpc_map", before_function(LACKS)),
]

RENAME = [Change(file, OLD, everywhere(NEW)) for file in (PFNCACHE, MAIN, "virt/kvm/kvm_mm.h")]

BY_GFN = """\
static void gpc_invalidate_gfn_range(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t first, gfn_t last)
{
	unsigned long hva = __gfn_to_hva_memslot(slot, first);

	gpc_invalidate_hva_range_start(kvm, hva, hva + ((last - first) << PAGE_SHIFT));
}
"""
COUNT = """\
spin_lock(&kvm->mn_invalidate_lock);
	kvm->mn_active_invalidate_count++;
	spin_unlock(&kvm->mn_invalidate_lock);"""
BINDINGS = (
    COUNT
    + """
	xa_for_each_range(&f->bindings, index, slot, start, end - 1) {
		gpc_invalidate_gfn_range(kvm, slot,
					slot->base_gfn + max(slot->gmem.pgoff, start) - slot->gmem.pgoff,
					slot->base_gfn + min(slot->gmem.pgoff + slot->npages, end) - slot->gmem.pgoff);
	}

	xa_for_each_range("""
)
END = """

	spin_lock(&kvm->mn_invalidate_lock);
	--kvm->mn_active_invalidate_count;
	wake = !kvm->mn_active_invalidate_count;
	spin_unlock(&kvm->mn_invalidate_lock);
	if (wake)
		rcuwait_wake_up(&kvm->mn_memslots_update_rcuwait);"""
SLOTS = (
    COUNT
    + """
	kvm_for_each_memslot_in_gfn_range(&iter, slots, start, end) {
		gfn_t first = max(start, iter.slot->base_gfn);
		gfn_t last = min(end, iter.slot->base_gfn + iter.slot->npages);

		if (first < last)
			gpc_invalidate_slot_range(kvm, iter.slot, first, last);
	}

	kvm_handle_gfn_range(kvm, &pre_set_range);"""
)
UNCOUNT = """\
kvm_handle_gfn_range(kvm, &post_set_range);

	spin_lock(&kvm->mn_invalidate_lock);
	--kvm->mn_active_invalidate_count;
	spin_unlock(&kvm->mn_invalidate_lock);"""
LOCALS = "struct kvm_memslots *slots = kvm_memslots(kvm);\n\tstruct kvm_memslot_iter iter;\n\tunsigned long i;"
BY_SLOT = BY_GFN.replace("gpc_invalidate_gfn_range", "gpc_invalidate_slot_range")
WAKE = "struct kvm *kvm = f->kvm;\n\tbool wake;"
ATTRIBUTES = "kvm_vm_set_mem_attributes"
INVALIDATE = [
    Change(GMEM, "__kvm_gmem_invalidate_start", substitute(r"xa_for_each_range\(", BINDINGS)),
    Change(GMEM, "__kvm_gmem_invalidate_end", substitute(r"struct kvm \*kvm = f->kvm;", WAKE)),
    Change(GMEM, "__kvm_gmem_invalidate_end", substitute(r"\Z", END)),
    Change(GMEM, "__kvm_gmem_invalidate_start", before_function(BY_GFN)),
    Change(MAIN, ATTRIBUTES, substitute(r"kvm_handle_gfn_range\(kvm, &pre_set_range\);", SLOTS)),
    Change(MAIN, ATTRIBUTES, substitute(r"kvm_handle_gfn_range\(kvm, &post_set_range\);", UNCOUNT)),
    Change(MAIN, ATTRIBUTES, substitute(r"unsigned long i;", LOCALS)),
    Change(MAIN, ATTRIBUTES, before_function(BY_SLOT)),
]
V4 = {"resolve": RESOLVE, "vmap": VMAP, "rename": RENAME, "invalidate": INVALIDATE}
"""By step, in the order of the series."""
