# SPDX-License-Identifier: GPL-2.0-only
"""Machines by name, for the Python prompt."""

from __future__ import annotations

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.model.machine import ModelMachine


def model(design: str | Design = "mainline-7.3") -> ModelMachine:
    """A host that runs the kernel of a design, such as "rfc-v4"."""
    if isinstance(design, str):
        if design not in DESIGNS:
            raise ValueError(f"no design {design!r}; there are {', '.join(DESIGNS)}")
        design = DESIGNS[design]
    return ModelMachine(design)


def kvm() -> KvmMachine:
    """The host that we run on."""
    return KvmMachine()
