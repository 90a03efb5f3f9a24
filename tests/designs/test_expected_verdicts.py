# SPDX-License-Identifier: GPL-2.0-only
"""The table of expected verdicts: what is known of each design from its history, its review and from real kernels."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.verify.job import Job
from pfncache.verify.outcome import Outcome
from pfncache.verify.runner import run


def verdict(design: str, scenario: str) -> Outcome:
    return run(Job(DESIGNS[design], scenario, 2_000_000))


MOVED = [
    # A page of a file is moved, or two anonymous pages are collapsed: the invalidation ends before the copy.
    ("mainline-7.3", "migration/memfd", None),
    ("mainline-7.3", "migration/memfd-absent", None),
    ("mainline-7.3", "migration/memfd-guest", None),
    ("mainline-7.3", "collapse/clock", None),
    ("mainline-7.3", "collapse/guest", None),
    ("no-active-count", "collapse/clock", "stale-translation"),
    ("count-before-sequence", "migration/memfd", "stale-translation"),
    ("count-before-sequence", "collapse/clock", "stale-translation"),
    # guest_memfd's pages, as proposed: a cache by user address needs no more than the MMU notifiers, SPTEs and a cache
    # by guest_memfd need an invalidation. It may end before the move, since a lookup takes the folio lock.
    ("gmem-migration", "migration/gmem-mapped", None),
    ("gmem-migration", "migration/gmem-guest", None),
    ("gmem-migration", "migration/gmem-punch", None),
    ("rfc-v4-fixed-migration", "migration/gmem-mapped", None),
    ("rfc-v4-fixed-migration", "migration/gmem-unmapped", None),
    ("gmem-migration-after-invalidation", "migration/gmem-guest", None),
    ("gmem-migration-silent", "migration/gmem-mapped", None),
    ("gmem-migration-silent", "migration/gmem-guest", "stale-spte"),
    ("rfc-v4-fixed-migration-silent", "migration/gmem-unmapped", "stale-translation"),
    # invalidate_lock is outside of the folio lock: as in memory_failure() of mainline
    ("gmem-migration-waits", "migration/gmem-punch", "deadlock"),
    # Large folios: a folio of which a part goes is split before the invalidation, or all of it is invalidated.
    ("gmem-large-folios", "gmem/large-punch", None),
    ("gmem-large-folios", "gmem/large-punch-mapped", None),
    ("gmem-large-folios", "gmem/large-convert", None),
    ("gmem-large-folios-rounded", "gmem/large-punch", None),
    ("gmem-large-folios-late-split", "gmem/large-punch", "stale-spte"),
    ("rfc-v4-fixed-large-folios", "gmem/large-clock", None),
    # truncate_inode_partial_folio() of 7.3.4 removes a folio that it cannot split, also the part outside of the hole
    ("gmem-large-folios-truncate", "gmem/large-punch", "stale-spte"),
    ("gmem-large-folios-truncate", "gmem/large-convert", "stale-spte"),
    ("rfc-v4-fixed-large-folios-truncate", "gmem/large-clock", "stale-translation"),
]
HISTORY = [
    # The first mainline kernel with each fix is in the patch's docstring; here, what its absence does.
    ("no-dedicated-sequence", "xen/hva-cache-munmap", "use-after-free"),
    ("no-dedicated-sequence", "xen/hva-cache-dontneed", "use-after-free"),
    ("no-active-count", "clock/anon/dontneed", "stale-translation"),
    ("valid-before-lookup", "xen/irq-user", "stale-translation"),
    # The mapping that is torn down twice is a memremap(): on x86-64 kunmap() has nothing to undo.
    ("no-refresh-lock", "gpc/refresh-twice", "map-imbalance"),
    # Two senders refresh at a time since kvm_xen_set_evtchn() takes no xen_lock.
    ("no-refresh-lock", "xen/two-senders", "warn-on"),
    ("active-before-list", "gpc/activate-munmap", "stale-translation"),
    ("refresh-inactive", "gpc/refresh-deactivate", "unlisted-cache"),
    ("list-outside-refresh-lock", "gpc/activate-twice", "list-corruption"),
    ("list-outside-refresh-lock", "gpc/activate-deactivate", "list-corruption"),
    ("length-after-active", "xen/vcpu-info-crosses-page", "warn-on"),
    ("khva-stays", "gpc/move-in-page", "stale-translation"),
    ("reference-leak", "clock/anon/dontneed", "refcount-imbalance"),
    # A reader waits for the lock with the runqueue's held; another reader holds it and waits for the runqueue's. With a
    # writer waiting between the two, fair rwlocks deadlock. Those of the model are not fair: lockdep reports the order.
    ("runstate-waits", "xen/runstate-and-events", "lock-order"),
    ("event-takes-xen-lock", "xen/timer-read", "deadlock"),
    ("init-on-activate", "gpc/activate-deactivate", "lock-imbalance"),
    ("no-srcu-in-zap-range", "clock/anon/zap-range", "srcu-unprotected"),
    ("dirty-at-unmap", "slots/dirty-logging", "lost-dirty"),
    ("no-srcu-in-has-interrupt", "xen/has-interrupt", "srcu-unprotected"),
    # kvm_vcpu_check_block() has a section of its own.
    ("no-srcu-in-has-interrupt", "xen/halt", None),
    # The slot that a user marks dirty is freed: without lockdep's complaint, KASAN's is next.
    ("check-without-srcu", "clock/anon/slot-delete", "use-after-free"),
    ("count-before-sequence", "clock/anon/munmap", "use-after-free"),
    ("sequence-before-count", "clock/anon/munmap", "use-after-free"),
    ("invalidate-at-end", "clock/anon/munmap", "stale-translation"),
    # mprotect() changes no page, only the permission to write it.
    ("no-active-count", "clock/anon/mprotect", "stale-translation"),
    ("count-before-sequence", "clock/anon/mprotect", "stale-translation"),
    ("sequence-before-count", "clock/anon/mprotect", "stale-translation"),
    # A migration's invalidation ends before the page has moved.
    ("no-active-count", "clock/anon/migrate", "stale-translation"),
    ("count-before-sequence", "clock/anon/migrate", "stale-translation"),
    ("sequence-before-count", "clock/anon/migrate", "stale-translation"),
    ("unbind-without-lock", "gmem/dying-file", "use-after-free"),
    ("unbind-skips-dying", "gmem/dying-file", "use-after-free"),
    ("bind-before-ready", "gmem/bind-and-punch", "null-dereference"),
    # Kernels that unbind such a slot, as a defence in depth, would only warn.
    ("toggle-gmem", "gmem/toggle-flag", "use-after-free"),
    ("vmsa-untracked", "vmsa/punch", "use-after-free"),
    ("vmsa-untracked", "vmsa/reload-and-punch", "use-after-free"),
    # The filter is for a root of its own for private memory, as of TDX: kvm_gfn_range_filter_to_root_types().
    ("zap-private-only", "gmem/guest-faults", None),
]
SERIES = [
    # v2 and v3: the range ends where it starts when it reaches the slot's end.
    ("rfc-v2", "clock/gmem-unmapped/punch", "stale-translation"),
    ("rfc-v3", "clock/gmem-unmapped/punch", "stale-translation"),
    # v4 on the kernel that it was posted for: memory that is shared, a slot that stays.
    ("rfc-v4", "clock/gmem-unmapped/punch", None),
    ("rfc-v4", "clock/gmem-mmap/punch", None),
    ("rfc-v4", "gmem/overlapping-invalidations", None),
    # v4 carried onto a kernel where pfncache has a sequence of its own, which v4 does not move.
    ("rfc-v4-on-7.3", "clock/gmem-unmapped/punch", "use-after-free"),
    ("rfc-v4-on-7.3", "gmem/unmapped-punch", "use-after-free"),
    # The fast path compares user addresses, and they are the same for another file.
    ("rfc-v4", "clock/gmem-unmapped/slot-replace", "stale-translation"),
    ("rfc-v4", "gmem/recreate-then-punch", "stale-translation"),
    ("rfc-v4", "gmem/recreate-then-close", "stale-translation"),
    # Private memory is mapped by design.
    ("rfc-v4", "clock/gmem/punch", "private-access"),
    ("rfc-v4", "clock/gmem-coco/punch", "private-access"),
    # page->mapping of an anonymous page is read as if it were an address_space.
    ("rfc-v4", "clock/anon/munmap", "wild-pointer"),
    # vmap() of a punched page is undone by the next refresh only.
    ("rfc-v4", "clock/gmem-ndm/punch", "alias-outlives"),
    ("rfc-v4-bool", "gmem/overlapping-invalidations", "stale-translation"),
    # With its holes closed, apart from the alias, which nothing at invalidation time may unmap: it cannot sleep.
    ("rfc-v4-fixed", "clock/gmem-unmapped/punch", None),
    ("rfc-v4-fixed", "clock/gmem-unmapped/close", None),
    ("rfc-v4-fixed", "clock/gmem-unmapped/slot-replace", None),
    ("rfc-v4-fixed", "gmem/recreate-then-punch", None),
    ("rfc-v4-fixed", "gmem/recreate-then-close", None),
    ("rfc-v4-fixed", "gmem/overlapping-invalidations", None),
    ("rfc-v4-fixed", "private/conversion-and-slot-update", None),
    ("rfc-v4-fixed", "clock/gmem/punch", None),
    ("rfc-v4-fixed", "clock/anon/munmap", None),
    ("rfc-v4-fixed", "clock/gmem-ndm/punch", "alias-outlives"),
    ("uaccess-clock", "clock/gmem-ndm/punch", None),
    ("uaccess-clock", "clock/gmem-mmap/punch", None),
]
MAINLINE = [
    # The sequence that older kernels use moves when a slot is met: then it is enough.
    ("mainline-7.2", "clock/anon/dontneed", None),
    ("mainline-7.2", "clock/anon/munmap", None),
    ("mainline-7.2", "xen/hva-cache-munmap", "use-after-free"),
    ("mainline-7.2", "gmem/toggle-flag", None),
    ("mainline-7.2", "xen/halt", None),
    # Open in 7.3.4: a refresh of a cache that was never activated is given neither address.
    ("mainline-7.3", "xen/never-activated", "warn-on"),
    ("rfc-v4-fixed", "xen/never-activated", None),
    # exit_mmap() calls mmu_notifier_release(), which does not touch the caches, and then frees the pages: a timer that
    # fires before the VM's files are closed uses freed pages. These are the steps of exit_mmap() and of
    # kvm_mmu_notifier_release(). Stock kernels from 6.12 to 7.3.4 do it (process-exit/timer, docs/findings).
    ("mainline-7.3", "xen/process-exit", "stale-translation"),
    # The same for an irqfd's worker that borrows the address space: kthread_use_mm() does not test mm_users. This
    # has not been tried on a real kernel.
    ("mainline-7.3", "xen/kthread-exit", "stale-translation"),
    ("mainline-7.3", "xen/kthread-sender", None),
    # kvm_destroy_vm() unsubscribes before it stops the timer. Stock kernels show it (docs/findings).
    ("mainline-7.3", "clock/anon/migrate", None),
    ("mainline-7.3", "clock/anon/mprotect", None),
    ("mainline-7.3", "vm/destroy-timer", "stale-translation"),
    ("mainline-7.3", "xen/poll-and-send", None),
    ("mainline-7.3", "xen/poll-and-unmap", None),
    ("mainline-7.3", "xen/poll-and-update", "deadlock"),
    ("mainline-7.3", "xen/two-senders", None),
    ("mainline-7.3", "vcpu/sched-out", None),
    ("mainline-7.3", "xen/send-and-inject", None),
    # An rwlock in hard interrupt context: syzbot's report of 2024-11, open.
    ("preempt-rt", "xen/irq-user", "sleeping-in-atomic"),
    ("preempt-rt", "xen/runstate", "sleeping-in-atomic"),
    ("preempt-rt", "clock/anon/munmap", None),
    ("mainline-7.3", "xen/expired-timer", None),
    ("mainline-7.3", "xen/timer-read", None),
    ("mainline-7.3", "xen/timer-set", None),
    # memory_failure() calls ->error_remove_folio() with the folio locked (its actions unlock it), and guest_memfd's
    # takes invalidate_lock there; a punch holds that and locks the folio. Those are the steps of the two functions, and
    # mm/filemap.c has the order the punch's way round. 7.2.12 and 7.3.4 hang (widened/failure-gmem-punch).
    ("mainline-7.3", "gmem/failure-and-punch", "deadlock"),
    ("mainline-7.3", "pairs/gmem-mmap/punch+memory-failure", "deadlock"),
    ("mainline-7.3", "pairs/gmem-mmap/allocate+memory-failure", "lock-order"),
    # An invalidation requests that a VMSA is looked up again, and waits until the vCPU has left the guest; but not if
    # another kick made it leave, which may not wait. A flush of TLBs does wait (docs/findings).
    ("mainline-7.3", "vmsa/punch", None),
    ("mainline-7.3", "vmsa/reload-and-punch", None),
    ("mainline-7.3", "vmsa/two-punches", None),
    ("mainline-7.3", "vmsa/punch-beside-kick", "use-after-free"),
    ("mainline-7.3", "vmsa/mapped-punch-beside-kick", None),
    ("mainline-7.3", "vmsa/convert", None),
    # A memslot update kicks every vCPU before it invalidates.
    ("mainline-7.3", "vmsa/slot-delete", "use-after-free"),
    ("mainline-7.3", "vmsa/mapped-slot-delete", None),
    ("mainline-7.3", "vmsa/slot-replace", None),
    ("mainline-7.3", "vmsa/close", None),
    ("mainline-7.3", "vmsa/ap-creation", "use-after-free"),
    ("mainline-7.3", "vmsa/ap-destruction", None),
    ("mainline-7.2", "vmsa/punch-beside-kick", "use-after-free"),
    ("mainline-6.12", "vmsa/punch", "use-after-free"),
    ("mainline-6.12", "vmsa/mapped-slot-delete", "use-after-free"),
    # kvm_vcpu_map() pins a page of L1 while L2 runs: it is not freed or moved, but user space can have another there.
    ("mainline-7.3", "nested/dontneed", "lost-update"),
    ("mainline-7.3", "nested/punch", "lost-update"),
    ("mainline-7.3", "nested/migrate", None),
    ("mainline-7.3", "nested/slot-delete", None),
    ("mainline-7.3", "nested/slot-move", None),
    # User space maps other memory at the slot's address than it bound. KVM follows the address; the guest does not
    ("mainline-7.3", "gmem/split-brain", "lost-update"),
    # A retry test without a range, as reported in 2024: an invalidation of any address repeats a lookup. Before 7.3.2
    # only the count shows it, if no memslot is met. See tests/scenarios/test_livelock.py.
    ("mainline-7.3", "livelock/unrelated-memory", "livelock"),
    ("mainline-7.2", "livelock/unrelated-memory", "livelock"),
    ("range-filter", "livelock/unrelated-memory", None),
    # New invalidations may start while a slot update waits for the count to be zero.
    ("mainline-7.3", "livelock/slot-update", "livelock"),
]


FORK = [
    # fork() makes the PTE read-only, and a write moves the page: each is announced by the MMU notifiers.
    ("mainline-7.3", "fork/clock", None),
    ("mainline-7.3", "fork/clock-and-writes", None),
    ("mainline-7.3", "fork/clock-left-out", None),
    ("mainline-7.3", "fork/clock-and-mprotect", None),
    ("mainline-7.3", "fork/activate", None),
    ("mainline-7.3", "fork/hva-cache", None),
    ("mainline-7.3", "fork/guest", None),
    ("mainline-7.3", "fork/steal-time", None),
    ("no-active-count", "fork/clock", "stale-translation"),
    ("count-before-sequence", "fork/clock", "stale-translation"),
    ("sequence-before-count", "fork/activate", "stale-translation"),
    ("no-dedicated-sequence", "fork/hva-cache", "stale-translation"),
    # Memory with MADV_DONTFORK stays as it is, whatever the design.
    ("no-active-count", "fork/clock-left-out", None),
    # A page that is pinned is copied for the child. With a mere reference it is the parent that gets a copy.
    ("mainline-7.3", "fork/nested", None),
    ("mainline-6.12", "fork/nested", "lost-update"),
    ("map-without-pin", "fork/nested", "lost-update"),
]

UFFD = [
    # Write protection by a userfaultfd changes no page, only the permission to write it, as mprotect() does.
    ("mainline-7.3", "uffd/clock", None),
    ("mainline-7.3", "uffd/clock-in-memfd", None),
    ("mainline-7.3", "uffd/clock-and-touch", None),
    ("mainline-7.3", "uffd/clock-and-migrate", None),
    ("mainline-7.3", "uffd/clock-and-fork", None),
    ("mainline-7.3", "uffd/activate", None),
    ("mainline-7.3", "uffd/guest", None),
    ("mainline-7.3", "uffd/steal-time", None),
    ("no-active-count", "uffd/clock", "stale-translation"),
    ("no-active-count", "uffd/clock-in-memfd", "stale-translation"),
    ("count-before-sequence", "uffd/clock", "stale-translation"),
    ("sequence-before-count", "uffd/activate", "stale-translation"),
    ("invalidate-at-end", "uffd/activate", "stale-translation"),
    # A refresh waits for user space in an SRCU read section. Who allows the write must not update a memslot first.
    ("mainline-7.3", "uffd/slot-update", None),
    ("mainline-7.3", "uffd/slot-update-of-handler", "deadlock"),
]

KSM = [
    # KSM takes the permission to write away, then replaces the page: two notifications, and two more of its own.
    ("mainline-7.3", "ksm/clock", None),
    ("mainline-7.3", "ksm/clock-replaced", None),
    ("mainline-7.3", "ksm/clock-and-unmerge", None),
    ("mainline-7.3", "ksm/activate", None),
    ("mainline-7.3", "ksm/guest", None),
    ("mainline-7.3", "ksm/steal-time", None),
    ("no-active-count", "ksm/clock-replaced", "stale-translation"),
    # A lookup in flight has a reference, so that KSM fails: the order of count and sequence does not matter here.
    ("count-before-sequence", "ksm/clock-replaced", None),
    # A page with a reference is not merged, whether or not the reference is a pin.
    ("mainline-7.3", "ksm/nested", None),
    ("map-without-pin", "ksm/nested", None),
]

DRIVER = [
    # A page with a struct page that a driver maps VM_PFNMAP: 7.3.4 takes no reference, older kernels do. Either way the
    # notification before the driver frees it is what counts.
    ("mainline-7.3", "device/clock-and-free", None),
    ("mainline-7.3", "device/activate-and-free", None),
    ("mainline-7.3", "device/clock-and-protected-free", None),
    ("mainline-7.3", "device/guest-and-free", None),
    ("mainline-6.12", "device/clock-and-free", None),
    ("mainline-6.12", "device/clock-and-protected-free", None),
    ("no-active-count", "device/activate-and-free", "use-after-free"),
    ("count-before-sequence", "device/clock-and-protected-free", "use-after-free"),
]


MM = [*MOVED, *FORK, *UFFD, *KSM, *DRIVER]


@pytest.mark.parametrize(("design", "scenario", "expected"), [*HISTORY, *SERIES, *MAINLINE, *MM])
def test_verdict(design: str, scenario: str, expected: str | None) -> None:
    """What is expected is among the violations; where nothing is, there is none."""
    outcome = verdict(design, scenario)
    assert outcome.limit == ""
    if expected is None:
        assert (outcome.verdict, outcome.properties) == ("holds", ()), outcome.reason
    else:
        assert outcome.verdict == "violated"
        assert expected in outcome.properties


Step = tuple[str, str, str]
"""Actor, function of Linux, line of the model."""

COUNT_UP = "kvm.mn_active_invalidate_count += 1"
COUNT_DOWN = "kvm.mn_active_invalidate_count -= 1"
COUNT_TEST = "if kvm.mn_active_invalidate_count != 0:"


def steps_of(outcome: Outcome, name: str) -> list[Step]:
    """Return the steps to the first violation of a property."""
    trace = next(violation.trace for violation in outcome.violations if violation.property == name)
    assert trace is not None
    return [(row.actor, row.function, row.text) for row in trace.rows]


def assert_in_order(steps: list[Step], expected: list[Step]) -> None:
    position = 0
    for step in expected:
        assert step in steps[position:], f"{step} is not in {steps[position:]}"
        position = steps.index(step, position) + 1


def test_dedicated_sequence_reads_like_its_changelog() -> None:
    """Look the old page up; a whole invalidation that meets no slot; the retry test misses it; publish a freed page."""
    steps = steps_of(verdict("no-dedicated-sequence", "xen/hva-cache-dontneed"), "use-after-free")
    assert_in_order(
        steps,
        [
            ("sender", "get_user_page_fast_only", "pfn = self.ptep_get_lockless(mm, number)"),
            ("madvise", "kvm_mmu_notifier_invalidate_range_start", COUNT_UP),
            ("madvise", "zap_pte_range", "page = self.clear_pte(mm, number)"),
            ("madvise", "kvm_mmu_notifier_invalidate_range_end", COUNT_DOWN),
            ("sender", "mmu_notifier_retry_cache", COUNT_TEST),
            ("sender", "hva_to_pfn_retry", "gpc.valid = True"),
        ],
    )


def test_forward_port_trap_reads_like_its_description() -> None:
    """Get the page from guest_memfd during a punch, which ends; the count is as before, and so is the sequence, which
    is not incremented and whose load is no step for that reason; publish the freed page."""
    steps = steps_of(verdict("rfc-v4-on-7.3", "gmem/unmapped-punch"), "use-after-free")
    assert_in_order(
        steps,
        [
            ("punch", "__kvm_gmem_invalidate_start", COUNT_UP),
            ("vcpu", "__kvm_gmem_get_pfn", "if not page.uptodate:"),
            ("punch", "truncate_inode_folio", "self.filemap_remove_folio(mapping, page.index)"),
            ("punch", "__kvm_gmem_invalidate_end", COUNT_DOWN),
            ("vcpu", "mmu_notifier_retry_cache", COUNT_TEST),
            ("vcpu", "hva_to_pfn_retry", "gpc.valid = True"),
        ],
    )
