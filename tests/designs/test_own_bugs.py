# SPDX-License-Identifier: GPL-2.0-only
"""The bugs of each version of the series are found by generated scenarios, which were not written for them."""

from __future__ import annotations

from functools import cache

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.scenarios import DEFAULT_SCENARIOS
from pfncache.verify.runner import Job, run

SINGLES = [name for name in DEFAULT_SCENARIOS if name.startswith("clock/")]
V2 = {
    "wild-pointer": "clock/anon/munmap",
    "private-access": "clock/gmem/punch",
    "stale-translation": "clock/gmem-unmapped/punch",
    "use-after-free": "clock/gmem-unmapped/close",
}


@cache
def broken(design: str) -> dict[str, list[str]]:
    """By property, the generated scenarios that violate it."""
    found: dict[str, list[str]] = {}
    for name in SINGLES:
        outcome = run(Job(DESIGNS[design], name, 2_000_000))
        assert outcome.limit == "", name
        for kind in outcome.properties:
            found.setdefault(kind, []).append(name)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("design", "base", "own"),
    [
        # The range that ends where it starts misses a punch, and the release of the file.
        ("rfc-v2", "mainline-7.2", V2),
        ("rfc-v3", "mainline-7.2", V2),
        # What is left in v4: the raw page->mapping, private memory, the slot with another file, the alias.
        (
            "rfc-v4",
            "mainline-7.2",
            {
                "wild-pointer": "clock/anon/munmap",
                "private-access": "clock/gmem/punch",
                "stale-translation": "clock/gmem-unmapped/slot-replace",
                "alias-outlives": "clock/gmem-ndm/punch",
            },
        ),
        # Carried onto a kernel with a sequence of pfncache's own, which it does not move.
        (
            "rfc-v4-on-7.3",
            "mainline-7.3",
            {
                "wild-pointer": "clock/anon/munmap",
                "private-access": "clock/gmem/punch",
                "stale-translation": "clock/gmem-unmapped/slot-replace",
                "alias-outlives": "clock/gmem-ndm/punch",
                "use-after-free": "clock/gmem-unmapped/punch",
            },
        ),
        ("rfc-v4-fixed", "mainline-7.3", {"alias-outlives": "clock/gmem-ndm/punch"}),
        ("uaccess-clock", "mainline-7.3", {}),
        ("range-filter", "mainline-7.3", {}),
    ],
)
def test_generated_scenarios_find_them(design: str, base: str, own: dict[str, str]) -> None:
    """The properties that the design breaks and its base does not, each with one of the scenarios."""
    before = broken(base)
    after = broken(design)
    assert {p for p, names in after.items() if set(names) - set(before.get(p, []))} == set(own)
    for kind, scenario in own.items():
        assert scenario in after[kind]
