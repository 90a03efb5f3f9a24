# SPDX-License-Identifier: GPL-2.0-only
"""The allocation that fail_nth counts down to fails, and no other."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.uapi.linux.errno import ENOMEM
from pfncache.linux.mm.failslab import should_failslab
from pfncache.linux.mm.slub import kzalloc
from tests.linux.conftest import HVA, Host


@pytest.mark.parametrize("nth", [0, 1, 2, 3])
def test_the_nth_allocation_fails(host: Host, task: TaskStruct, nth: int) -> None:
    task.fail_nth = nth
    assert [should_failslab() for _ in range(4)] == [number == nth for number in (1, 2, 3, 4)]
    assert task.fail_nth == 0


def test_objects_pages_and_mappings(host: Host, task: TaskStruct) -> None:
    task.fail_nth = 1
    assert kzalloc(host.kvm.slot_cache) is None
    assert kzalloc(host.kvm.slot_cache) is host.kvm.slot_cache[0]
    task.fail_nth = 1
    assert host.kernel.alloc_page() is None
    assert host.kernel.alloc_page() is not None
    task.fail_nth = 1
    assert host.kernel.memremap(0) == 0
    assert host.kernel.memremap(0) == host.kernel.VMALLOC_START


@pytest.mark.parametrize(("nth", "ret"), [(1, -ENOMEM), (2, -ENOMEM), (3, -ENOMEM), (4, 0)])
def test_a_memslot_needs_an_object_a_bitmap_and_metadata(host: Host, task: TaskStruct, nth: int, ret: int) -> None:
    task.fail_nth = nth
    assert host.kernel.set_memory_region(host.kvm, 0, 0, 1, HVA, True) == ret
    assert host.kernel.set_memory_region(host.kvm, 0, 0, 1, HVA, True) == 0


def test_a_fault_without_a_page(host: Host, task: TaskStruct) -> None:
    host.add_slot()
    task.fail_nth = 1
    assert host.kernel.do_user_addr_fault(host.mm, HVA) < 0
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
