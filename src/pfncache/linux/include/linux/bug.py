# SPDX-License-Identifier: GPL-2.0-only
"""include/asm-generic/bug.h: the assertions of Linux."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.lang.tracing import running


@atomic
def WARN_ON_ONCE(condition: bool, what: str) -> None:
    """Report a warning if `condition` is true. `what` describes the condition.

    Linux: include/asm-generic/bug.h WARN_ON_ONCE(), v7.3.4.
    Simplified: execution ends with the report, unless the warning is known: then the task goes on, as in Linux.
    """
    task = running()
    if condition and (task is None or not task.warned_before):
        report("warn-on", what)
