# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/types.h: the scalar types, each with the range that the checker stores."""

from __future__ import annotations

from typing import Annotated

from pfncache.lang.records import Bound

Address = Annotated[int, Bound(0, 63)]
"""Any virtual address of the host, user or kernel."""
Hva = Annotated[int, Bound(0, 63)]
"""User virtual address; KVM's hva_t."""
Kva = Annotated[int, Bound(0, 63)]
"""Kernel virtual address; NULL is 0."""
Pfn = Annotated[int, Bound(-8, 7)]
"""Page frame number of the host; negative values are KVM's error pfns."""
Pgoff = Annotated[int, Bound(0, 7)]
"""Index of a page in a file."""
Errno = Annotated[int, Bound(-255, 0)]
"""0 or a negative errno."""
Sequence = Annotated[int, Bound(0, 15, wraps=3)]
"""A sequence counter, which is only compared for equality. It does not wrap where all actors end; where an actor loops
forever it is counted modulo 3."""
Incarnation = Annotated[int, Bound(0, 7)]
"""How often the allocator has handed a page out: distinguishes two owners of one pfn."""
