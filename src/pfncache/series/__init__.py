# SPDX-License-Identifier: GPL-2.0-only
"""Designs, by name: mainline versions, the series as posted, alternatives, and reverts of historical fixes."""

from __future__ import annotations

from pfncache.series import alternatives, history_gmem, history_pfncache, rfc
from pfncache.series.design import Design, Patch

OLD_MEMORY = frozenset({"gmem-mmap", "gmem-ndm", "gmem-unmapped"})
"""Kinds of memory that a kernel before 6.18 does not have."""

mainline_7_3 = Design("mainline-7.3", "mainline 7.3.4")
mainline_7_2 = (
    mainline_7_3
    + [
        history_pfncache.RevertDedicatedSequence,
        history_pfncache.RevertSrcuInHasInterrupt,
        history_gmem.RevertBindWhenReady,
        history_gmem.RevertUnbindUnderLock,
    ]
).named("mainline-7.2", "mainline 7.2.13")
mainline_6_18 = (mainline_7_2 + [history_gmem.RevertImmutableGmemSlots]).named("mainline-6.18", "mainline 6.18")
mainline_6_12 = (mainline_6_18 + []).named("mainline-6.12", "mainline 6.12.107").without(OLD_MEMORY)

rfc_v2 = (mainline_7_2 + rfc.V2).named("rfc-v2", "RFC v2 (2026-02-26) on the mainline of its time")
rfc_v3 = (mainline_7_2 + rfc.V3).named("rfc-v3", "RFC v3 (2026-03-10) on the mainline of its time")
rfc_v4 = (mainline_7_2 + rfc.V4).named("rfc-v4", "RFC v4 (2026-04-20) on the mainline of its time")
rfc_v4_on_7_3 = (mainline_7_3 + rfc.V4).named("rfc-v4-on-7.3", "RFC v4 carried unchanged onto mainline 7.3.4")

rfc_v4_fixed = (
    rfc_v4_on_7_3
    + [
        alternatives.BumpSequence,
        alternatives.CompareIdentity,
        alternatives.AskFolioMapping,
        alternatives.RefusePrivate,
        history_pfncache.TestActiveFirst,
    ]
).named("rfc-v4-fixed", "RFC v4 on 7.3.4 with its holes closed: sequence, identity, mapping, private memory")
uaccess_clock = (
    mainline_7_3 + [alternatives.ClockThroughUserspace, history_pfncache.TestActiveFirst]
).named("uaccess-clock", "kvm-clock through its user address; pfncache for Xen only")

_REVERTS: dict[str, type[Patch]] = {
    "no-dedicated-sequence": history_pfncache.RevertDedicatedSequence,
    "no-active-count": history_pfncache.RevertActiveInvalidateCount,
    "valid-before-lookup": history_pfncache.RevertValidAfterLookup,
    "no-refresh-lock": history_pfncache.RevertRefreshLock,
    "active-before-list": history_pfncache.RevertListBeforeActive,
    "refresh-inactive": history_pfncache.RevertRefuseInactive,
    "list-outside-refresh-lock": history_pfncache.RevertListUnderRefreshLock,
    "khva-stays": history_pfncache.RevertKhvaMove,
    "reference-leak": history_pfncache.RevertPutReusedPage,
    "dirty-at-unmap": history_pfncache.RevertCallersMarkDirty,
    "no-srcu-in-has-interrupt": history_pfncache.RevertSrcuInHasInterrupt,
    "check-without-srcu": history_pfncache.CheckWithoutSrcu,
    "count-before-sequence": history_pfncache.CountBeforeSequence,
    "sequence-before-count": history_pfncache.SequenceBeforeCount,
    "invalidate-at-end": history_pfncache.InvalidateAtEnd,
    "unbind-without-lock": history_gmem.RevertUnbindUnderLock,
    "unbind-skips-dying": history_gmem.RevertUnbindDying,
    "bind-before-ready": history_gmem.RevertBindWhenReady,
    "toggle-gmem": history_gmem.RevertImmutableGmemSlots,
    "zap-private-only": history_gmem.RevertInvalidateShared,
}

DESIGNS: dict[str, Design] = {
    d.name: d
    for d in (
        mainline_7_3, mainline_7_2, mainline_6_18, mainline_6_12,
        rfc_v2, rfc_v3, rfc_v4, rfc_v4_on_7_3, rfc_v4_fixed, uaccess_clock,
        *((mainline_7_3 + [patch]).named(name, patch.subject()) for name, patch in _REVERTS.items()),
    )
}  # fmt: skip
"""Every design, by name."""

DEFAULT_DESIGNS = ("mainline-7.3", "rfc-v2", "rfc-v3", "rfc-v4", "rfc-v4-on-7.3", "rfc-v4-fixed", "uaccess-clock")
"""What `pfncache verify` checks when it is not told: the newest mainline, and every series."""

__all__ = [
    "DEFAULT_DESIGNS", "DESIGNS", "Design", "Patch", "mainline_6_12", "mainline_6_18", "mainline_7_2", "mainline_7_3",
    "rfc_v2", "rfc_v3", "rfc_v4", "rfc_v4_fixed", "rfc_v4_on_7_3", "uaccess_clock",
]  # fmt: skip
