# SPDX-License-Identifier: GPL-2.0-only
"""Hand-chosen scenarios, for hazards that a clock beside one operation does not show.

Each public function of a room is one; what its docstring says is the hazard.
"""

from __future__ import annotations

import inspect
from types import ModuleType

from pfncache.scenarios import gmem, gpc, livelock, mm, private, slots, vcpu, vm, xen
from pfncache.scenarios.scenario import Scenario

ROOMS = (xen, gpc, slots, gmem, private, mm, vcpu, vm, livelock)


def catalogue() -> list[Scenario]:
    """Every hand-chosen scenario, named by its room and its function."""
    return [scenario for room in ROOMS for scenario in _of(room)]


def _of(room: ModuleType) -> list[Scenario]:
    prefix = room.__name__.rpartition(".")[2]
    return [
        Scenario(f"{prefix}/{name.replace('_', '-')}", _first_line(build), build, getattr(room, "MEMORY", ""))
        for name, build in vars(room).items()
        if inspect.isfunction(build) and build.__module__ == room.__name__ and not name.startswith("_")
    ]


def _first_line(build: object) -> str:
    return (inspect.getdoc(build) or "").splitlines()[0]
