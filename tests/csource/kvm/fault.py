# SPDX-License-Identifier: GPL-2.0-only
"""A faulty patch of the kernel's C: an edit by function and place, with what a search finds."""

from __future__ import annotations

from dataclasses import dataclass

from tests.csource.edits import Edit

PFNCACHE = "virt/kvm/pfncache.c"
VACUOUS = "vacuous"
"""In the place of a property: the verdict of a scenario in which the fault leaves nothing to go wrong."""


@dataclass(frozen=True)
class Fault:
    """An edit of a function, and the scenario and the property that show it."""

    function: str
    edit: Edit
    scenario: str
    property: str
    file: str = PFNCACHE
