# SPDX-License-Identifier: GPL-2.0-only
"""Memslots: sets that are replaced under SRCU, their generation, and the update that waits for notifiers."""

from __future__ import annotations

from pfncache.litmus.protocol import Environment, LitmusTest, LitmusVerdict, Thread
from pfncache.litmus.protocols.functions import (
    KVM_HOST_H,
    KVM_MAIN,
    OLD_SET,
    PFNCACHE,
    SWAP_MEMSLOTS,
    XEN,
    within,
)
from pfncache.litmus.slice import Function, Slice

MEMSLOTS = within(KVM_HOST_H, "kvm_memslots", "__kvm_memslots")
READER = Slice(
    function=Function(KVM_MAIN, "kvm_handle_hva_range"),
    tracks="kvm->memslots=memslots kvm->srcu=srcu slot->userspace_addr=slot",
    inline=MEMSLOTS,
    omit=("hva_end =",),
    body="""
    srcu_idx = srcu_read_lock(srcu);
    set = READ_ONCE(*memslots);
    slot = *set; // slot
    srcu_read_unlock(srcu, srcu_idx);
    """,
)
START = Slice(
    function=Function(KVM_MAIN, "kvm_mmu_notifier_invalidate_range_start"),
    tracks="mn_invalidate_lock mn_active_invalidate_count kvm->memslots=memslots",
    inline={**MEMSLOTS, **within(KVM_MAIN, "kvm_handle_hva_range")},
    body="""
    spin_lock(mn_invalidate_lock);
    c0 = *mn_active_invalidate_count;
    *mn_active_invalidate_count = c0 + 1;
    spin_unlock(mn_invalidate_lock);
    first = READ_ONCE(*memslots);
    """,
)
END = Slice(
    function=Function(KVM_MAIN, "kvm_mmu_notifier_invalidate_range_end"),
    tracks="mn_invalidate_lock mn_active_invalidate_count kvm->memslots=memslots",
    inline={**MEMSLOTS, **within(KVM_MAIN, "kvm_handle_hva_range")},
    until="spin_unlock(&kvm->mn_invalidate_lock)",
    omit=("WARN_ON_ONCE(!", "wake =", "smp_wmb"),
    body="""
    second = READ_ONCE(*memslots);
    spin_lock(mn_invalidate_lock);
    c1 = *mn_active_invalidate_count;
    *mn_active_invalidate_count = c1 - 1;
    spin_unlock(mn_invalidate_lock);
    """,
)
UPDATE = Slice(
    function=Function(KVM_MAIN, "kvm_swap_active_memslots"),
    tracks="mn_invalidate_lock mn_active_invalidate_count kvm->memslots=memslots",
    since="spin_lock(&kvm->mn_invalidate_lock)",
    until="spin_unlock(&kvm->mn_invalidate_lock)",
    body="""
    spin_lock(mn_invalidate_lock);
    count = *mn_active_invalidate_count;
    if (count == 0) smp_store_release(memslots, 1);
    spin_unlock(mn_invalidate_lock);
    """,
)
SLEEP = Slice(
    function=Function(KVM_MAIN, "kvm_swap_active_memslots"),
    tracks="mn_invalidate_lock mn_active_invalidate_count w->task=task",
    inline=within("include/linux/rcuwait.h", "prepare_to_rcuwait"),
    calls={"set_current_state": "write state once, fence smp_mb"},
    enter=("kvm->mn_active_invalidate_count",),
    since="spin_lock(&kvm->mn_invalidate_lock)",
    until="spin_unlock(&kvm->mn_invalidate_lock)",
    body="""
    spin_lock(mn_invalidate_lock);
    smp_store_release(task, 1);
    count = *mn_active_invalidate_count;
    if (count == 1) WRITE_ONCE(*state, 1);
    smp_mb();
    spin_unlock(mn_invalidate_lock);
    """,
)
WAKE = Slice(
    function=Function(KVM_MAIN, "kvm_mmu_notifier_invalidate_range_end"),
    tracks="mn_invalidate_lock mn_active_invalidate_count w->task=task",
    inline=within("kernel/exit.c", "rcuwait_wake_up"),
    calls={"wake_up_process": "read state once"},
    since="spin_lock(&kvm->mn_invalidate_lock)",
    omit=("WARN_ON_ONCE(!", "wake =", "smp_wmb"),
    body="""
    spin_lock(mn_invalidate_lock);
    c1 = *mn_active_invalidate_count;
    *mn_active_invalidate_count = c1 - 1;
    spin_unlock(mn_invalidate_lock);
    rcu_read_lock();
    smp_mb();
    waiter = READ_ONCE(*task);
    sleeping = READ_ONCE(*state);
    rcu_read_unlock();
    """,
)

TESTS = (
    LitmusTest(
        name="memslots/srcu",
        protects="a memslot is freed when no reader has the set that it is in any more",
        threads=(
            Thread("update", (SWAP_MEMSLOTS, Environment("kvm_set_memslot() frees the old slot", "*old = 1;"))),
            Thread("reader", (READER,)),
        ),
        never="1:set=old /\\ 1:slot=1",
        init=OLD_SET,
        pointers="memslots",
    ),
    LitmusTest(
        name="memslots/publish",
        protects="a reader of the new set finds it complete",
        threads=(
            Thread("update", (Environment("kvm_replace_memslot() fills the new set", "*new = 1;"), SWAP_MEMSLOTS)),
            Thread("reader", (READER,)),
        ),
        never="1:set=new /\\ 1:slot=0",
        init=OLD_SET,
        pointers="memslots",
    ),
    LitmusTest(
        name="memslots/generation",
        protects="a reader of the new set does not find the generation that it had before",
        threads=(
            Thread(
                "update",
                (
                    Slice(
                        function=Function(KVM_MAIN, "kvm_swap_active_memslots"),
                        tracks="slots->generation=generation kvm->memslots=memslots srcu",
                        body="""
                        *new = 3; // generation
                        smp_store_release(memslots, new);
                        synchronize_srcu(srcu);
                        gen = *new; // generation
                        *new = 2; // generation
                        """,
                    ),
                ),
            ),
            Thread(
                "check",
                (
                    Slice(
                        function=Function(XEN, "kvm_xen_set_evtchn_fast"),
                        tracks="slots->generation=generation kvm->memslots=memslots kvm->srcu=srcu",
                        inline={**MEMSLOTS, **within(PFNCACHE, "kvm_gpc_check")},
                        omit=("kvm_gpc_check(gpc, sizeof",),
                        skip=("test_and_set_bit(xe->port, pending_bits)", "test_bit(xe->port, mask_bits)"),
                        body="""
                        srcu_idx = srcu_read_lock(srcu);
                        set = READ_ONCE(*memslots);
                        gen = *set; // generation
                        srcu_read_unlock(srcu, srcu_idx);
                        """,
                    ),
                ),
            ),
        ),
        init=OLD_SET,
        pointers="memslots",
        never="1:set=new /\\ 1:gen=0",
        expected=LitmusVerdict.DATA_RACE,
    ),
    LitmusTest(
        name="memslots/notifier",
        protects="the start and the end of a notifier see the same set",
        threads=(Thread("update", (UPDATE,)), Thread("notifier", (START, END))),
        never="1:first=0 /\\ 1:second=1",
    ),
    LitmusTest(
        name="memslots/rcuwait",
        protects="an update that waits for notifiers is woken by the last one",
        threads=(Thread("update", (SLEEP,)), Thread("notifier", (WAKE,))),
        init="mn_active_invalidate_count=1;",
        never="0:count=1 /\\ (1:waiter=0 \\/ 1:sleeping=0)",
        abstraction="The waker reads the state of a task that it has not found, too.",
    ),
)
