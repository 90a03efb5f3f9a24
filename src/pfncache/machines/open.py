# SPDX-License-Identifier: GPL-2.0-only
"""Constructors of machines, exported as :func:`pfncache.model` and :func:`pfncache.kvm`."""

from __future__ import annotations

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.designs.patch_check import check_design
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.model.machine import ModelMachine


def model(design: str | Design = "mainline-7.3") -> ModelMachine:
    """Return a machine that runs the model of a design, such as "rfc-v4".

    Raises ValueError for a name that does not exist, and CompileError for a patch that replaces nothing.
    """
    if isinstance(design, str):
        if design not in DESIGNS:
            raise ValueError(f"no design {design!r}; known: {', '.join(DESIGNS)}")
        design = DESIGNS[design]
    check_design(design)
    return ModelMachine(design)


def kvm() -> KvmMachine:
    """Return this host as a machine."""
    return KvmMachine()
