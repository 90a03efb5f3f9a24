# SPDX-License-Identifier: GPL-2.0-only
"""Faulty patches of arch/x86/kvm/x86.c and xen.c, each as an edit by function and place, with what a search finds."""

from __future__ import annotations

from tests.csource.edits import both, condition, drop, insert, place, substitute, swap
from tests.csource.kvm.fault import Fault

X86 = "arch/x86/kvm/x86.c"
XEN = "arch/x86/kvm/xen.c"

FAULTS = {
    "clock-is-not-marked-dirty": Fault(
        "kvm_setup_guest_pvclock", drop(place("kvm_gpc_mark_dirty_in_slot")), "slots/dirty-logging", "lost-dirty", X86
    ),
    "clock-refresh-under-lock": Fault(
        "kvm_setup_guest_pvclock", drop(place("read_unlock_irqrestore")), "clock/anon/munmap", "sleeping-in-atomic", X86
    ),
    "clock-without-lock": Fault(
        "kvm_setup_guest_pvclock", drop(place("read_lock_irqsave", 2)), "clock/anon/dontneed", "lock-assertion", X86
    ),
    "clock-stays-locked": Fault(
        "kvm_setup_guest_pvclock",
        drop(place("read_unlock_irqrestore", 2)),
        "clock/anon/munmap",
        "sleeping-in-atomic",
        X86,
    ),
    "clock-without-check": Fault(
        "kvm_setup_guest_pvclock", condition(place("kvm_gpc_check"), "0"), "clock/anon/munmap", "stale-translation", X86
    ),
    "clock-unlocks-before-writing": Fault(
        "kvm_setup_guest_pvclock",
        both(
            drop(place("read_unlock_irqrestore", 2)),
            insert(place("guest_hv_clock khva"), "read_unlock_irqrestore(&gpc->lock, flags);"),
        ),
        "clock/anon/munmap",
        "lock-assertion",
        X86,
    ),
    "clock-version-stays-odd": Fault(
        "kvm_setup_guest_pvclock",
        drop(place("guest_hv_clock version hv_clock", 2)),
        "clock/anon/munmap",
        "torn-update",
        X86,
    ),
    "clock-gives-up-locked": Fault(
        "kvm_setup_guest_pvclock",
        both(drop(place("read_unlock_irqrestore")), condition(place("kvm_gpc_refresh"), "1")),
        "clock/anon/munmap",
        "sleeping-in-atomic",
        X86,
    ),
    "steal-time-by-old-address": Fault(
        "record_steal_time",
        condition(place("slots generation"), "kvm_is_error_hva(ghc->hva) || !ghc->memslot"),
        "vcpu/two-steal-times",
        "use-after-free",
        X86,
    ),
    "steal-time-marks-other-page": Fault(
        "record_steal_time",
        substitute(r"gpa_to_gfn\(ghc->gpa\)", "gpa_to_gfn(ghc->gpa) + 1"),
        "vcpu/sched-out",
        "out-of-bounds",
        X86,
    ),
    "preempted-by-old-address": Fault(
        "kvm_steal_time_set_preempted",
        condition(place("slots generation"), "kvm_is_error_hva(ghc->hva) || !ghc->memslot"),
        "pairs/anon/slot-replace+steal-time",
        "use-after-free",
        X86,
    ),
    "put-without-srcu": Fault(
        "kvm_arch_vcpu_put",
        drop(place("idx srcu_read_lock"), place("srcu_read_unlock")),
        "vcpu/sched-out",
        "srcu-unprotected",
        X86,
    ),
    "interrupt-without-srcu": Fault(
        "__kvm_xen_has_interrupt", drop(place("guard srcu")), "xen/has-interrupt", "srcu-unprotected", XEN
    ),
    "interrupt-sleeps": Fault(
        "__kvm_xen_has_interrupt", condition(place("in_atomic"), "0"), "xen/halt", "sleeping-in-atomic", XEN
    ),
    "interrupt-refresh-under-lock": Fault(
        "__kvm_xen_has_interrupt", drop(place("read_unlock_irqrestore")), "xen/has-interrupt", "lock-imbalance", XEN
    ),
    "interrupt-without-lock": Fault(
        "__kvm_xen_has_interrupt", drop(place("read_lock_irqsave", 2)), "xen/vcpu-info-moves", "lock-imbalance", XEN
    ),
    "interrupt-stays-locked": Fault(
        "__kvm_xen_has_interrupt", drop(place("read_unlock_irqrestore", 2)), "xen/has-interrupt", "deadlock", XEN
    ),
    "interrupt-without-check": Fault(
        "__kvm_xen_has_interrupt", condition(place("kvm_gpc_check"), "0"), "xen/has-interrupt", "stale-translation", XEN
    ),
    "interrupt-unlocks-early": Fault(
        "__kvm_xen_has_interrupt",
        swap(place("evtchn_upcall_pending rc khva"), place("read_unlock_irqrestore", 2)),
        "xen/has-interrupt",
        "stale-translation",
        XEN,
    ),
}
"""By name: the fault, and the first property that its scenario violates."""
