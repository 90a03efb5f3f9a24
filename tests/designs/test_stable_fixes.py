# SPDX-License-Identifier: GPL-2.0-only
"""Fixes that were carried to 6.12.117 and not to 7.2.12: the designs have them where their kernels' sources do."""

from __future__ import annotations

import re

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.lang.records import LIVE
from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_SW_PROTECTED_VM
from pfncache.linux.include.linux.kvm_host import KvmMemorySlot
from pfncache.linux.include.uapi.linux.errno import EEXIST, EINVAL
from pfncache.verify.check import check
from tests.csource.kvm.trees import source
from tests.linux.conftest import MakeHost, make_host, task
from tests.linux.virt.kvm.guest_memfd.helpers import gmem_slot

__all__ = ["make_host", "task"]

RELEASES = {"7.3.4": "mainline-7.3", "7.2.12": "mainline-7.2", "6.12.117": "mainline-6.12"}
FIXES = [
    ("arch/x86/kvm/xen.c", "__kvm_xen_has_interrupt", "xen/has-interrupt"),
    ("arch/x86/kvm/mmu/mmu.c", "kvm_zap_gfn_range", "clock/anon/zap-range"),
]
HAVE = {"mainline-7.3", "mainline-6.12"}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("file", "function", "scenario"), FIXES)
def test_the_source_has_the_fix_where_the_design_has_it(release: str, file: str, function: str, scenario: str) -> None:
    text = (source(release) / file).read_text()
    found = re.search(rf"^(?:int|void) {function}\(.*?^}}", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    assert ("guard(srcu)" in found[0]) == (RELEASES[release] in HAVE)


@pytest.mark.parametrize("design", [*RELEASES.values(), "mainline-6.18"])
@pytest.mark.parametrize(("file", "function", "scenario"), FIXES)
def test_the_design_has_the_fix(design: str, file: str, function: str, scenario: str) -> None:
    (outcome,) = check(design, scenario, jobs=1)
    assert ("srcu-unprotected" in outcome.properties) == (design not in HAVE)


@pytest.mark.parametrize("design", RELEASES.values())
def test_no_upcall_is_read_through_a_cache_that_is_not_active(make_host: MakeHost, design: str) -> None:
    """kvm_xen_has_interrupt() of arch/x86/kvm/xen.h tests that first, in every version, before the section too."""
    host = make_host(DESIGNS[design].kernel())
    assert not host.kernel.kvm_xen_has_interrupt(host.vcpu)


@pytest.mark.parametrize(
    ("design", "ret"), [("mainline-7.3", 0), ("mainline-7.2", -EEXIST), ("mainline-6.12", -EINVAL)]
)
def test_a_slot_that_is_not_bound_has_no_file(make_host: MakeHost, design: str, ret: int) -> None:
    """kvm_gmem_bind() looked for other slots before it stored the file; 7.3.4 looks when it commits the slot."""
    host = make_host(DESIGNS[design].kernel(), vm_type=KVM_X86_SW_PROTECTED_VM)
    file = gmem_slot(host, 0)
    slot = KvmMemorySlot("second", npages=1, lpage_info=())
    slot.__dict__["slab_state"] = LIVE
    assert host.kernel.kvm_gmem_prepare_memory_region(host.kvm, slot, file, 1) == ret
    assert (slot.gmem_file is file, file.f_count) == ((True, 2) if ret == 0 else (False, 1))
