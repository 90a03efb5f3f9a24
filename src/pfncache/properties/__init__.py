# SPDX-License-Identifier: GPL-2.0-only
"""Safety and liveness properties, by name."""

from __future__ import annotations

from pfncache.properties.alias_outlives import ALIAS_OUTLIVES
from pfncache.properties.balance import BAD_RSS, COUNTER_IMBALANCE, MAP_IMBALANCE, REFCOUNT_IMBALANCE
from pfncache.properties.builtin import BUILTIN
from pfncache.properties.leak import LEAK
from pfncache.properties.lost_dirty import LOST_DIRTY
from pfncache.properties.lost_event import LOST_EVENT
from pfncache.properties.lost_update import LOST_UPDATE
from pfncache.properties.overlapping_slots import OVERLAPPING_SLOTS
from pfncache.properties.private_access import PRIVATE_ACCESS
from pfncache.properties.property import Property
from pfncache.properties.readonly_write import READONLY_WRITE
from pfncache.properties.refused_refresh import REFUSED_REFRESH
from pfncache.properties.stale_spte import STALE_SPTE
from pfncache.properties.stale_tlb import STALE_TLB
from pfncache.properties.stale_translation import STALE_TRANSLATION
from pfncache.properties.stale_vmsa import STALE_VMSA
from pfncache.properties.targets import TargetProbe
from pfncache.properties.torn_update import TORN_UPDATE
from pfncache.properties.unlisted_cache import UNLISTED_CACHE
from pfncache.properties.wrong_result import WRONG_RESULT

PROPERTIES: dict[str, Property] = {
    p.name: p
    for p in (
        STALE_TRANSLATION,
        UNLISTED_CACHE,
        LOST_UPDATE,
        TORN_UPDATE,
        LOST_DIRTY,
        READONLY_WRITE,
        LOST_EVENT,
        PRIVATE_ACCESS,
        ALIAS_OUTLIVES,
        STALE_SPTE,
        STALE_VMSA,
        STALE_TLB,
        COUNTER_IMBALANCE,
        REFCOUNT_IMBALANCE,
        MAP_IMBALANCE,
        BAD_RSS,
        LEAK,
        OVERLAPPING_SLOTS,
        REFUSED_REFRESH,
        WRONG_RESULT,
        *BUILTIN,
    )
}
"""Every property, by name."""

PROBES: tuple[type, ...] = (*(p.probe for p in PROPERTIES.values() if p.probe is not None), TargetProbe)
"""Classes that check the properties, and the one that observes targets; they go on top of a kernel."""
