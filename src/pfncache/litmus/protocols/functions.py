# SPDX-License-Identifier: GPL-2.0-only
"""Functions of KVM that several tests walk into, and slices that several have in common."""

from __future__ import annotations

from collections.abc import Mapping

from pfncache.litmus.protocol import Environment
from pfncache.litmus.slice import Function, Slice

KVM_HOST_H = "include/linux/kvm_host.h"
KVM_MAIN = "virt/kvm/kvm_main.c"
PFNCACHE = "virt/kvm/pfncache.c"
GUEST_MEMFD = "virt/kvm/guest_memfd.c"
MMU = "arch/x86/kvm/mmu/mmu.c"
SEV = "arch/x86/kvm/svm/sev.c"
X86 = "arch/x86/kvm/x86.c"
XEN = "arch/x86/kvm/xen.c"


def within(file: str, *names: str) -> Mapping[str, Function]:
    """Return functions of a file that are walked into, by name."""
    return {name: Function(file, name) for name in names}


MMU_LOCK = {"KVM_MMU_LOCK": "lock mmu_lock", "KVM_MMU_UNLOCK": "unlock mmu_lock"}
INVALIDATE_LOCK = {
    "filemap_invalidate_lock": "lock invalidate_lock",
    "filemap_invalidate_unlock": "unlock invalidate_lock",
}
REQUEST = within(KVM_HOST_H, "kvm_make_request", "__kvm_make_request")
KICK = {
    **within(KVM_MAIN, "__kvm_vcpu_kick"),
    **within(X86, "kvm_arch_vcpu_should_kick"),
    **within(KVM_HOST_H, "kvm_vcpu_exiting_guest_mode"),
}

PAGE_GOES = Environment(
    "mm: the page table entry is cleared, and the page is freed",
    """
    spin_lock(ptl);
    WRITE_ONCE(*pte, 1);
    spin_unlock(ptl);
    """,
)
"""The entry is 0 as long as it maps the old page. Without the lock of the page table, nothing would order it before the
sequence: a lock that is taken does not keep what stands before it out of its section; one that was released does."""

NOTIFIER_START = Slice(
    function=Function(KVM_MAIN, "kvm_mmu_notifier_invalidate_range_start"),
    tracks="kvm->mn_invalidate_lock=mn_invalidate_lock mn_active_invalidate_count",
    body="""
    spin_lock(mn_invalidate_lock);
    c0 = *mn_active_invalidate_count;
    *mn_active_invalidate_count = c0 + 1;
    spin_unlock(mn_invalidate_lock);
    """,
)
INVALIDATE = Slice(
    function=Function(PFNCACHE, "gfn_to_pfn_cache_invalidate_start"),
    tracks="kvm->gpc_lock=gpc_lock gpc->lock=cache_lock valid",
    enter=("gpc->valid && !is_error_noslot_pfn(gpc->pfn) && gpc->uhva >= start && gpc->uhva < end",),
    omit=("read_lock_irq", "read_unlock_irq"),
    unread="valid",
    body="""
    spin_lock(gpc_lock);
    spin_lock(cache_lock);
    *valid = 0;
    spin_unlock(cache_lock);
    spin_unlock(gpc_lock);
    """,
)
NOTIFIER_END = Slice(
    function=Function(KVM_MAIN, "kvm_mmu_notifier_invalidate_range_end"),
    tracks="mn_invalidate_lock gpc_invalidate_seq mn_active_invalidate_count",
    until="spin_unlock(&kvm->mn_invalidate_lock)",
    omit=("WARN_ON_ONCE", "wake ="),
    body="""
    spin_lock(mn_invalidate_lock);
    s0 = *gpc_invalidate_seq;
    *gpc_invalidate_seq = s0 + 1;
    smp_wmb();
    c1 = *mn_active_invalidate_count;
    *mn_active_invalidate_count = c1 - 1;
    spin_unlock(mn_invalidate_lock);
    """,
)
REFRESH = Slice(
    function=Function(PFNCACHE, "__kvm_gpc_refresh"),
    tracks="gpc->lock=cache_lock valid gpc_invalidate_seq mn_active_invalidate_count",
    inline=within(PFNCACHE, "hva_to_pfn_retry", "mmu_notifier_retry_cache"),
    calls={"hva_to_pfn": "read pte once"},
    skip=("ret",),
    unread="valid",
    body="""
    spin_lock(cache_lock);
    *valid = 0;
    snap = *gpc_invalidate_seq;
    smp_rmb();
    spin_unlock(cache_lock);
    pfn = READ_ONCE(*pte);
    spin_lock(cache_lock);
    count = *mn_active_invalidate_count;
    smp_rmb();
    seq = *gpc_invalidate_seq;
    if (count == 0 && seq == snap) *valid = 1;
    spin_unlock(cache_lock);
    """,
)
SWAP_MEMSLOTS = Slice(
    function=Function(KVM_MAIN, "kvm_swap_active_memslots"),
    tracks="kvm->memslots=memslots srcu",
    omit=("u64 gen =",),
    body="""
    smp_store_release(memslots, new);
    synchronize_srcu(srcu);
    """,
)
"""The set `old` is replaced by the set `new`. A set is its one slot here."""
OLD_SET = "memslots=old;"
