# SPDX-License-Identifier: GPL-2.0-only
"""mm/failslab.c: an allocation that fails, as a test asks for by /proc/self/fail-nth; CONFIG_FAULT_INJECTION."""

from __future__ import annotations

from pfncache.lang.part_of import part_of_caller
from pfncache.lang.tracing import running
from pfncache.linux.include.linux.sched import TaskStruct


def should_failslab() -> bool:
    """Return whether an allocation of an object fails, or of what maps a page.

    Linux: mm/failslab.c should_failslab(), v7.3.4.
    """
    return should_fail_nth()


@part_of_caller
def should_fail_nth() -> bool:
    """Return whether this is the allocation of the task that fail_nth counts down to.

    Linux: lib/fault-inject.c should_fail_ex(), v7.3.4.
    """
    task: TaskStruct | None = running()
    if task is None:  # not in a task: a world that is being built
        return False
    nth = task.fail_nth
    if nth == 0:
        return False
    task.fail_nth = nth - 1
    return nth == 1
