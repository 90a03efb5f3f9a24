# SPDX-License-Identifier: GPL-2.0-only
"""The kind of each faulty patch of the kernel's C, as those of the mutants."""

from __future__ import annotations

from tests.mutation.kinds.kind import Kind

NAMES: dict[Kind, str] = {
    Kind.MISSING_LOCK: (
        "invalidate-list-unlocked invalidate-unlocked refresh-without-mutex activate-without-mutex list-add-unlocked "
        "deactivate-without-mutex deactivate-unlocked error-unlocked punch-unlocked invalidate-without-mmu-lock "
        "end-without-mmu-lock release-without-slots-lock count-raised-unlocked walk-without-srcu walk-without-mmu-lock "
        "attributes-without-slots-lock invalid-slot-unlocked region-without-slots-lock lookup-unlocked "
        "clock-without-lock put-without-srcu interrupt-without-srcu interrupt-without-lock event-without-srcu "
        "event-without-lock sender-refreshes-without-srcu wall-clock-without-srcu attribute-without-srcu"
    ),
    Kind.LOCK_TOO_SHORT: "clock-unlocks-before-writing interrupt-unlocks-early runstate-dirty-after-unlock",
    Kind.LOCK_TOO_LONG: (
        "punch-stays-locked allocate-stays-locked lookup-stays-locked swap-stays-locked lookup-keeps-mmap-lock "
        "lookup-keeps-page-table-lock clock-refresh-under-lock clock-stays-locked interrupt-refresh-under-lock "
        "interrupt-stays-locked event-keeps-shared-info-locked injection-stays-locked wall-clock-refreshes-locked "
        "wall-clock-stays-locked attribute-keeps-xen-lock runstate-waits runstate-retries-locked "
        "timer-reads-refresh-locked"
    ),
    Kind.MISSING_TEST: (
        "retry-ignores-count retry-ignores-sequence retry-never check-ignores-generation check-ignores-valid "
        "refresh-inactive private-page-for-user-space bind-over-a-binding lookup-of-poison writes-to-read-only "
        "nothing-is-private every-cache-by-gpa retry-gfn-ignores-count retry-gfn-ignores-sequence retry-gfn-never "
        "swap-during-invalidation slots-overlap clock-without-check interrupt-sleeps interrupt-without-check "
        "event-without-check injection-without-check wall-clock-without-check runstate-second-page-unchecked "
        "runstate-refreshes-in-scheduler timer-reads-without-check"
    ),
    Kind.OFF_BY_ONE: "invalidate-range-too-short",
    Kind.WRONG_ORDER: (
        "sequence-after-lookup list-after-refresh punch-ends-too-early punch-truncates-first caches-before-count "
        "count-before-sequence swap-sleeps-too-late upcall-before-selector"
    ),
    Kind.WRONG_SLOT: (
        "generation-stays khva-stays range-is-the-last-one walk-of-another-range hva-of-the-slot dirty-by-gfn "
        "delete-from-one-set activate-one-set invalid-slot-is-valid swap-keeps-generation moved-slot-gets-new-log "
        "moved-slot-loses-log steal-time-by-old-address steal-time-marks-other-page preempted-by-old-address"
    ),
    Kind.FORGOTTEN_ZAP: (
        "move-keeps-page pfn-stays invalidate-nothing stays-valid stays-active punch-keeps-mappings "
        "invalidate-unmaps-nothing release-keeps-file release-keeps-mappings error-keeps-mappings unbind-keeps-binding "
        "release-keeps-sptes caches-stay-valid start-keeps-mappings range-not-added sequence-not-raised "
        "mmu-sequence-not-raised attributes-keep-mappings invalid-slot-keeps-mappings freed-slot-is-bound"
    ),
    Kind.FORGOTTEN_WAKE: (
        "punch-never-ends end-never error-never-ends waiter-not-woken mmu-count-not-dropped attributes-never-end "
        "invalidate-counts-each-slot event-not-noted timer-event-dropped sender-never-refreshes"
    ),
    Kind.FORGOTTEN_RELEASE: (
        "reused-page-leaks page-leaks old-page-stays-mapped deactivate-keeps-mapping stays-listed release-stays-listed "
        "release-keeps-vm allocate-leaks vm-stays invalid-slot-leaks moved-slot-leaks new-slot-keeps-file "
        "freed-slot-leaks-log vcpu-info-stays-active shared-info-stays-active sender-keeps-mm stopped-timer-expires"
    ),
    Kind.LIFETIME: (
        "not-listed bind-nothing lookup-in-closed-file lookup-without-reference lookup-without-page "
        "destroyed-vm-is-notified destroyed-vm-is-invalidating put-always-destroys swap-ignores-readers "
        "sender-borrows-no-mm"
    ),
    Kind.ERROR_PATH: "error-without-lock refused-file-leaks clock-gives-up-locked",
    Kind.LOST_WRITE: (
        "attributes-stay nothing-marked-dirty no-log dirty-bit-not-set clock-is-not-marked-dirty "
        "clock-version-stays-odd injection-not-marked runstate-not-marked"
    ),
}
"""By kind, the names of the faults."""
KINDS: dict[str, Kind] = {name: kind for kind, names in NAMES.items() for name in names.split()}
"""By name of a fault, its kind."""
