# SPDX-License-Identifier: GPL-2.0-only
"""The patches of the plan, in the order in which they would be posted."""

from __future__ import annotations

from pfncache.designs.alternatives import RetryInRange
from pfncache.designs.design import Patch
from pfncache.designs.fixes import InvalidateCachesOnRelease, PollOutsideSrcu, UnlockFailedFolio, WaitForExitingVcpu
from pfncache.designs.plan.direct_map import DirectMapInPageCache, GmemFlag, KmapLocal, LookupWithoutDirectMap
from pfncache.designs.plan.evtchn import TakeUserOfMm
from pfncache.designs.plan.pfncache import MapForEachAccess, RefuseOtherPages
from pfncache.designs.plan.vcpu_map import VmapPinnedPages
from pfncache.designs.reverts_pfncache import TestActiveFirst

FIXES: tuple[type[Patch], ...] = (
    InvalidateCachesOnRelease,
    TakeUserOfMm,
    PollOutsideSrcu,
    UnlockFailedFolio,
    WaitForExitingVcpu,
    TestActiveFirst,
    RetryInRange,
    RefuseOtherPages,
)
"""What is wrong in mainline without any of the rest: each can be applied alone."""
ACCESS: tuple[type[Patch], ...] = (
    KmapLocal,
    DirectMapInPageCache,
    GmemFlag,
    MapForEachAccess,
    VmapPinnedPages,
    LookupWithoutDirectMap,
)
"""Memory without a direct map. KVM can map it before GUP hands it out, so that no step accesses what is not mapped."""
PLAN = [*FIXES, *ACCESS]


def mapped_by(patch: type[Patch]) -> list[type[Patch]]:
    """Return the plan with another way to map the page of a pfncache."""
    return [patch if p is MapForEachAccess else p for p in PLAN]
