# SPDX-License-Identifier: GPL-2.0-only
"""Hand-chosen scenarios, for hazards that a clock beside one operation does not show."""

from __future__ import annotations

from types import ModuleType

from pfncache.scenarios import (
    apf,
    collapse,
    device,
    fork,
    gmem,
    gpc,
    huge,
    ioctl,
    ksm,
    livelock,
    migration,
    mm,
    neighbour,
    nested,
    nomem,
    preempted,
    private,
    refused,
    shadow,
    slots,
    tlb,
    uffd,
    vcpu,
    vm,
    vmsa,
    window,
    xen,
)
from pfncache.scenarios.scenario import Scenario

ROOMS = (
    xen, gpc, device, slots, gmem, private, mm, vcpu, vm, vmsa, migration, collapse, huge, fork, uffd, ksm, tlb, nested,
    window, livelock, neighbour, refused, preempted, nomem, ioctl, apf, shadow,
)  # fmt: skip


def catalogue() -> list[Scenario]:
    """Return every hand-chosen scenario, in the order in which the files define them."""
    return [scenario for room in ROOMS for scenario in scenarios_in(room)]


def scenarios_in(module: ModuleType) -> list[Scenario]:
    """Return the scenarios that are public names of a module."""
    return [value for name, value in vars(module).items() if isinstance(value, Scenario) and not name.startswith("_")]
