# SPDX-License-Identifier: GPL-2.0-only
"""Faulty patches of arch/x86/kvm/xen.c and xen.h: events, attributes, runstate, timers."""

from __future__ import annotations

from tests.csource.edits import both, condition, drop, insert, place, substitute, swap
from tests.csource.kvm.fault import Fault

XEN = "arch/x86/kvm/xen.c"

FAULTS = {
    "vcpu-info-stays-active": Fault(
        "kvm_xen_destroy_vcpu", drop(place("kvm_gpc_deactivate vcpu_info_cache")), "vm/destroy-xen", "leak", XEN
    ),
    "shared-info-stays-active": Fault(
        "kvm_xen_destroy_vm", drop(place("kvm_gpc_deactivate")), "vm/destroy-xen", "leak", XEN
    ),
    # event channels
    "event-without-srcu": Fault(
        "kvm_xen_set_evtchn_fast",
        drop(place("idx srcu_read_lock"), place("srcu_read_unlock")),
        "xen/kthread-sender",
        "srcu-unprotected",
        XEN,
    ),
    "event-without-check": Fault(
        "kvm_xen_set_evtchn_fast", condition(place("kvm_gpc_check PAGE_SIZE"), "0"), "xen/irq-user",
        "stale-translation", XEN,
    ),
    "event-without-lock": Fault(
        "kvm_xen_set_evtchn_fast",
        both(drop(place("read_lock_irqsave")), drop(place("read_unlock_irqrestore", 1))),
        "xen/hva-cache-munmap",
        "lock-imbalance",
        XEN,
    ),
    "event-not-noted": Fault(
        "kvm_xen_set_evtchn_fast",
        condition(place("test_and_set_bit evtchn_pending_sel vcpu arch"), "1"),
        "xen/send-and-inject",
        "lost-event",
        XEN,
    ),
    "event-keeps-shared-info-locked": Fault(
        "kvm_xen_set_evtchn_fast", drop(place("read_unlock_irqrestore")), "xen/send-and-inject", "lock-imbalance", XEN
    ),
    "sender-refreshes-without-srcu": Fault(
        "kvm_xen_set_evtchn",
        drop(place("idx srcu_read_lock"), place("srcu_read_unlock")),
        "xen/two-senders",
        "srcu-unprotected",
        XEN,
    ),
    "sender-borrows-no-mm": Fault(
        "kvm_xen_set_evtchn", drop(place("kthread_use_mm")), "xen/kthread-sender", "null-dereference", XEN
    ),
    "sender-never-refreshes": Fault(
        "kvm_xen_set_evtchn", substitute(r"rc = kvm_gpc_refresh\(gpc, PAGE_SIZE\);", "rc = 0;"), "xen/two-senders",
        "livelock", XEN,
    ),
    "upcall-before-selector": Fault(
        "kvm_xen_inject_pending_events",
        insert(place("evtchn_pending_sel READ_ONCE"), "v->arch.xen.evtchn_pending_sel = 0;"),
        "xen/send-and-inject",
        "lost-event",
        XEN,
    ),
    "injection-without-check": Fault(
        "kvm_xen_inject_pending_events", condition(place("kvm_gpc_check"), "0"), "xen/inject-events",
        "use-after-free", XEN,
    ),
    "injection-stays-locked": Fault(
        "kvm_xen_inject_pending_events", drop(place("read_unlock_irqrestore", 2)), "xen/inject-events",
        "lock-imbalance", XEN,
    ),
    "injection-not-marked": Fault(
        "kvm_xen_inject_pending_events", drop(place("kvm_gpc_mark_dirty_in_slot")), "xen/inject-events",
        "lost-dirty", XEN,
    ),
    "sender-keeps-mm": Fault(
        "kvm_xen_set_evtchn", drop(place("kthread_unuse_mm")), "xen/kthread-sender", "leak", XEN
    ),
    # shared_info and attributes
    "wall-clock-without-check": Fault(
        "kvm_xen_shared_info_init", condition(place("kvm_gpc_check"), "0"), "xen/shared-info-set",
        "stale-translation", XEN,
    ),
    "wall-clock-refreshes-locked": Fault(
        "kvm_xen_shared_info_init", drop(place("read_unlock_irq")), "xen/shared-info-set", "sleeping-in-atomic", XEN
    ),
    "wall-clock-stays-locked": Fault(
        "kvm_xen_shared_info_init", drop(place("read_unlock_irq", 2)), "xen/shared-info-set", "deadlock", XEN
    ),
    "wall-clock-without-srcu": Fault(
        "kvm_xen_shared_info_init",
        both(substitute(r"int idx = srcu_read_lock\(&kvm->srcu\);", ""), drop(place("srcu_read_unlock"))),
        "xen/shared-info-set",
        "srcu-unprotected",
        XEN,
    ),
    "attribute-keeps-xen-lock": Fault(
        "kvm_xen_vcpu_set_attr", drop(place("mutex_unlock")), "xen/expired-timer", "lock-order", XEN
    ),
    "attribute-without-srcu": Fault(
        "kvm_xen_vcpu_set_attr",
        drop(place("idx srcu_read_lock"), place("srcu_read_unlock")),
        "xen/vcpu-info-moves",
        "srcu-unprotected",
        XEN,
    ),
    # runstate
    "runstate-waits": Fault(
        "kvm_xen_update_runstate_guest",
        substitute(r"if \(!read_trylock\(&gpc1->lock\)\)", "read_lock(&gpc1->lock); if (0)"),
        "xen/runstate-and-events",
        "lock-order",
        XEN,
    ),
    "runstate-refreshes-in-scheduler": Fault(
        "kvm_xen_update_runstate_guest", condition(place("atomic", 2), "0"), "xen/runstate", "sleeping-in-atomic", XEN
    ),
    "runstate-second-page-unchecked": Fault(
        "kvm_xen_update_runstate_guest", condition(place("kvm_gpc_check gpc2"), "0"), "xen/runstate-split",
        "use-after-free", XEN,
    ),
    "runstate-retries-locked": Fault(
        "kvm_xen_update_runstate_guest", drop(place("read_unlock gpc2")), "xen/runstate-split",
        "sleeping-in-atomic", XEN,
    ),
    "runstate-dirty-after-unlock": Fault(
        "kvm_xen_update_runstate_guest",
        swap(place("kvm_gpc_mark_dirty_in_slot gpc1"), place("read_unlock_irqrestore flags gpc1", 3)),
        "xen/runstate",
        "lock-imbalance",
        XEN,
    ),
    "runstate-not-marked": Fault(
        "kvm_xen_update_runstate_guest", drop(place("kvm_gpc_mark_dirty_in_slot gpc1")), "xen/runstate",
        "lost-dirty", XEN,
    ),
    # timers and destruction
    "stopped-timer-expires": Fault(
        "kvm_xen_stop_timer", drop(place("hrtimer_cancel")), "vm/destroy-armed", "use-after-free", XEN
    ),
    "timer-event-dropped": Fault(
        "kvm_xen_inject_timer_irqs", drop(place("kvm_xen_set_evtchn")), "xen/timer-on-vcpu", "lost-event", XEN
    ),
    "timer-reads-without-check": Fault(
        "xen_get_guest_pvclock", condition(place("kvm_gpc_check"), "0"), "xen/timer-set", "stale-translation", XEN
    ),
    "timer-reads-refresh-locked": Fault(
        "xen_get_guest_pvclock", drop(place("read_unlock_irqrestore")), "xen/timer-set", "sleeping-in-atomic", XEN
    ),
}  # fmt: skip
"""By name: the fault, and the first property that its scenario violates."""
