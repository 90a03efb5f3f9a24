# SPDX-License-Identifier: GPL-2.0-only
"""The base of a design: the nearest mainline version below it, with which its violations are compared."""

from __future__ import annotations

import functools

from pfncache.check.compile.source import unwrap
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.lang.part_of import linux_name

MAINLINES = tuple(design for name, design in DESIGNS.items() if name.startswith("mainline-"))
"""The mainline versions, the newest first. They have no base: what they violate is a fault of Linux."""


def mainline_below(design: Design) -> Design | None:
    """Return the nearest mainline version that a design was made from; None for a mainline version itself.

    A design that was made from none, but by hand from patches, has the mainline version with the most patches that it
    begins with.
    """
    if any(design is mainline for mainline in MAINLINES):
        return None
    below = design.base
    while below is not None:
        for mainline in MAINLINES:
            if (below.patches, below.lacks) == (mainline.patches, mainline.lacks):
                return mainline
        below = below.base
    begun = [m for m in MAINLINES if m.lacks <= design.lacks and m.patches == design.patches[: len(m.patches)]]
    return max(begun, key=lambda mainline: len(mainline.patches))


@functools.lru_cache(maxsize=16)
def functions_of(design: Design) -> frozenset[str]:
    """Return the functions of a design's kernel, as traces name them."""
    members = (member for owner in design.kernel().__mro__ for member in vars(owner).values())
    plain = (unwrap(member) for member in members if callable(member))
    return frozenset(linux_name(function.__code__) for function in plain if hasattr(function, "__code__"))
