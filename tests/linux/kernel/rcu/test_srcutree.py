# SPDX-License-Identifier: GPL-2.0-only
"""SRCU: an update waits for the readers that were there before it, and for no others."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.kernel.rcu.srcutree import SrcuStruct, srcu_dereference_check, srcu_read_lock
from tests.linux.conftest import reported


def test_section(task: TaskStruct) -> None:
    srcu = SrcuStruct("srcu", dereferenced=True)
    with srcu_read_lock(srcu):
        assert (srcu.readers0, srcu.readers1, task.srcu_depth, task.preempt_count) == (1, 0, 1, 0)
        srcu_dereference_check("pointer", False)
    assert (srcu.readers0, task.srcu_depth) == (0, 0)
    with reported("srcu-unprotected"):
        srcu_dereference_check("pointer", False)


def test_what_else_protects(task: TaskStruct) -> None:
    srcu_dereference_check("pointer", True)


def test_grace_periods_do_not_overlap(task: TaskStruct) -> None:
    srcu = SrcuStruct("srcu")
    srcu.start_grace_period()
    with pytest.raises(WouldBlock):
        srcu.synchronize()
    srcu.gp_in_progress = False
    srcu.synchronize()


def test_section_of_another_structure(task: TaskStruct) -> None:
    with srcu_read_lock(SrcuStruct("notifiers")), reported("srcu-unprotected"):
        srcu_dereference_check("pointer", False)


def test_sections_nest(task: TaskStruct) -> None:
    srcu = SrcuStruct("srcu", dereferenced=True)
    with srcu_read_lock(srcu):
        with srcu_read_lock(srcu):
            assert task.srcu_depth == 2
        srcu_dereference_check("pointer", False)


def test_update_without_readers_flips_the_index(task: TaskStruct) -> None:
    srcu = SrcuStruct("srcu")
    assert srcu.read_lock() == 0
    srcu.read_unlock(0)
    srcu.synchronize()
    assert srcu.read_lock() == 1


def test_update_waits_for_an_earlier_reader(task: TaskStruct) -> None:
    srcu = SrcuStruct("srcu")
    index = srcu.read_lock()
    with pytest.raises(WouldBlock):
        srcu.synchronize()
    assert srcu.index == 1  # flipped: new readers are not waited for
    srcu.read_unlock(index)
    late = srcu.read_lock()
    srcu.wait_for_inactive_readers()
    assert (late, srcu.readers0, srcu.readers1) == (1, 0, 1)


def test_update_waits_for_a_reader_of_the_update_before(task: TaskStruct) -> None:
    """Whoever loaded the index before a flip may count under the inactive one."""
    srcu = SrcuStruct("srcu", readers1=1)
    with pytest.raises(WouldBlock):
        srcu.synchronize()
    assert srcu.index == 0


def test_update_in_atomic_context(task: TaskStruct) -> None:
    task.preempt_count = 1
    with reported("sleeping-in-atomic"):
        SrcuStruct("srcu").synchronize()


@pytest.mark.parametrize("index", [0, 1])
def test_unlock_of_what_nobody_holds(task: TaskStruct, index: int) -> None:
    """lockdep: bad unlock balance."""
    srcu = SrcuStruct("srcu", readers0=index, readers1=1 - index)
    with reported("lock-imbalance"):
        srcu.read_unlock(index)
