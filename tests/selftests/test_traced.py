# SPDX-License-Identifier: GPL-2.0-only
"""Races at any stop point: their names, and what they show on models that are right and wrong."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design, Patch
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.types import Hva, Sequence
from pfncache.linux.virt.kvm.pfncache import Pfncache
from pfncache.selftests import SELFTESTS, find
from pfncache.selftests.runner import SelftestResult, SelftestVerdict, run
from pfncache.selftests.session import NoSuchTest, select
from pfncache.selftests.suites.traced import EXAMPLE, MEMORY, REMOVALS, STARTS, STRUCTURES

STALE = "KVM has written to a page that is no longer the guest's"


class NeverAgain(Patch, Pfncache):
    """KVM: pfncache: use the page of a lookup, whatever has been invalidated since it began."""

    def mmu_notifier_retry_cache(self, kvm: Kvm, sequence: Sequence) -> bool:
        """Ask for another lookup while an invalidation runs, and not after one."""
        return kvm.mn_active_invalidate_count != 0


class Unnoticed(Patch, Pfncache):
    """KVM: pfncache: leave caches alone when their page goes."""

    def gfn_to_pfn_cache_invalidate_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Invalidate none."""


unnoticed = mainline_7_3 + [Unnoticed]
never_again = mainline_7_3 + [NeverAgain]


def tried(name: str, design: Design) -> SelftestResult:
    test = find(name)
    assert test is not None, name
    (result,) = run([test], None, design)
    return result


def test_a_name_says_what_is_done() -> None:
    test = find(EXAMPLE)
    assert test is not None
    assert test.name == EXAMPLE
    assert test.purpose == (
        "kvm-clock in anonymous memory; dontneed; the access is stopped at the return of hva_to_pfn()"
    )
    removal = find("traced/memfd/shared-info+punch/valid/removal-before-kvm_mmu_invalidate_end")
    assert removal is not None
    assert removal.purpose.endswith("the removal is stopped at the entry of kvm_mmu_invalidate_end()")
    in_turn = find("traced/anon/clock+munmap/valid/in-turn")
    assert in_turn is not None
    assert in_turn.purpose == "kvm-clock in anonymous memory; munmap between two accesses"


@pytest.mark.parametrize("name", [
    "traced", "traced/anon/clock+dontneed/valid", "traced/anon/clock+dontneed/valid/access-near-hva_to_pfn",
    "traced/anon/clock+dontneed/later/in-turn", "traced/anon/clock+punch/valid/in-turn",
    "traced/anon/shared-info-hva+slot-delete/valid/in-turn",
    "traced/floppy/clock+dontneed/valid/in-turn", "traced/anon/tape+dontneed/valid/in-turn",
])  # fmt: skip
def test_names_of_no_test(name: str) -> None:
    assert find(name) is None
    with pytest.raises(NoSuchTest):
        select((name,))


def test_they_are_chosen_by_their_whole_name_beside_others() -> None:
    found = select(("memslots/", EXAMPLE))
    assert [test.name for test in found] == [*(name for name in SELFTESTS if name.startswith("memslots/")), EXAMPLE]


@pytest.mark.parametrize(("start", "text"), [
    ("page-gone", STALE), ("never-used", STALE), ("valid", "the call does not come to the return of hva_to_pfn()"),
])  # fmt: skip
def test_a_lookup_that_is_not_repeated(start: str, text: str) -> None:
    name = f"traced/anon/clock+dontneed/{start}/access-after-hva_to_pfn"
    result = tried(name, never_again)
    assert result.outcome.text == text
    assert tried(name, mainline_7_3).verdict is (SelftestVerdict.SKIP if start == "valid" else SelftestVerdict.OK)


def test_an_invalidation_that_caches_do_not_notice_is_seen_without_a_stop() -> None:
    name = "traced/anon/shared-info+map-over/valid/in-turn"
    result = tried(name, unnoticed)
    assert (result.verdict, result.outcome.text) == (SelftestVerdict.FAILED, STALE)
    assert tried(name, mainline_7_3).verdict is SelftestVerdict.OK


IN_TURN = [
    f"traced/{memory}/{structure}+{removal.name}/{start}/in-turn"
    for structure in STRUCTURES
    for removal in REMOVALS.values()
    for memory in MEMORY
    for start in STARTS
    if removal.applies(STRUCTURES[structure], memory) and memory != "gmem-unmapped"
]


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["in-turn", "access-after-hva_to_pfn", "removal-before-vm_munmap"])
def test_mainline_passes_all(stop: str) -> None:
    """But gmem-unmapped, which mainline does not reach. A call that never comes to its stop point is skipped."""
    found = {name: tried(name, mainline_7_3) for name in (each.replace("in-turn", stop) for each in IN_TURN)}
    failed = {name: result.outcome.text for name, result in found.items() if result.verdict is SelftestVerdict.FAILED}
    assert failed == {}
    assert sum(result.verdict is SelftestVerdict.OK for result in found.values()) > len(STRUCTURES)
