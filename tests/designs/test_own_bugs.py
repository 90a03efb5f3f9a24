# SPDX-License-Identifier: GPL-2.0-only
"""The bugs of each version of the series are found by generated scenarios, which were not written for them."""

from __future__ import annotations

import json
from functools import cache

import pytest

from tests.designs.test_catalogue import TABLE, Row

V2 = {
    "wild-pointer": "clock/anon/munmap",
    "private-access": "clock/gmem/punch",
    "stale-translation": "clock/gmem-unmapped/punch",
    "use-after-free": "clock/gmem-unmapped/close",
    "alias-outlives": "clock/gmem-ndm/punch",
}


@cache
def broken(design: str) -> dict[str, set[str]]:
    """By property, the generated scenarios that violate it, by the table that test_catalogue.py holds to searches."""
    found: dict[str, set[str]] = {}
    table: dict[str, dict[str, Row]] = json.loads(TABLE.read_text())
    for name, (_, properties, *_) in table[design].items():
        assert isinstance(properties, list)
        for kind in properties if name.startswith("clock/") else ():
            found.setdefault(kind, set()).add(name)
    return found


@pytest.mark.parametrize(
    ("design", "base", "own"),
    [
        # The range that ends where it starts misses a punch, and the release of the file.
        ("rfc-v2", "no-direct-map-on-7.2", V2),
        ("rfc-v3", "no-direct-map-on-7.2", V2),
        # What is left in v4: the raw page->mapping, private memory, the slot with another file, the alias.
        (
            "rfc-v4",
            "no-direct-map-on-7.2",
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
            "no-direct-map",
            {
                "wild-pointer": "clock/anon/munmap",
                "private-access": "clock/gmem/punch",
                "stale-translation": "clock/gmem-unmapped/slot-replace",
                "alias-outlives": "clock/gmem-ndm/punch",
                "use-after-free": "clock/gmem-unmapped/punch",
            },
        ),
        ("rfc-v4-fixed", "no-direct-map", {"alias-outlives": "clock/gmem-ndm/punch"}),
        ("uaccess-clock", "no-direct-map", {}),
        ("range-filter", "mainline-7.3", {}),
    ],
)
def test_generated_scenarios_find_them(design: str, base: str, own: dict[str, str]) -> None:
    """The properties that the design breaks and its base does not, each with one of the scenarios."""
    before, after = broken(base), broken(design)
    new = {kind: names - before.get(kind, set()) for kind, names in after.items()}
    assert {kind for kind, names in new.items() if names} == set(own)
    assert {kind: scenario for kind, scenario in own.items() if scenario in new[kind]} == own
