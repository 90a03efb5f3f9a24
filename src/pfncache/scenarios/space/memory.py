# SPDX-License-Identifier: GPL-2.0-only
"""The dimension of the kind of memory."""

from __future__ import annotations

from pfncache.scenarios.space.dimension import Dimension, Value
from pfncache.scenarios.world import MemoryKind

MEANINGS = {
    MemoryKind.ANON: "anonymous memory of the VMM",
    MemoryKind.MEMFD: "a memfd, which the VMM maps",
    MemoryKind.PFNMAP: "memory of a device, without struct page",
    MemoryKind.GMEM: "private guest_memfd; the memslot's user address is anonymous memory",
    MemoryKind.GMEM_COCO: "the same on an SNP VM",
    MemoryKind.GMEM_MMAP: "guest_memfd that the VMM maps",
    MemoryKind.GMEM_NDM: "the same without a direct map",
    MemoryKind.GMEM_UNMAPPED: "guest_memfd that the VMM could map, and does not",
}
MEMORY = Dimension("memory", "the kind of guest memory", tuple(Value(str(kind), MEANINGS[kind]) for kind in MEANINGS))
