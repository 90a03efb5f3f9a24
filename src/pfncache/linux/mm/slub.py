# SPDX-License-Identifier: GPL-2.0-only
"""mm/slub.c: allocation of objects, with KASAN's quarantine."""

from __future__ import annotations

from typing import Any, TypeVar

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.lang.records import FREED, FRESH, LIVE, zero
from pfncache.lang.report import report
from pfncache.linux.mm.failslab import should_failslab

T = TypeVar("T")


def kzalloc(pool: tuple[T, ...]) -> T | None:
    """Allocate a zeroed object from `pool`; None when all are in use.

    Fresh objects go first, as with KASAN's quarantine, so that an access to a freed one is detected.

    Linux: include/linux/slab.h kzalloc(), v7.3.4.
    Simplified: the pool is as large as the scenario needs.
    """
    if should_failslab():
        return None
    for wanted in (FRESH, FREED):
        for candidate in pool:
            if _claim(candidate, wanted):
                return candidate
    return None


@part_of("slab_alloc_node")
@atomic
def _claim(candidate: Any, wanted: int) -> bool:
    """Allocate one object if it is in state `wanted`.

    Linux: mm/slub.c slab_alloc_node(), v7.3.4.
    """
    if candidate.slab_state != wanted:
        return False
    candidate.slab_state = LIVE
    zero(candidate)
    return True


@atomic
def kfree(record: Any) -> None:
    """Free a slab object; report one that is not allocated.

    Linux: mm/slub.c kfree(), v7.3.4.
    """
    if record.slab_state != LIVE:
        report("use-after-free", f"{record} is freed, but is not allocated")
    record.slab_state = FREED


@part_of_caller
def is_live(record: Any) -> bool:
    """Return whether a slab object is allocated.

    Linux: nothing; for the reports of the model.
    """
    return bool(record.slab_state == LIVE)
