# SPDX-License-Identifier: GPL-2.0-only
"""A kernel thread works in the address space of a process for a while."""

from __future__ import annotations

from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.kernel.kthread import kthread_unuse_mm, kthread_use_mm
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import reported

ADDRESS = 0x4000


def test_borrowed_and_given_back(task: TaskStruct) -> None:
    kernel = Vmlinux()
    mm = kernel.new_mm("mm")
    kernel.vm_mmap_pgoff(mm, ADDRESS, None, 0)
    assert not kernel.copy_to_user(ADDRESS, b"x")
    kthread_use_mm(mm)
    assert mm.mm_count == 1
    assert kernel.copy_to_user(ADDRESS, b"x")
    kthread_unuse_mm()
    assert (task.mm, mm.mm_count) == (None, 0)
    assert not kernel.copy_to_user(ADDRESS, b"y")
    assert bytes(kernel.mem_map[0].host_bytes[:2]) == b"x\0"


def test_a_thread_uses_one_address_space_at_a_time(task: TaskStruct) -> None:
    kernel = Vmlinux()
    one, other = kernel.new_mm("one"), kernel.new_mm("other")
    with reported("warn-on"):
        kthread_unuse_mm()
    kthread_use_mm(one)
    with reported("warn-on"):
        kthread_use_mm(other)
    assert (task.mm, other.mm_count) == (one, 0)
