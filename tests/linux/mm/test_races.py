# SPDX-License-Identifier: GPL-2.0-only
"""Interleavings of mm/ that the locks of Linux rule out, and waits that they bring."""

from __future__ import annotations

import pytest

import pfncache
from pfncache.designs.design import Patch
from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.mm_types import MmStruct, Vma
from pfncache.linux.include.linux.types import Hva
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.mm.mremap import Mremap
from pfncache.linux.virt.kvm.kvm_main.mmu_notifier import KvmMmuNotifier


class WithoutRmapLocks(Patch, Mremap):
    """mremap() lets walks of the reverse mapping in, also where they go past it."""

    def take_rmap_locks(self, mm: MmStruct, vma: Vma) -> None:
        """Take none."""

    def drop_rmap_locks(self, mm: MmStruct, vma: Vma) -> None:
        """Drop none."""


class WaitForRefresh(Patch, KvmMmuNotifier):
    """The notifier waits for a refresh of the cache that is in flight."""

    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """Take refresh_lock before the invalidation."""
        for gpc in kvm.gpcs:
            with mutex(gpc.refresh_lock):
                pass
        super().kvm_mmu_notifier_invalidate_range_start(kvm, start, end)


def _move_down(w: pfncache.World) -> None:
    """The page is at the higher address, and moves down while something walks its mappings."""
    w.do(
        w.call("do_mremap", w.mm, w.hva, w.other_hva),
        w.call("do_user_addr_fault", w.mm, w.other_hva),
    )
    w.actor("mover", w.call("do_mremap", w.mm, w.other_hva, w.hva), w.call("user_access_retry", w.hva, True))


@pfncache.scenario(memory=pfncache.MemoryKind.ANON)
def move_down_and_migrate(w: pfncache.World) -> None:
    """The page is moved to another page frame while its mapping moves down."""
    _move_down(w)
    w.actor("migration", w.call("migrate_pages", w.mm, w.other_hva), process=False)


@pfncache.scenario(memory=pfncache.MemoryKind.GMEM_MMAP)
def move_down_and_punch(w: pfncache.World) -> None:
    """The page is punched out of its file while its mapping moves down."""
    _move_down(w)
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


def _first_update(w: pfncache.World, name: str, *args: object) -> None:
    """The guest sets its clock in a page that is not mapped yet, beside one operation."""
    w.actor("vcpu", w.call("set_msr_system_time", w.vcpu, w.gpa, True), w.call("run_clock_update", w.vcpu))
    w.actor("other", w.call(name, *args))


@pfncache.scenario(memory=pfncache.MemoryKind.MEMFD)
def update_and_punch(w: pfncache.World) -> None:
    """The page is punched out of its file."""
    _first_update(w, "punch_hole_in_memfd", w.memfd, 0, 1)


@pfncache.scenario(memory=pfncache.MemoryKind.MEMFD)
def update_and_mprotect(w: pfncache.World) -> None:
    """The page is made read-only."""
    _first_update(w, "do_mprotect_pkey", w.mm, w.hva, False)


@pfncache.scenario(memory=pfncache.MemoryKind.MEMFD)
def update_and_munmap(w: pfncache.World) -> None:
    """The page is unmapped."""
    _first_update(w, "vm_munmap", w.mm, w.hva)


def properties(design: object, scenario: object) -> set[str]:
    """Return the properties that some interleaving violates."""
    (outcome,) = pfncache.check(design, scenario, jobs=1)  # type: ignore[arg-type]
    assert not outcome.limit
    return {violation.property for violation in outcome.violations}


@pytest.mark.parametrize(
    ("scenario", "missed"), [(move_down_and_migrate, "livelock"), (move_down_and_punch, "bad-page")]
)
def test_a_walk_finds_a_page_whose_mapping_moves_down(scenario: object, missed: str) -> None:
    mainline = pfncache.designs["mainline-7.3"]
    assert properties(mainline, scenario) == set()
    assert missed in properties(mainline + [WithoutRmapLocks], scenario)


@pytest.mark.parametrize(
    ("scenario", "deadlocks"), [(update_and_punch, True), (update_and_mprotect, True), (update_and_munmap, False)]
)
def test_a_notifier_that_waits_for_a_refresh(scenario: object, deadlocks: bool) -> None:
    """The refresh waits for the end of a punch, or for mmap_lock; munmap() has downgraded that by then."""
    design = pfncache.designs["mainline-7.3"] + [WaitForRefresh]
    assert ("deadlock" in properties(design, scenario)) is deadlocks
