# SPDX-License-Identifier: GPL-2.0-only
"""kernel/kthread.c: a kernel thread uses the address space of a process temporarily."""

from __future__ import annotations

from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.sched import current


def kthread_use_mm(mm: MmStruct) -> None:
    """Use an address space. There is no check of mm_users, which may be zero.

    Linux: kernel/kthread.c kthread_use_mm(), v7.3.4.
    """
    current().mm = mm


def kthread_unuse_mm() -> None:
    """Stop using the address space.

    Linux: kernel/kthread.c kthread_unuse_mm(), v7.3.4.
    """
    current().mm = None
