# SPDX-License-Identifier: GPL-2.0-only
"""Designs, by name: mainline versions, the series as posted, alternatives, and reverts of historical fixes."""

from __future__ import annotations

from pfncache.designs import (
    alternatives,
    configurations,
    fixes,
    large_folios,
    migration,
    reverts_gmem,
    reverts_main,
    reverts_pfncache,
    reverts_sev,
    reverts_x86,
    rfc,
)
from pfncache.designs.design import Design, Patch
from pfncache.designs.plan import mappings
from pfncache.designs.plan.series import FIXES, PLAN, mapped_by
from pfncache.designs.plan.window import WINDOW

OLD_MEMORY = frozenset({"gmem-mmap", "gmem-ndm", "gmem-unmapped"})
"""Kinds of memory that kernels before 6.18 do not support."""

mainline_7_3 = Design("mainline-7.3", "mainline 7.3.4")
mainline_7_2 = (
    mainline_7_3
    + [
        reverts_pfncache.RevertDedicatedSequence,
        reverts_pfncache.RevertSrcuInHasInterrupt,
        reverts_gmem.RevertSrcuInZapRange,
        reverts_pfncache.RevertVcpuInfoAlignment,
        reverts_gmem.RevertBindWhenReady,
        reverts_gmem.RevertUnbindUnderLock,
    ]
).named("mainline-7.2", "mainline 7.2.12")
mainline_6_18 = (
    mainline_7_2 + [reverts_gmem.RevertOverlapErrno, reverts_x86.RevertUpdateWork, reverts_x86.RevertVmcbMemoryFailure]
).named("mainline-6.18", "mainline 6.18.15")
mainline_6_12 = (
    (
        mainline_6_18
        + [
            reverts_gmem.RevertGmemForAll,
            reverts_pfncache.RequireVcpuInfoAlignment,
            reverts_x86.RevertPvclockFlags,
            reverts_x86.RevertTimerByGuestClock,
            reverts_pfncache.HoldSrcuInHasInterrupt,
            reverts_gmem.HoldSrcuInZapRange,
            reverts_sev.RevertVmsaTracking,
            reverts_main.RevertPinnedMap,
            reverts_main.TryGetPfn,
        ]
    )
    .named("mainline-6.12", "mainline 6.12.117")
    .without(OLD_MEMORY)
)

no_direct_map = (mainline_7_3 + rfc.BASE).named("no-direct-map", "mainline 7.3.4 with NO_DIRECT_MAP v12")
no_direct_map_on_7_2 = (mainline_7_2 + rfc.BASE).named("no-direct-map-on-7.2", "mainline 7.2.12 with NO_DIRECT_MAP v12")

rfc_v2 = (no_direct_map_on_7_2 + rfc.V2).named("rfc-v2", "RFC v2 (2026-02-26) on the mainline of its time")
rfc_v3 = (no_direct_map_on_7_2 + rfc.V3).named("rfc-v3", "RFC v3 (2026-03-10) on the mainline of its time")
rfc_v4 = (no_direct_map_on_7_2 + rfc.V4).named("rfc-v4", "RFC v4 (2026-04-20) on the mainline of its time")
rfc_v4_on_7_3 = (no_direct_map + rfc.V4).named("rfc-v4-on-7.3", "RFC v4 carried unchanged onto mainline 7.3.4")

rfc_v4_fixed = (
    rfc_v4_on_7_3
    + [
        alternatives.BumpSequence,
        alternatives.MemslotsUnderLock,
        alternatives.CompareIdentity,
        alternatives.UseFolioMapping,
        alternatives.MappingUnderRcu,
        alternatives.RefusePrivate,
        reverts_pfncache.TestActiveFirst,
    ]
).named("rfc-v4-fixed", "RFC v4 on 7.3.4 with its holes closed: sequence, identity, mapping, private memory")
rfc_v4_bool = (
    (rfc_v4 + [alternatives.BoolInsteadOfCount])
    .named("rfc-v4-bool", "RFC v4 with a flag instead of a count, as proposed in September 2024")
    .broken_by("gmem/overlapping-invalidations")
)
uaccess_clock = (no_direct_map + [alternatives.ClockThroughUserspace, reverts_pfncache.TestActiveFirst]).named(
    "uaccess-clock", "kvm-clock through its user address; pfncache for Xen only"
)
plan = (mainline_7_3 + PLAN).named("plan", "KVM maps memory without a direct map itself, for as long as it accesses it")
window = (mainline_7_3 + [*FIXES, *WINDOW]).named(
    "window", "pages that user space declares shared with KVM stay in the direct map"
)
_MAPPINGS: dict[str, type[Patch]] = {
    "plan-vmap": mappings.VmapWhileCached,
    "plan-mm-local": mappings.MapInMm,
    "plan-mermap": mappings.Mermap,
    "plan-restored": mappings.RestoreWhileCached,
}
"""The plan with other ways to map the page of a cache."""
range_filter = (mainline_7_3 + [alternatives.RetryInRange]).named(
    "range-filter", "mainline 7.3.4 with a retry test for the range of an invalidation"
)

preempt_rt = (
    (mainline_7_3 + [configurations.PreemptRt])
    .named("preempt-rt", "mainline 7.3.4 with PREEMPT_RT")
    .broken_by("xen/irq-user")
)

gmem_migration = (mainline_7_3 + [migration.MigrateGmem]).named(
    "gmem-migration", "mainline 7.3.4 with migration of guest_memfd's folios"
)
rfc_v4_fixed_migration = (rfc_v4_fixed + [migration.MigrateGmem]).named(
    "rfc-v4-fixed-migration", "rfc-v4-fixed with migration of guest_memfd's folios"
)
gmem_large = (mainline_7_3 + [large_folios.LargeGmemFolios]).named(
    "gmem-large-folios", "mainline 7.3.4 with large folios in guest_memfd"
)
gmem_large_truncate = (
    (mainline_7_3 + [large_folios.TruncatePartialFolio])
    .named("gmem-large-folios-truncate", large_folios.TruncatePartialFolio.subject())
    .broken_by("gmem/large-punch")
)
gmem_large_late = (
    (mainline_7_3 + [large_folios.SplitInInvalidation])
    .named("gmem-large-folios-late-split", large_folios.SplitInInvalidation.subject())
    .broken_by("gmem/large-punch")
)
gmem_large_rounded = (mainline_7_3 + [large_folios.InvalidateFolios]).named(
    "gmem-large-folios-rounded", large_folios.InvalidateFolios.subject()
)
rfc_v4_fixed_large = (rfc_v4_fixed + [large_folios.LargeGmemFolios]).named(
    "rfc-v4-fixed-large-folios", "rfc-v4-fixed with large folios in guest_memfd"
)
rfc_v4_fixed_large_truncate = (
    (rfc_v4_fixed + [large_folios.TruncatePartialFolio])
    .named("rfc-v4-fixed-large-folios-truncate", "rfc-v4-fixed with large folios that truncation splits or removes")
    .broken_by("gmem/large-clock")
)
gmem_migration_waits = (
    (gmem_migration + [migration.WaitForInvalidateLock])
    .named("gmem-migration-waits", migration.WaitForInvalidateLock.subject())
    .broken_by("migration/gmem-punch")
)
gmem_migration_after = (gmem_migration + [migration.MigrateAfterInvalidation]).named(
    "gmem-migration-after-invalidation", migration.MigrateAfterInvalidation.subject()
)
gmem_migration_silent = (
    (gmem_migration + [migration.MigrateWithoutInvalidation])
    .named("gmem-migration-silent", migration.MigrateWithoutInvalidation.subject())
    .broken_by("migration/gmem-guest")
)
rfc_v4_fixed_migration_silent = (
    (rfc_v4_fixed_migration + [migration.MigrateWithoutInvalidation])
    .named("rfc-v4-fixed-migration-silent", "rfc-v4-fixed with migration that invalidates nothing")
    .broken_by("migration/gmem-unmapped")
)

_FIXES: dict[str, type[Patch]] = {
    "caches-invalidated-on-release": fixes.InvalidateCachesOnRelease,
    "xen-timer-stopped": fixes.StopXenTimers,
    "poll-outside-srcu": fixes.PollOutsideSrcu,
    "failed-folio-unlocked": fixes.UnlockFailedFolio,
    "kick-waits-for-exit": fixes.WaitForExitingVcpu,
}
"""Proposed fixes of faults of mainline 7.3.4, one each: docs/findings."""

_REVERTS: dict[str, tuple[type[Patch], str]] = {
    "no-dedicated-sequence": (reverts_pfncache.RevertDedicatedSequence, "xen/hva-cache-munmap"),
    "no-active-count": (reverts_pfncache.RevertActiveInvalidateCount, "clock/anon/dontneed"),
    "valid-before-lookup": (reverts_pfncache.RevertValidAfterLookup, "xen/irq-user"),
    "no-refresh-lock": (reverts_pfncache.RevertRefreshLock, "gpc/refresh-twice"),
    "active-before-list": (reverts_pfncache.RevertListBeforeActive, "gpc/activate-munmap"),
    "refresh-inactive": (reverts_pfncache.RevertRefuseInactive, "gpc/refresh-deactivate"),
    "list-outside-refresh-lock": (reverts_pfncache.RevertListUnderRefreshLock, "gpc/activate-twice"),
    "length-after-active": (reverts_pfncache.RevertLengthFirst, "xen/vcpu-info-crosses-page"),
    "khva-stays": (reverts_pfncache.RevertKhvaMove, "gpc/move-in-page"),
    "reference-leak": (reverts_pfncache.RevertPutReusedPage, "clock/anon/dontneed"),
    "runstate-waits": (reverts_pfncache.RevertTrylock, "xen/runstate-and-events"),
    "event-takes-xen-lock": (reverts_pfncache.RevertEvtchnWithoutLock, "xen/timer-read"),
    "init-on-activate": (reverts_pfncache.RevertInitOnce, "gpc/activate-deactivate"),
    "dirty-at-unmap": (reverts_pfncache.RevertCallersMarkDirty, "slots/dirty-logging"),
    "no-srcu-in-has-interrupt": (reverts_pfncache.RevertSrcuInHasInterrupt, "xen/has-interrupt"),
    "check-without-srcu": (reverts_pfncache.CheckWithoutSrcu, "clock/anon/slot-delete"),
    "count-before-sequence": (reverts_pfncache.CountBeforeSequence, "clock/anon/munmap"),
    "sequence-before-count": (reverts_pfncache.SequenceBeforeCount, "clock/anon/munmap"),
    "invalidate-at-end": (reverts_pfncache.InvalidateAtEnd, "clock/anon/munmap"),
    "unbind-without-lock": (reverts_gmem.RevertUnbindUnderLock, "gmem/dying-file"),
    "unbind-skips-dying": (reverts_gmem.RevertUnbindDying, "gmem/dying-file"),
    "bind-before-ready": (reverts_gmem.RevertBindWhenReady, "gmem/bind-and-punch"),
    "toggle-gmem": (reverts_gmem.RevertImmutableGmemSlots, "gmem/toggle-flag"),
    "no-srcu-in-zap-range": (reverts_gmem.RevertSrcuInZapRange, "clock/anon/zap-range"),
    "vmsa-untracked": (reverts_sev.RevertVmsaTracking, "vmsa/punch"),
    "map-without-pin": (reverts_main.RevertPinnedMap, "fork/nested"),
    "zap-private-only": (reverts_gmem.RevertInvalidateShared, "gmem/guest-faults"),
}
"""Reverted fixes, each with the scenario that shows the bug; that of zap-private-only would, if x86 had it."""

DESIGNS: dict[str, Design] = {
    d.name: d
    for d in (
        mainline_7_3, mainline_7_2, mainline_6_18, mainline_6_12, no_direct_map, no_direct_map_on_7_2,
        rfc_v2, rfc_v3, rfc_v4, rfc_v4_on_7_3, rfc_v4_fixed, rfc_v4_bool, uaccess_clock, plan,
        range_filter, preempt_rt, window,
        gmem_migration, rfc_v4_fixed_migration, gmem_migration_waits,
        gmem_migration_after, gmem_migration_silent, rfc_v4_fixed_migration_silent,
        gmem_large, gmem_large_late, gmem_large_rounded, gmem_large_truncate,
        rfc_v4_fixed_large, rfc_v4_fixed_large_truncate,
        *((mainline_7_3 + mapped_by(p)).named(n, p.subject()) for n, p in _MAPPINGS.items()),
        *((mainline_7_3 + [p]).named(n, p.subject()) for n, p in _FIXES.items()),
        *((mainline_7_3 + [p]).named(n, p.subject()).broken_by(scenario) for n, (p, scenario) in _REVERTS.items()),
    )
}  # fmt: skip
"""Every design, by name."""

DEFAULT_DESIGNS = (
    "mainline-7.3",
    "plan",
    "rfc-v2",
    "rfc-v3",
    "rfc-v4",
    "rfc-v4-on-7.3",
    "rfc-v4-fixed",
    "uaccess-clock",
)
"""What `pfncache verify` checks by default: the newest mainline, the plan, and every series."""

COMPARED = (
    "no-direct-map", "uaccess-clock", "rfc-v4-fixed", "window", "plan-vmap", "plan-mm-local", "plan-restored",
    "plan-mermap", "plan",
)  # fmt: skip
"""What `pfncache compare` shows: user mappings alone, the clock by uaccess, the series repaired, and the plan."""

__all__ = [
    "COMPARED", "DEFAULT_DESIGNS", "DESIGNS", "Design", "Patch",
    "mainline_6_12", "mainline_6_18", "mainline_7_2", "mainline_7_3",
    "rfc_v2", "rfc_v3", "rfc_v4", "rfc_v4_fixed", "rfc_v4_on_7_3", "uaccess_clock",
]  # fmt: skip
