# SPDX-License-Identifier: GPL-2.0-only
"""mmu_invalidate_seq: a TDP fault, and the reload of an SNP guest's VMSA, against invalidations."""

from __future__ import annotations

from pfncache.litmus.protocol import Environment, LitmusTest, LitmusVerdict, Thread
from pfncache.litmus.protocols.functions import (
    GUEST_MEMFD,
    KVM_HOST_H,
    KVM_MAIN,
    MMU,
    MMU_LOCK,
    PAGE_GOES,
    SEV,
    within,
)
from pfncache.litmus.slice import Function, Slice

START = Slice(
    function=Function(KVM_MAIN, "kvm_handle_hva_range"),
    tracks="mmu_invalidate_in_progress",
    inline={"on_lock": Function(KVM_MAIN, "kvm_mmu_invalidate_start")},
    calls={**MMU_LOCK, "handler": "write spte once", "likely": ""},
    body="""
    spin_lock(mmu_lock);
    c0 = *mmu_invalidate_in_progress;
    *mmu_invalidate_in_progress = c0 + 1;
    WRITE_ONCE(*spte, 0);
    spin_unlock(mmu_lock);
    """,
)
END = Slice(
    function=Function(KVM_MAIN, "kvm_handle_hva_range"),
    tracks="mmu_invalidate_in_progress mmu_invalidate_seq",
    inline={"on_lock": Function(KVM_MAIN, "kvm_mmu_invalidate_end")},
    calls={**MMU_LOCK, "KVM_BUG_ON": ""},
    enter=("IS_KVM_NULL_FN(range->handler)",),
    body="""
    spin_lock(mmu_lock);
    s0 = *mmu_invalidate_seq;
    *mmu_invalidate_seq = s0 + 1;
    smp_wmb();
    c1 = *mmu_invalidate_in_progress;
    *mmu_invalidate_in_progress = c1 - 1;
    spin_unlock(mmu_lock);
    """,
)
RETRY = within(KVM_HOST_H, "mmu_invalidate_retry_gfn")
FAULT = Slice(
    function=Function(MMU, "kvm_tdp_mmu_page_fault"),
    tracks="mmu_lock mmu_invalidate_in_progress mmu_invalidate_seq",
    inline={**within(MMU, "kvm_mmu_faultin_pfn", "is_page_fault_stale"), **RETRY},
    calls={"__kvm_mmu_faultin_pfn": "read pte once", "kvm_tdp_mmu_map": "write spte once"},
    body="""
    snap = *mmu_invalidate_seq;
    smp_rmb();
    pfn = READ_ONCE(*pte);
    spin_lock(mmu_lock);
    count = *mmu_invalidate_in_progress;
    seq = *mmu_invalidate_seq;
    if (count == 0 && seq == snap) WRITE_ONCE(*spte, 1);
    spin_unlock(mmu_lock);
    """,
)
PRECHECK = Slice(
    function=Function(MMU, "kvm_mmu_faultin_pfn"),
    tracks="mmu_invalidate_in_progress mmu_invalidate_seq",
    inline=within(KVM_HOST_H, "mmu_invalidate_retry_gfn_unsafe"),
    until="mmu_invalidate_retry_gfn_unsafe(kvm, fault->mmu_seq, fault->gfn)",
    body="""
    snap = *mmu_invalidate_seq;
    smp_rmb();
    count = READ_ONCE(*mmu_invalidate_in_progress);
    seq = READ_ONCE(*mmu_invalidate_seq);
    """,
)
GMEM_START = Slice(
    function=Function(GUEST_MEMFD, "__kvm_gmem_invalidate_start"),
    tracks="mmu_invalidate_in_progress snp_guest_vmsa_gpa",
    inline={
        "kvm_mmu_invalidate_start": Function(KVM_MAIN, "kvm_mmu_invalidate_start"),
        "kvm_arch_gmem_invalidate_range": Function(SEV, "sev_gmem_invalidate_range"),
    },
    calls={**MMU_LOCK, "likely": "", "kvm_make_request_and_kick": "update requests relaxed"},
    body="""
    spin_lock(mmu_lock);
    c0 = *mmu_invalidate_in_progress;
    *mmu_invalidate_in_progress = c0 + 1;
    gpa = READ_ONCE(*snp_guest_vmsa_gpa);
    if (gpa == 1) atomic_or(1, requests);
    spin_unlock(mmu_lock);
    """,
)
GMEM_END = Slice(
    function=Function(GUEST_MEMFD, "kvm_gmem_punch_hole"),
    tracks="mmu_invalidate_in_progress mmu_invalidate_seq",
    inline={
        **within(GUEST_MEMFD, "kvm_gmem_invalidate_end", "__kvm_gmem_invalidate_end"),
        **within(KVM_MAIN, "kvm_mmu_invalidate_end"),
    },
    calls={**MMU_LOCK, "KVM_BUG_ON": "", "truncate_inode_pages_range": "lock i_pages, write page once, unlock i_pages"},
    body="""
    spin_lock(i_pages);
    WRITE_ONCE(*page, 1);
    spin_unlock(i_pages);
    spin_lock(mmu_lock);
    s0 = *mmu_invalidate_seq;
    *mmu_invalidate_seq = s0 + 1;
    smp_wmb();
    c1 = *mmu_invalidate_in_progress;
    *mmu_invalidate_in_progress = c1 - 1;
    spin_unlock(mmu_lock);
    """,
)
RELOAD = Slice(
    function=Function(SEV, "__sev_snp_reload_vmsa"),
    tracks="mmu_lock snp_guest_vmsa_gpa vmsa_pa mmu_invalidate_seq mmu_invalidate_in_progress",
    inline=RETRY,
    calls={"kvm_gmem_get_pfn": "read page once"},
    skip=("mmu_invalidate_retry_gfn(kvm, mmu_seq, gfn)",),
    omit=("vmsa_pa = INVALID_PAGE",),
    body="""
    WRITE_ONCE(*snp_guest_vmsa_gpa, 0);
    snap = *mmu_invalidate_seq;
    smp_rmb();
    found = READ_ONCE(*page);
    spin_lock(mmu_lock);
    *snp_guest_vmsa_gpa = 1;
    count = *mmu_invalidate_in_progress;
    seq = *mmu_invalidate_seq;
    if (count == 0 && seq == snap) *vmsa_pa = 1;
    spin_unlock(mmu_lock);
    """,
)

TESTS = (
    LitmusTest(
        name="mmu/fault",
        protects="no SPTE maps a page that an MMU notifier has taken away",
        threads=(Thread("notifier", (START, PAGE_GOES, END)), Thread("fault", (FAULT,))),
        never="spte=1 /\\ 1:pfn=0",
        expected=LitmusVerdict.DATA_RACE,
        abstraction="The checks without mmu_lock are in mmu/precheck.",
    ),
    LitmusTest(
        name="mmu/precheck",
        protects="a fault that sees an invalidation's end sees that it has to retry (a hint: mmu_lock decides)",
        threads=(Thread("notifier", (END,)), Thread("fault", (PRECHECK,))),
        init="mmu_invalidate_in_progress=1;",
        never="1:count=0 /\\ 1:seq=0",
        expected=LitmusVerdict.BROKEN,
    ),
    LitmusTest(
        name="mmu/vmsa",
        protects="a vCPU whose VMSA is taken away has another page, or a request to reload it",
        threads=(Thread("punch", (GMEM_START, GMEM_END)), Thread("reload", (RELOAD,))),
        never="vmsa_pa=1 /\\ 1:found=0 /\\ requests=0",
        expected=LitmusVerdict.DATA_RACE,
    ),
    LitmusTest(
        name="mmu/track-write",
        protects="an emulated write of a guest's page table is seen by who shadows it, or sees that it is shadowed",
        threads=(
            Thread(
                "shadowing",
                (
                    Slice(
                        function=Function(MMU, "account_shadowed"),
                        tracks="indirect_shadow_pages",
                        until="smp_mb()",
                        body="""
                        pages = *indirect_shadow_pages;
                        *indirect_shadow_pages = pages + 1;
                        smp_mb();
                        """,
                    ),
                    Environment("gpte_changed() reads the guest's PTE", "seen = READ_ONCE(*gpte);"),
                ),
            ),
            Thread(
                "emulator",
                (
                    Environment("the emulator writes the guest's PTE", "WRITE_ONCE(*gpte, 1);"),
                    Slice(
                        function=Function(MMU, "kvm_mmu_track_write"),
                        tracks="indirect_shadow_pages",
                        until="!vcpu->kvm->arch.indirect_shadow_pages",
                        body="""
                        smp_mb();
                        shadowed = *indirect_shadow_pages;
                        """,
                    ),
                ),
            ),
        ),
        never="0:seen=0 /\\ 1:shadowed=0",
        expected=LitmusVerdict.DATA_RACE,
    ),
    LitmusTest(
        name="mmu/page-hash",
        protects="who finds the hash table of shadow pages finds it cleared",
        threads=(
            Thread(
                "allocation",
                (
                    Environment("the table is cleared", "WRITE_ONCE(*table, 1);"),
                    Slice(
                        function=Function(MMU, "kvm_mmu_alloc_page_hash"),
                        tracks="mmu_page_hash",
                        unread="mmu_page_hash",
                        body="smp_store_release(mmu_page_hash, table);",
                    ),
                ),
            ),
            Thread(
                "walk",
                (
                    Slice(
                        function=Function(MMU, "kvm_get_mmu_page_hash"),
                        tracks="mmu_page_hash",
                        body="hash = smp_load_acquire(mmu_page_hash);",
                    ),
                    Environment("the walk of the table", "entry = READ_ONCE(*hash); // table"),
                ),
            ),
        ),
        init="mmu_page_hash=empty;",
        pointers="mmu_page_hash",
        never="1:hash=table /\\ 1:entry=0",
    ),
)
