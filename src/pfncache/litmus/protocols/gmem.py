# SPDX-License-Identifier: GPL-2.0-only
"""guest_memfd: file references that slots do not have, and bindings."""

from __future__ import annotations

from pfncache.litmus.protocol import Environment, LitmusTest, Thread
from pfncache.litmus.protocols.functions import GUEST_MEMFD, INVALIDATE_LOCK, OLD_SET, SWAP_MEMSLOTS, within
from pfncache.litmus.slice import Function, Slice

RELEASE = Slice(
    function=Function(GUEST_MEMFD, "kvm_gmem_release"),
    tracks="slots_lock gmem.file=gmem_file",
    calls={**INVALIDATE_LOCK, "kfree": "write freed once"},
    body="""
    spin_lock(slots_lock);
    spin_lock(invalidate_lock);
    if (last == 0) WRITE_ONCE(*gmem_file, 0);
    spin_unlock(invalidate_lock);
    spin_unlock(slots_lock);
    if (last == 0) WRITE_ONCE(*freed, 1);
    """,
)
GET_PFN = Slice(
    function=Function(GUEST_MEMFD, "__kvm_gmem_get_pfn"),
    tracks="gmem.file=gmem_file",
    calls={"xa_load": "read freed once"},
    body="""
    if (got == 1) file = READ_ONCE(*gmem_file);
    if (got == 1) used = READ_ONCE(*freed);
    """,
)
UNBIND = Slice(
    function=Function(GUEST_MEMFD, "kvm_gmem_unbind"),
    tracks="gmem.file=gmem_file",
    calls={**INVALIDATE_LOCK, "xa_store_range": "write bindings release"},
    omit=("struct file *file",),
    body="""
    spin_lock(invalidate_lock);
    smp_store_release(bindings, 0);
    WRITE_ONCE(*gmem_file, 0);
    spin_unlock(invalidate_lock);
    """,
)
LOOKUP = Slice(
    function=Function(GUEST_MEMFD, "__kvm_gmem_get_pfn"),
    tracks="gmem.file=gmem_file",
    calls={"xa_load": "read bindings once"},
    body="""
    file = READ_ONCE(*gmem_file);
    binding = READ_ONCE(*bindings);
    """,
)
BIND = (
    Slice(
        function=Function(GUEST_MEMFD, "kvm_gmem_prepare_memory_region"),
        tracks="gmem.pgoff=pgoff",
        body="*pgoff = 1;",
    ),
    Slice(
        function=Function(GUEST_MEMFD, "kvm_gmem_commit_memory_region"),
        tracks="gmem.pgoff=pgoff",
        calls={**INVALIDATE_LOCK, "xa_store_range": "write bindings release"},
        skip=("r",),
        body="""
        spin_lock(invalidate_lock);
        start = *pgoff;
        smp_store_release(bindings, 1);
        spin_unlock(invalidate_lock);
        """,
    ),
)
PUNCH = Slice(
    function=Function(GUEST_MEMFD, "kvm_gmem_punch_hole"),
    tracks="gmem.pgoff=pgoff",
    inline=within(GUEST_MEMFD, "kvm_gmem_invalidate_start", "__kvm_gmem_invalidate_start"),
    calls={**INVALIDATE_LOCK, "xa_for_each_range": "read bindings once"},
    body="""
    spin_lock(invalidate_lock);
    binding = READ_ONCE(*bindings);
    if (binding == 1) offset = *pgoff;
    spin_unlock(invalidate_lock);
    """,
)

TESTS = (
    LitmusTest(
        name="gmem/release",
        protects="who has got a reference to a slot's file does not use a gmem_file that release has freed",
        threads=(
            Thread(
                "release", (Environment("fput() drops the last reference", "last = atomic_dec_return(ref);"), RELEASE)
            ),
            Thread(
                "fault",
                (
                    Environment(
                        "get_file_active()",
                        """
                        active = READ_ONCE(*gmem_file);
                        if (active == 1) got = atomic_add_unless(ref, 1, 0);
                        """,
                    ),
                    GET_PFN,
                    Environment("fput()", "if (got == 1) put = atomic_dec_return(ref);"),
                ),
            ),
        ),
        init="ref=1; gmem_file=1;",
        never="1:got=1 /\\ 1:used=1",
    ),
    LitmusTest(
        name="gmem/unbind",
        protects="a fault that has found a slot in the set of its read section finds it bound",
        threads=(
            Thread("deletion", (SWAP_MEMSLOTS, UNBIND)),
            Thread(
                "fault",
                (
                    Environment(
                        "the vCPU is in a read section",
                        """
                        srcu_idx = srcu_read_lock(srcu);
                        set = READ_ONCE(*memslots);
                        """,
                    ),
                    LOOKUP,
                    Environment("the vCPU enters the guest", "srcu_read_unlock(srcu, srcu_idx);"),
                ),
            ),
        ),
        init=f"{OLD_SET} gmem_file=1; bindings=1;",
        pointers="memslots",
        never="1:set=old /\\ (1:file=0 \\/ 1:binding=0)",
    ),
    LitmusTest(
        name="gmem/bind",
        protects="an invalidation that finds a binding finds the slot's offset",
        threads=(Thread("creation", BIND), Thread("punch", (PUNCH,))),
        init="1:offset=9;",
        never="1:binding=1 /\\ 1:offset=0",
    ),
)
