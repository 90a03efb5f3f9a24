# SPDX-License-Identifier: GPL-2.0-only
"""A gmem-backed page is looked up again after the memslots have changed, and not at every refresh."""

from __future__ import annotations

import pytest

from pfncache.designs import rfc
from pfncache.designs.catalogue import rfc_v4_fixed
from pfncache.designs.design import Design
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache, KvmMemslots
from pfncache.linux.include.linux.kvm_types import Gpa
from pfncache.linux.include.linux.types import Errno
from pfncache.scenarios.space.names import point_named, scenario_of
from pfncache.verify.job import Job
from pfncache.verify.runner import run

TWO_SENDERS = "space/gmem-unmapped/shared-info+allocate/start=never-used,context=two-tasks"
OTHER_FILE = "space/gmem-unmapped/clock+slot-replace/updates=2"


class Never(rfc.ResolvePfnsViaGmem):
    """Keep the pfn if the user address is the same, as the series does."""

    def resolve_gpa(self, gpc: GfnToPfnCache, slots: KvmMemslots, gpa: Gpa) -> Errno:
        valid = gpc.valid
        ret = super().resolve_gpa(gpc, slots, gpa)
        gpc.valid = valid
        return ret


class Always(rfc.ResolvePfnsViaGmem):
    """Look the page up at every refresh: two users that refresh at a time invalidate each other's lookup."""

    def may_keep_pfn(self, gpc: GfnToPfnCache, hva_change: bool) -> bool:
        return False


@pytest.mark.parametrize(
    ("design", "scenario", "properties"),
    [
        (rfc_v4_fixed, TWO_SENDERS, ()),
        (rfc_v4_fixed, OTHER_FILE, ()),
        ((rfc_v4_fixed + [Never]).named("never", ""), OTHER_FILE, ("stale-translation",)),
        ((rfc_v4_fixed + [Always]).named("always", ""), TWO_SENDERS, ("livelock",)),
    ],
)
def test_when_a_page_is_looked_up_again(design: Design, scenario: str, properties: tuple[str, ...]) -> None:
    outcome = run(Job(design, scenario_of(point_named(scenario)), 2_000_000))
    assert outcome.properties == properties
    assert outcome.verdict == ("violated" if properties else "holds")
