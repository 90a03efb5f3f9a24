# SPDX-License-Identifier: GPL-2.0-only
"""Publish against invalidate: a refresh looks a page up without a lock, while an MMU notifier takes it away."""

from __future__ import annotations

from pfncache.litmus.protocol import Environment, LitmusTest, LitmusVerdict, Thread
from pfncache.litmus.protocols.functions import (
    INVALIDATE,
    NOTIFIER_END,
    NOTIFIER_START,
    PAGE_GOES,
    PFNCACHE,
    REFRESH,
    X86,
    within,
)
from pfncache.litmus.slice import Function, Slice

UNREAD = (
    "Reads of valid under the lock are left out: the notifier clears it whatever it was, and a refresh that finds it"
    " set looks nothing up."
)
ACTIVATE = Slice(
    function=Function(PFNCACHE, "__kvm_gpc_activate"),
    tracks="kvm->gpc_lock=gpc_lock gpc->lock=cache_lock active",
    calls={"list_add": "write gpc_list plain"},
    unread="active",
    body="""
    spin_lock(gpc_lock);
    *gpc_list = 1;
    spin_unlock(gpc_lock);
    spin_lock(cache_lock);
    *active = 1;
    spin_unlock(cache_lock);
    """,
)
NOT_FOUND = Slice(
    function=Function(PFNCACHE, "gfn_to_pfn_cache_invalidate_start"),
    tracks="kvm->gpc_lock=gpc_lock",
    calls={"list_for_each_entry": "read gpc_list plain"},
    skip=("list_for_each_entry(gpc, &kvm->gpc_list, list)",),
    body="""
    spin_lock(gpc_lock);
    found = *gpc_list;
    spin_unlock(gpc_lock);
    """,
)
USER = Slice(
    function=Function(X86, "kvm_setup_guest_pvclock"),
    tracks="gpc->lock=cache_lock valid",
    inline=within(PFNCACHE, "kvm_gpc_check"),
    calls={"memcpy": "read page once"},
    since="read_lock_irqsave",
    omit=("smp_wmb",),
    body="""
    spin_lock(cache_lock);
    is_valid = *valid;
    used = READ_ONCE(*page);
    spin_unlock(cache_lock);
    """,
)
"""Page is 0 as long as the page is the guest's, or mapped."""

TESTS = (
    LitmusTest(
        name="publish/invalidate",
        protects="a valid cache has no page that an MMU notifier has taken away",
        threads=(
            Thread("notifier", (NOTIFIER_START, INVALIDATE, PAGE_GOES, NOTIFIER_END)),
            Thread("refresh", (REFRESH,)),
        ),
        never="valid=1 /\\ 1:pfn=0",
        expected=LitmusVerdict.DATA_RACE,
        abstraction=UNREAD,
    ),
    LitmusTest(
        name="publish/use",
        protects="a page that an MMU notifier takes away has no user any more when it goes",
        threads=(
            Thread("notifier", (INVALIDATE, Environment("mm: the page is freed", "WRITE_ONCE(*page, 1);"))),
            Thread("user", (USER,)),
        ),
        init="valid=1;",
        never="1:is_valid=1 /\\ 1:used=1",
        abstraction="The write of the clock is a read here, which sees whether the page is still the guest's.",
    ),
    LitmusTest(
        name="activation/list",
        protects="a cache that the walk of a notifier has not found publishes no page that the notifier takes away",
        threads=(
            Thread("notifier", (NOTIFIER_START, NOT_FOUND, PAGE_GOES, NOTIFIER_END)),
            Thread("activation", (ACTIVATE, REFRESH)),
        ),
        never="0:found=0 /\\ valid=1 /\\ 1:pfn=0",
        expected=LitmusVerdict.DATA_RACE,
        abstraction=f"{UNREAD} refresh_lock is left out: no other thread takes it.",
    ),
    LitmusTest(
        name="activation/deactivate",
        protects="a page is unmapped when no user has its address any more",
        threads=(
            Thread(
                "deactivation",
                (
                    Slice(
                        function=Function(PFNCACHE, "kvm_gpc_deactivate"),
                        tracks="gpc->lock=cache_lock valid",
                        calls={"gpc_unmap": "write page once"},
                        body="""
                        spin_lock(cache_lock);
                        *valid = 0;
                        spin_unlock(cache_lock);
                        WRITE_ONCE(*page, 1);
                        """,
                    ),
                ),
            ),
            Thread("user", (USER,)),
        ),
        init="valid=1;",
        never="1:is_valid=1 /\\ 1:used=1",
    ),
)
