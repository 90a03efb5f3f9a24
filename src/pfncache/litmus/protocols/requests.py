# SPDX-License-Identifier: GPL-2.0-only
"""Requests to a vCPU and its mode: no request is left behind, and what comes with one is there."""

from __future__ import annotations

from pfncache.litmus.protocol import Environment, LitmusTest, LitmusVerdict, Thread
from pfncache.litmus.protocols.functions import KICK, KVM_HOST_H, KVM_MAIN, MMU, REQUEST, X86, within
from pfncache.litmus.slice import Function, Slice

CHECK = Slice(
    function=Function(KVM_HOST_H, "kvm_check_request"),
    tracks="requests",
    inline=within(KVM_HOST_H, "kvm_test_request", "kvm_clear_request"),
    enter=("kvm_test_request(req, vcpu)",),
    body="""
    request = READ_ONCE(*requests);
    if (request == 1) atomic_andnot(1, requests);
    smp_mb__after_atomic();
    """,
)
MAKE = Slice(
    function=Function(KVM_HOST_H, "kvm_make_request"),
    tracks="requests",
    inline=REQUEST,
    body="""
    smp_wmb();
    atomic_or(1, requests);
    """,
)
MAKE_AND_KICK = Slice(
    function=Function(KVM_HOST_H, "kvm_make_request_and_kick"),
    tracks="requests mode",
    inline={**REQUEST, **KICK},
    skip=("vcpu == __this_cpu_read(kvm_running_vcpu)",),
    body="""
    smp_wmb();
    atomic_or(1, requests);
    smp_mb__before_atomic();
    old_mode = cmpxchg(mode, 1, 2);
    """,
)
"""Modes: 0 OUTSIDE_GUEST_MODE, 1 IN_GUEST_MODE, 2 EXITING_GUEST_MODE, 3 READING_SHADOW_PAGE_TABLES."""
MAKE_FOR_ALL = Slice(
    function=Function(KVM_MAIN, "kvm_make_vcpu_request"),
    tracks="requests mode",
    inline={
        **REQUEST,
        **within(KVM_MAIN, "kvm_request_needs_ipi"),
        **within(KVM_HOST_H, "kvm_vcpu_exiting_guest_mode"),
    },
    body="""
    smp_wmb();
    atomic_or(1, requests);
    smp_mb__before_atomic();
    old_mode = cmpxchg(mode, 1, 2);
    """,
)
ENTER = Slice(
    function=Function(X86, "vcpu_enter_guest"),
    tracks="mode requests",
    calls={"kvm_vcpu_srcu_read_unlock": "srcu_read_unlock srcu"},
    inline={**within(X86, "kvm_vcpu_exit_request"), **within(KVM_HOST_H, "kvm_request_pending")},
    since="smp_store_release(&vcpu->mode, IN_GUEST_MODE)",
    until="kvm_vcpu_exit_request",
    unread="mode",
    body="""
    smp_store_release(mode, 1);
    srcu_read_unlock(srcu, srcu_idx);
    smp_mb__after_srcu_read_unlock();
    request = READ_ONCE(*requests);
    """,
)
TABLE_FREED = Environment("the table is freed", "if (old_mode == 0) WRITE_ONCE(*table, 1);")
CREATION = Thread(
    "creation",
    (
        Environment("kvm_vm_ioctl_create_vcpu() fills the vCPU in", "WRITE_ONCE(*vcpu_array, 1);"),
        Slice(
            function=Function(KVM_MAIN, "kvm_vm_ioctl_create_vcpu"),
            tracks="online_vcpus",
            since="smp_wmb()",
            until="atomic_inc(&kvm->online_vcpus)",
            body="""
            smp_wmb();
            atomic_inc(online_vcpus);
            """,
        ),
    ),
)


def _counting(what: str, function: Function, until: str = "") -> Thread:
    """Return a thread that counts the vCPUs, and takes one from the array."""
    part = Slice(
        function=function,
        tracks="online_vcpus",
        calls={"xa_load": "read vcpu_array once"},
        until=until,
        body="""
        count = READ_ONCE(*online_vcpus);
        smp_rmb();
        vcpu = READ_ONCE(*vcpu_array);
        """,
    )
    return Thread(what, (part,))


TESTS = (
    LitmusTest(
        name="requests/mode",
        protects="a vCPU that enters the guest sees a request, or who makes it sees that a kick is needed",
        threads=(
            Thread("requester", (MAKE_AND_KICK,)),
            Thread(
                "vCPU",
                (
                    Environment("vcpu_enter_guest() is in a read section", "srcu_idx = srcu_read_lock(srcu);"),
                    ENTER,
                ),
            ),
        ),
        never="0:old_mode=0 /\\ 1:request=0",
    ),
    LitmusTest(
        name="requests/data",
        protects="who takes a request sees what was written before it was made",
        threads=(
            Thread("requester", (Environment("what the request is about", "WRITE_ONCE(*data, 1);"), MAKE)),
            Thread("vCPU", (CHECK, Environment("what the request is about", "seen = READ_ONCE(*data);"))),
        ),
        never="1:request=1 /\\ 1:seen=0",
    ),
    LitmusTest(
        name="requests/shadow-walk",
        protects="a walk without a lock does not begin in a table that is being freed, unless its freer waits for it",
        threads=(
            Thread("freer", (Environment("the SPTE is zapped", "WRITE_ONCE(*spte, 1);"), MAKE_FOR_ALL)),
            Thread(
                "walk",
                (
                    Slice(
                        function=Function(MMU, "walk_shadow_page_lockless_begin"),
                        tracks="mode",
                        skip=("is_tdp_mmu_active(vcpu)",),
                        body="""
                        WRITE_ONCE(*mode, 3);
                        smp_mb();
                        """,
                    ),
                    Environment("the walk", "walked = READ_ONCE(*spte);"),
                ),
            ),
        ),
        never="0:old_mode=0 /\\ 1:walked=0",
    ),
    LitmusTest(
        name="requests/shadow-walk-end",
        protects="a freer that sees a walk's end finds that it has read its last SPTE",
        threads=(
            Thread("freer", (MAKE_FOR_ALL, TABLE_FREED)),
            Thread(
                "walk",
                (
                    Environment("the walk", "freed = READ_ONCE(*table);"),
                    Slice(
                        function=Function(MMU, "walk_shadow_page_lockless_end"),
                        tracks="mode",
                        skip=("is_tdp_mmu_active(vcpu)",),
                        body="smp_store_release(mode, 0);",
                    ),
                ),
            ),
        ),
        init="mode=3;",
        never="0:old_mode=0 /\\ 1:freed=1",
    ),
    LitmusTest(
        name="requests/online",
        protects="who counts a vCPU finds it in the array, complete",
        threads=(
            CREATION,
            _counting("reader", Function(KVM_HOST_H, "kvm_get_vcpu")),
        ),
        never="1:count=1 /\\ 1:vcpu=0",
    ),
    LitmusTest(
        name="requests/on-spin",
        protects="a vCPU that spins finds those that it has counted",
        threads=(
            CREATION,
            _counting("spinning vCPU", Function(KVM_MAIN, "kvm_vcpu_on_spin"), until="vcpu = xa_load"),
        ),
        never="1:count=1 /\\ 1:vcpu=0",
    ),
    LitmusTest(
        name="requests/exit",
        protects="a freer that sees that a vCPU has left the guest does not free what the guest still uses",
        threads=(
            Thread("freer", (MAKE_FOR_ALL, TABLE_FREED)),
            Thread(
                "vCPU",
                (
                    Environment("the guest uses a table, and exits", "freed = READ_ONCE(*table);\nsmp_mb();"),
                    Slice(
                        function=Function(X86, "vcpu_enter_guest"),
                        tracks="vcpu->mode=mode",
                        since="vcpu->mode = OUTSIDE_GUEST_MODE",
                        until="smp_wmb()",
                        body="""
                        *mode = 0;
                        smp_wmb();
                        """,
                    ),
                ),
            ),
        ),
        init="mode=1;",
        never="0:old_mode=0 /\\ 1:freed=1",
        expected=LitmusVerdict.DATA_RACE,
        abstraction="The processor leaves the guest with a full barrier.",
    ),
    LitmusTest(
        name="requests/halt-poll",
        protects="a vCPU that finds the VM's own limit of halt polling set finds its value",
        threads=(
            Thread(
                "KVM_ENABLE_CAP",
                (
                    Slice(
                        function=Function(KVM_MAIN, "kvm_vm_ioctl_enable_cap_generic"),
                        tracks="max_halt_poll_ns override_halt_poll_ns",
                        enter=("KVM_CAP_HALT_POLL",),
                        body="""
                        *max_halt_poll_ns = 1;
                        smp_wmb();
                        *override_halt_poll_ns = 1;
                        """,
                    ),
                ),
            ),
            Thread(
                "vCPU",
                (
                    Slice(
                        function=Function(KVM_MAIN, "kvm_vcpu_max_halt_poll_ns"),
                        tracks="max_halt_poll_ns kvm->override_halt_poll_ns=override_halt_poll_ns",
                        enter=("kvm->override_halt_poll_ns",),
                        body="""
                        override = *override_halt_poll_ns;
                        smp_rmb();
                        limit = READ_ONCE(*max_halt_poll_ns);
                        """,
                    ),
                ),
            ),
        ),
        never="1:override=1 /\\ 1:limit=0",
        expected=LitmusVerdict.DATA_RACE,
    ),
)
