# SPDX-License-Identifier: GPL-2.0-only
"""mm/fail_page_alloc.c: an allocation of a page that fails; CONFIG_FAULT_INJECTION."""

from __future__ import annotations

from pfncache.linux.mm.failslab import should_fail_nth


def should_fail_alloc_page() -> bool:
    """Return whether an allocation of a page fails.

    Linux: mm/fail_page_alloc.c should_fail_alloc_page(), v7.3.4.
    """
    return should_fail_nth()
