# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/sched.h: tasks."""

from __future__ import annotations

from typing import Annotated

from pfncache.lang.records import Bound
from pfncache.lang.tracing import running
from pfncache.linux.include.linux.kvm_host import File, KvmVcpu
from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.linux.preempt import ThreadInfo


class TaskStruct(ThreadInfo):
    """struct task_struct: one actor, the only task of its CPU; interrupts may be pinned to it."""

    mm: MmStruct | None
    pagefault_disabled: bool
    signal_pending: bool
    """A fatal signal is pending."""
    lookup_has_no_page: bool
    """*kfp->refcounted_page is NULL after the last lookup, although its pfn has a struct page: VM_PFNMAP memory."""
    delayed_fput: File | None
    """task_works: the file whose last reference this task has dropped; released before the return to user space."""
    fail_nth: Annotated[int, Bound(0, 7)]
    """/proc/self/fail-nth: the number of allocations until one fails; 0 if none is to."""
    running_vcpu: KvmVcpu | None
    """kvm_running_vcpu, which is of the CPU in Linux: the vCPU that the task has loaded."""
    host_buffer: bytes = b""
    """What the task copies to user space, in direct execution of C, which has its address."""
    host_delayed: str = ""
    """The function after which the task stops, in direct execution."""
    host_evtchn_port: int = 0
    """The port of the event that the task sends, of struct kvm_xen_evtchn, in direct execution."""


def current() -> TaskStruct:
    """Return the running task.

    Linux: arch/x86/include/asm/current.h current(), a macro for get_current(), v7.3.4.
    """
    task: TaskStruct = running()
    return task
