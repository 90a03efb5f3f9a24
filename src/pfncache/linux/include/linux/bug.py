# SPDX-License-Identifier: GPL-2.0-only
"""lib/bug.c: assertions that Linux itself makes."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report


@atomic
def WARN_ON_ONCE(condition: bool, what: str) -> None:
    """WARN_ON_ONCE(): reports when `condition` is true. `what` is the condition in words.

    Linux: include/asm-generic/bug.h WARN_ON_ONCE(), v7.3.4.
    Simplified: execution ends there.
    """
    if condition:
        report("warn-on", what)
