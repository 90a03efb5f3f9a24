# SPDX-License-Identifier: GPL-2.0-only
"""Towards the guest: version counters of clocks and of the runstate, and event channels of Xen."""

from __future__ import annotations

from pfncache.litmus.protocol import Environment, LitmusTest, LitmusVerdict, Thread
from pfncache.litmus.protocols.functions import REQUEST, X86, XEN, within
from pfncache.litmus.protocols.requests import CHECK
from pfncache.litmus.slice import Function, Slice

PVCLOCK_H = "arch/x86/include/asm/pvclock.h"
PVCLOCK_C = "arch/x86/kernel/pvclock.c"


def _update(writes: str) -> str:
    """Return the body of an update that counts a version up before and after its writes."""
    return f"old = *version;\n*version = old + 1;\nsmp_wmb();\n{writes}\nsmp_wmb();\n*version = old + 2;"


def _retry(first: str, second: str, more: str = "") -> str:
    """Return the body of a reader of two values that reads the version before and after them."""
    read = f"first = *{first};\nsecond = *{second};"
    return f"before = *version;\nsmp_rmb();\n{read}\nsmp_rmb();\n{more}\nafter = *version;"


PVCLOCK = Slice(
    function=Function(X86, "kvm_setup_guest_pvclock"),
    tracks="guest_hv_clock->version=version",
    calls={"memcpy": "write version plain, write tsc_timestamp plain, write system_time plain"},
    since="guest_hv_clock->version = hv_clock.version",
    body=_update("*version = old + 1;\n*tsc_timestamp = 1;\n*system_time = 1;"),
)
GUEST_CLOCK = Slice(
    function=Function(PVCLOCK_C, "__pvclock_clocksource_read"),
    tracks="version tsc_timestamp system_time",
    inline=within(PVCLOCK_H, "pvclock_read_begin", "__pvclock_read_cycles", "pvclock_read_retry"),
    until="pvclock_read_retry",
    body=_retry("tsc_timestamp", "system_time"),
)
WALL_CLOCK = Slice(
    function=Function(XEN, "kvm_xen_shared_info_init"),
    tracks="wc->version=version wc->sec=sec wc->nsec=nsec",
    since="wc_version = wc->version",
    body=_update("*nsec = 1;\n*sec = 1;"),
)
GUEST_WALL_CLOCK = Slice(
    function=Function(PVCLOCK_C, "pvclock_read_wallclock"),
    tracks="version sec nsec",
    until="(wall_clock->version & 1)",
    body=_retry("sec", "nsec", "odd = *version;"),
)
RUNSTATE = Slice(
    function=Function(XEN, "kvm_xen_update_runstate_guest"),
    tracks="update_bit rs_state",
    calls={"memcpy": "write rs_times plain"},
    skip=("user_len2",),
    since="*update_bit = (vx->runstate_entry_time",
    body="""
    *update_bit = 1;
    smp_wmb();
    *rs_state = 1;
    *rs_times = 1;
    smp_wmb();
    *update_bit = 2;
    smp_wmb();
    """,
)
DELIVER = Slice(
    function=Function(XEN, "kvm_xen_set_evtchn_fast"),
    tracks="pending_bits=pending vcpu_info->evtchn_pending_sel=pending_sel evtchn_upcall_pending=upcall",
    skip=("test_and_set_bit(xe->port, pending_bits)", "test_bit(xe->port, mask_bits)"),
    body="""
    raised = atomic_fetch_or(1, pending);
    selected = atomic_fetch_or(1, pending_sel);
    if (selected == 0) WRITE_ONCE(*upcall, 1);
    """,
)
SHADOW = Slice(
    function=Function(XEN, "kvm_xen_set_evtchn_fast"),
    tracks="pending_bits=pending evtchn_pending_sel requests",
    inline=REQUEST,
    skip=("test_and_set_bit(xe->port, pending_bits)", "test_bit(xe->port, mask_bits)"),
    enter=("!kvm_gpc_check(gpc, sizeof(struct vcpu_info))",),
    body="""
    raised = atomic_fetch_or(1, pending);
    shadowed = atomic_fetch_or(1, evtchn_pending_sel);
    smp_wmb();
    atomic_or(1, requests);
    """,
)
INJECT = Slice(
    function=Function(XEN, "kvm_xen_inject_pending_events"),
    tracks="v->arch.xen.evtchn_pending_sel=evtchn_pending_sel vi->evtchn_pending_sel=pending_sel"
    " evtchn_upcall_pending=upcall",
    body="""
    bits = READ_ONCE(*evtchn_pending_sel);
    if (bits == 1) before = atomic_fetch_or(1, pending_sel);
    if (bits == 1) left = atomic_fetch_andnot(1, evtchn_pending_sel);
    if (bits == 1) WRITE_ONCE(*upcall, 1);
    """,
)
UPCALL = Environment(
    "a guest: it takes the upcall, then the selectors, then the events",
    """
    taken = xchg(upcall, 0);
    selector = xchg(pending_sel, 0);
    event = READ_ONCE(*pending);
    """,
)
TORN_CLOCK = (
    "1:after=2 /\\ 1:before=2 /\\ (1:first=1 \\/ 1:second=1)"
    " \\/ 1:after=4 /\\ 1:before=4 /\\ (1:first=0 \\/ 1:second=0)"
)

TESTS = (
    LitmusTest(
        name="guest/pvclock",
        protects="a guest that has seen the same even version twice has read one clock",
        threads=(Thread("update", (PVCLOCK,)), Thread("guest", (GUEST_CLOCK,))),
        init="version=2;",
        never=TORN_CLOCK,
        expected=LitmusVerdict.DATA_RACE,
    ),
    LitmusTest(
        name="guest/wall-clock",
        protects="a guest that has seen the same even version twice has read one time",
        threads=(Thread("update", (WALL_CLOCK,)), Thread("guest", (GUEST_WALL_CLOCK,))),
        init="version=2;",
        never=TORN_CLOCK,
        expected=LitmusVerdict.DATA_RACE,
    ),
    LitmusTest(
        name="guest/runstate",
        protects="a guest that has seen the entry time twice, without XEN_RUNSTATE_UPDATE, has read one runstate",
        threads=(
            Thread("update", (RUNSTATE,)),
            Thread(
                "guest",
                (
                    Environment(
                        "xen_get_runstate_snapshot_cpu_delta()",
                        """
                        before = READ_ONCE(*update_bit);
                        smp_rmb();
                        state = READ_ONCE(*rs_state);
                        times = READ_ONCE(*rs_times);
                        smp_rmb();
                        after = READ_ONCE(*update_bit);
                        """,
                    ),
                ),
            ),
        ),
        never="1:before=0 /\\ 1:after=0 /\\ (1:state=1 \\/ 1:times=1)"
        " \\/ 1:before=2 /\\ 1:after=2 /\\ (1:state=0 \\/ 1:times=0)",
        expected=LitmusVerdict.DATA_RACE,
    ),
    LitmusTest(
        name="evtchn/deliver",
        protects="a guest that takes an upcall finds the selector, and the event behind it",
        threads=(Thread("sender", (DELIVER,)), Thread("guest", (UPCALL,))),
        never="1:taken=1 /\\ 1:selector=0 \\/ 1:selector=1 /\\ 1:event=0",
    ),
    LitmusTest(
        name="evtchn/inject",
        protects="the same, of an event that the vCPU delivers for itself",
        threads=(Thread("sender", (SHADOW,)), Thread("vCPU", (INJECT,)), Thread("guest", (UPCALL,))),
        never="2:taken=1 /\\ 2:selector=0 \\/ 2:selector=1 /\\ 2:event=0",
    ),
    LitmusTest(
        name="evtchn/kick",
        protects="a vCPU that takes KVM_REQ_UNBLOCK finds the selector that it was sent for",
        threads=(Thread("sender", (SHADOW,)), Thread("vCPU", (CHECK, INJECT))),
        never="1:request=1 /\\ 1:bits=0",
    ),
)
