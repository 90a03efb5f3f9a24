# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/include/asm/page_types.h: the size of a page."""

from __future__ import annotations

PAGE_SIZE = 4096
