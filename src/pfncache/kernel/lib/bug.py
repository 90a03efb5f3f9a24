# SPDX-License-Identifier: GPL-2.0-only
"""lib/bug.c: assertions that Linux itself makes."""

from __future__ import annotations

from pfncache.kernel.model import atomic, report


@atomic
def WARN_ON_ONCE(condition: bool, what: str) -> None:
    """WARN_ON_ONCE(): reports when `condition` is true. `what` is the condition in words."""
    if condition:
        report("warn-on", what)
