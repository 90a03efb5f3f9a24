# SPDX-License-Identifier: GPL-2.0-only
"""The base of a design: the nearest kernel of the catalogue below it, with which its violations are compared."""

from __future__ import annotations

import functools

from pfncache.check.compile.source import unwrap
from pfncache.designs.catalogue import DESIGNS, no_direct_map, no_direct_map_on_7_2
from pfncache.designs.design import Design
from pfncache.lang.part_of import linux_name

MAINLINES = tuple(design for name, design in DESIGNS.items() if name.startswith("mainline-"))
"""The mainline versions, the newest first. They have no base: what they violate is a fault of Linux."""


BASES = (*MAINLINES, no_direct_map, no_direct_map_on_7_2)
"""What series are posted on top of."""


def base_below(design: Design) -> Design | None:
    """Return the base with the most patches that a design begins with; None for a mainline version itself."""
    if any(design is mainline for mainline in MAINLINES):
        return None
    begun = [
        base for base in BASES
        if base is not design and base.lacks <= design.lacks and base.patches == design.patches[: len(base.patches)]
    ]  # fmt: skip
    return max(begun, key=lambda base: len(base.patches))


@functools.lru_cache(maxsize=16)
def functions_of(design: Design) -> frozenset[str]:
    """Return the functions of a design's kernel, as traces name them."""
    members = (member for owner in design.kernel().__mro__ for member in vars(owner).values())
    plain = (unwrap(member) for member in members if callable(member))
    return frozenset(linux_name(function.__code__) for function in plain if hasattr(function, "__code__"))
