# SPDX-License-Identifier: GPL-2.0-only
"""What a migration that guest_memfd refuses has to reach in a design that looks pages up there."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import no_direct_map, rfc_v4_fixed, rfc_v4_on_7_3
from pfncache.designs.design import Design
from pfncache.linux.include.trace.events.kvm import CACHE_REFRESHED
from pfncache.verify.job import Job
from pfncache.verify.runner import run

SCENARIO = "migration/gmem-mapped"


@pytest.mark.parametrize("design", [rfc_v4_on_7_3, rfc_v4_fixed], ids=str)
def test_a_cache_need_not_be_refreshed_when_the_user_mapping_goes(design: Design) -> None:
    base = frozenset(one.target for one in run(Job(no_direct_map, SCENARIO, 100_000)).targets if one.reached)
    assert CACHE_REFRESHED in base
    assert run(Job(design, SCENARIO, 100_000, base_reached=base)).verdict == "holds"
