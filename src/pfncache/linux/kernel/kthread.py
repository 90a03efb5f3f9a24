# SPDX-License-Identifier: GPL-2.0-only
"""kernel/kthread.c: a kernel thread uses the address space of a process temporarily."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.sched import current


@atomic
def kthread_use_mm(mm: MmStruct) -> None:
    """Use an address space, and take a reference on it. There is no check of mm_users, which may be zero.

    Linux: kernel/kthread.c kthread_use_mm(), v7.3.4.
    """
    WARN_ON_ONCE(current().mm is not None, "WARN_ON_ONCE(tsk->mm)")
    mm.mm_count += 1
    current().mm = mm


@atomic
def kthread_unuse_mm() -> None:
    """Stop using the address space, and drop the reference.

    Linux: kernel/kthread.c kthread_unuse_mm(), v7.3.4.
    Simplified: the argument is the address space that the thread uses; no lazy reference stays.
    """
    mm = current().mm
    WARN_ON_ONCE(mm is None, "WARN_ON_ONCE(!tsk->mm)")
    assert mm is not None
    current().mm = None
    mm.mm_count -= 1
