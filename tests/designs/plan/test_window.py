# SPDX-License-Identifier: GPL-2.0-only
"""A window: it holds, each of its steps is needed, and it reaches what is declared shared alone."""

from __future__ import annotations

import pytest

from pfncache.check.verdict import Verdict
from pfncache.designs.catalogue import DESIGNS, mainline_7_3
from pfncache.designs.design import Patch
from pfncache.designs.plan.window import KeepInDirectMap
from pfncache.lang.tracing import run_as
from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.linux.types import Errno, Pgoff
from pfncache.linux.include.uapi.linux.errno import EAGAIN, ENOMEM, ENOTTY
from pfncache.linux.include.uapi.linux.kvm import KVM_GMEM_KEEP_DIRECT_MAP, KVM_GMEM_LEAVE_DIRECT_MAP
from pfncache.matrix.memory import KINDS
from pfncache.matrix.paths import PATHS
from pfncache.matrix.predict import predict
from pfncache.matrix.view import word
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.scenarios.world import MemoryKind, World
from pfncache.verify.job import Job
from pfncache.verify.runner import run

WINDOW = DESIGNS["window"]
STATES = {
    "leave": 918, "leave-and-touch": 7_727, "leave-and-return": 2_383, "punch": 1_504, "leave-and-punch": 28_209,
    "enter": 271, "nested": 408,
}  # fmt: skip


@pytest.mark.parametrize("scenario", STATES)
def test_the_window_holds(scenario: str) -> None:
    outcome = run(Job(WINDOW, f"window/{scenario}", 100_000))
    assert (outcome.verdict, outcome.states) == (Verdict.HOLDS, STATES[scenario])


class MarkFirst(KeepInDirectMap):
    """KVM: guest_memfd: hand a page out before it is in the direct map."""

    def keep_page(self, mapping: AddressSpace, index: Pgoff) -> Errno:
        """Set the mark first."""
        page = self.filemap_grab_folio(mapping, index)
        if page is None:
            return -ENOMEM
        self.set_kept(mapping, index, True)
        self.set_direct_map_default_noflush(page)
        page.lock.unlock()
        self.put_page(page)
        return 0


class ForgetCaches(KeepInDirectMap):
    """KVM: guest_memfd: take a page out of the direct map, whatever maps it."""

    def give_page_up(self, mapping: AddressSpace, index: Pgoff) -> Errno:
        """Leave user page tables as they are."""
        self.set_kept(mapping, index, False)
        page = self.filemap_lock_folio(mapping, index)
        if page is not None:
            self.zap_direct_map(page)
            page.lock.unlock()
            self.put_page(page)
        return 0


@pytest.mark.parametrize(("patch", "scenario"), [(MarkFirst, "enter"), (ForgetCaches, "leave")])
def test_each_step_is_needed(patch: type[Patch], scenario: str) -> None:
    outcome = run(Job((WINDOW + [patch]).named("own", ""), f"window/{scenario}", 100_000))
    assert outcome.properties == ("unmapped-access",)


def test_a_pinned_page_stays() -> None:
    """The users of kvm_vcpu_map() access a page by its address in the direct map until they unmap it."""
    w = World(WINDOW.kernel(), MemoryKind.GMEM_NDM)
    asked = w.call("vfs_ioctl", w.gmem, KVM_GMEM_LEAVE_DIRECT_MAP, 0, 1)
    w.do(w.call("vfs_ioctl", w.gmem, KVM_GMEM_KEEP_DIRECT_MAP, 0, 1), w.call("run_nested_entry", w.vcpu, w.gpa))
    page = w.gmem.f_mapping.i_pages[0].page
    assert page is not None
    with run_as(TaskStruct("vmm", mm=w.mm)):
        assert (asked.function(*asked.args), page.direct_map) == (-EAGAIN, True)
    w.do(w.call("run_nested_exit", w.vcpu))
    with run_as(TaskStruct("vmm", mm=w.mm)):
        assert (asked.function(*asked.args), page.direct_map) == (0, False)


def test_mainline_has_no_window() -> None:
    w = World(mainline_7_3.kernel(), MemoryKind.GMEM_NDM)
    assert w.kernel.vfs_ioctl(w.gmem, KVM_GMEM_KEEP_DIRECT_MAP, 0, 1) == -ENOTTY
    assert not mainline_7_3.has(DEFAULT_SCENARIOS["window/leave"].memory)
    assert WINDOW.has(DEFAULT_SCENARIOS["window/leave"].memory)


def test_what_is_not_declared_shared_is_not_reached() -> None:
    seen = {path: word(predict(WINDOW, PATHS[path], KINDS["ndm/mapped"]).seen) for path in PATHS}
    lost = {path: how for path, how in seen.items() if how != "works"}
    assert lost == {
        "pfncache": "lost", "pfncache by hva": "EFAULT", "kvm_vcpu_map": "internal", "mapping of L2": "VMFAIL",
        "VMSA": "-",
    }  # fmt: skip
