# SPDX-License-Identifier: GPL-2.0-only
"""The model's records as text, in a line each."""

from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import INVALID_GPA
from pfncache.linux.include.linux.mm_types import Page


def cache_text(gpc: GfnToPfnCache) -> str:
    """Describe a gfn_to_pfn_cache."""
    if not gpc.active:
        return "inactive"
    state = "valid" if gpc.valid else "invalid"
    where = f"uhva {gpc.uhva:#x}" if gpc.gpa == INVALID_GPA else f"gpa {gpc.gpa:#x} uhva {gpc.uhva:#x}"
    page = f"pfn {gpc.pfn} khva {gpc.khva:#x}" if gpc.pfn >= 0 else "no pfn"
    return f"active, {state}, {where}, {page}, generation {gpc.generation}"


def slot_text(number: int, slot: KvmMemorySlot) -> str:
    """Describe a memslot."""
    flags = [name for name in ("log_dirty", "readonly", "guest_memfd", "gmem_only", "invalid") if getattr(slot, name)]
    end = slot.base_gfn + slot.npages - 1
    text = f"slot {number}: gfns {slot.base_gfn}-{end} at hva {slot.userspace_addr:#x}"
    if slot.gmem_file is not None:
        text += f", {slot.gmem_file} from page {slot.gmem_pgoff}"
    return text + (f" [{' '.join(flags)}]" if flags else "")


def page_text(page: Page) -> str:
    """Describe a page."""
    if page.free:
        return f"pfn {page.pfn}: free"
    owner = "anonymous" if page.anon else f"page {page.index} of {page.mapping}" if page.mapping else "no owner"
    marks = [name for name in ("hwpoison", "rmp_private") if getattr(page, name)]
    if not page.direct_map:
        marks.append("not in the direct map")
    counts = f"{page.refcount} references, {page.mapcount} PTEs"
    return f"pfn {page.pfn}: {owner}, {counts}" + "".join(f", {mark}" for mark in marks)
