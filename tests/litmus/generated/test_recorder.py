# SPDX-License-Identifier: GPL-2.0-only
"""What operations do in the C of 7.3.4: accesses, locks and barriers, and the lines where they are."""

from __future__ import annotations

from functools import cache

from pfncache.litmus.event import EventKind
from pfncache.litmus.generated.recorded import RecordedOperation
from pfncache.litmus.generated.recorder import record
from pfncache.verify.systems import make_system
from tests.csource.kvm.trees import source
from tests.litmus.generated.test_scenarios import base


@cache
def operations(scenario: str) -> list[RecordedOperation]:
    """The operations of a scenario."""
    return record(make_system(base().design, scenario, ()), source("7.3.4"))


def events(operation: RecordedOperation, *names: str) -> list[str]:
    """The events of some variables, locks and fences, with the function."""
    found = (e for e in operation.events if e.name in names and not e.is_call)
    return [f"{e.kind} {e.name.rpartition('.')[2]} {e.frame.function}()" for e in found]


def test_each_order_of_the_operations() -> None:
    found = operations("clock/anon/dontneed")
    assert [str(one) for one in found] == [
        "vcpu: run_clock_update()", "dontneed: madvise_dontneed()", "vcpu: run_clock_update()",
    ]  # fmt: skip
    assert all(one.ended for one in found)
    assert [one.ended for one in operations("xen/poll-and-send") if one.name == "run_schedop_poll"].count(False) == 1


def test_barriers_are_where_the_c_has_them() -> None:
    update = operations("clock/anon/dontneed")[0]
    assert events(update, "smp_wmb") == ["fence smp_wmb kvm_setup_guest_pvclock()"] * 2


def test_the_end_of_a_notifier() -> None:
    notifier = operations("clock/anon/dontneed")[1]
    names = ("kvm.mn_invalidate_lock", "kvm.gpc_invalidate_seq", "kvm.mn_active_invalidate_count", "smp_wmb")
    start, end = "kvm_mmu_notifier_invalidate_range_start()", "kvm_mmu_notifier_invalidate_range_end()"
    assert [line for line in events(notifier, *names) if line.endswith(end)] == [
        f"lock mn_invalidate_lock {end}",
        f"read gpc_invalidate_seq {end}",
        f"write gpc_invalidate_seq {end}",
        f"fence smp_wmb {end}",
        f"read mn_active_invalidate_count {end}",
        f"read mn_active_invalidate_count {end}",
        f"write mn_active_invalidate_count {end}",
        f"read mn_active_invalidate_count {end}",
        f"unlock mn_invalidate_lock {end}",
    ]
    assert [line for line in events(notifier, *names) if line.endswith(start)] == [
        f"lock mn_invalidate_lock {start}",
        f"read mn_active_invalidate_count {start}",
        f"write mn_active_invalidate_count {start}",
        f"unlock mn_invalidate_lock {start}",
    ]


def test_a_write_to_the_inactive_set_of_memslots_is_private() -> None:
    (update,) = (one for one in operations("slots/move") if one.actor == "vmm")
    writes = [e for e in update.events if e.kind is EventKind.WRITE and e.member == "generation"]
    assert [(e.frame.line < 1641, e.is_private) for e in writes if e.frame.function == "kvm_swap_active_memslots"] == [
        (True, True), (False, False), (True, True), (False, False),
    ]  # fmt: skip
