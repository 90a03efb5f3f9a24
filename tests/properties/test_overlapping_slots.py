# SPDX-License-Identifier: GPL-2.0-only
"""overlapping-slots: two memslots have a gfn in common."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Patch
from pfncache.linux.include.linux.kvm_host import KvmMemslots
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.uapi.linux.errno import EEXIST
from pfncache.linux.virt.kvm.kvm_main.memslots import Memslots
from tests.linux.conftest import Host, MakeHost, reported
from tests.properties.conftest import watched


class Unchecked(Patch, Memslots):
    """KVM: create any slot."""

    def kvm_check_memslot_overlap(self, slots: KvmMemslots, slot_id: int, start: Gfn, end: Gfn) -> bool:
        """Nothing overlaps."""
        return False


@pytest.mark.parametrize(("base", "npages"), [(1, 1), (3, 2), (0, 1), (2, 2)])
def test_mainline_refuses(host: Host, base: int, npages: int) -> None:
    host.add_slot(base_gfn=1, npages=3)
    expected = -EEXIST if base + npages > 1 else 0
    assert host.add_slot(base_gfn=base, npages=npages, slot_id=1) == expected
    host.kernel.trace_quiescent(host.kvm)


@pytest.mark.parametrize(("base", "npages"), [(3, 2), (0, 2), (2, 1)])
def test_two_slots_of_a_gfn(make_host: MakeHost, base: int, npages: int) -> None:
    host = watched(make_host, mainline_7_3 + [Unchecked])
    host.add_slot(base_gfn=1, npages=3)
    assert host.add_slot(base_gfn=base, npages=npages, slot_id=1) == 0
    with reported("overlapping-slots"):
        host.kernel.trace_quiescent(host.kvm)


def test_two_slots_that_begin_at_a_gfn_are_a_bug(make_host: MakeHost) -> None:
    host = watched(make_host, mainline_7_3 + [Unchecked])
    host.add_slot(base_gfn=1, npages=3)
    with reported("warn-on"):
        host.add_slot(base_gfn=1, npages=1, slot_id=1)


def test_a_vm_that_is_gone(host: Host) -> None:
    host.add_slot()
    host.kernel.kvm_put_kvm(host.kvm)
    host.kernel.trace_quiescent(host.kvm)
