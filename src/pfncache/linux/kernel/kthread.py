# SPDX-License-Identifier: GPL-2.0-only
"""kernel/kthread.c: a kernel thread works in the address space of a process for a while."""

from __future__ import annotations

from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.sched import current


def kthread_use_mm(mm: MmStruct) -> None:
    """Borrow an address space. Nobody asks whether its process still lives: mm_users may be zero.

    Linux: kernel/kthread.c kthread_use_mm(), v7.3.4.
    """
    current().mm = mm


def kthread_unuse_mm() -> None:
    """Give it back.

    Linux: kernel/kthread.c kthread_unuse_mm(), v7.3.4.
    """
    current().mm = None
