# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/include/asm/pgtable_types.h: levels of page tables."""

from __future__ import annotations

PG_LEVEL_4K, PG_LEVEL_2M = 1, 2
"""enum pg_level. No scenario has a page of 1 GB."""
KVM_PAGES_PER_HPAGE = 2
"""Pages that an entry of level PG_LEVEL_2M maps (arch/x86/include/asm/kvm_host.h): 2 in the model, 512 in Linux."""
