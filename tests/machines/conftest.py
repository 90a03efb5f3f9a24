# SPDX-License-Identifier: GPL-2.0-only
"""Machines to test: the model, and this host's KVM if it is usable."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.machine import Machine, SyscallError
from pfncache.machines.model.machine import ModelMachine


@pytest.fixture
def kvm() -> Iterator[KvmMachine]:
    """The host as a machine; the test is skipped without KVM."""
    try:
        machine = KvmMachine()
    except SyscallError as error:
        pytest.skip(str(error))
    with machine:
        yield machine


@pytest.fixture
def model() -> Iterator[ModelMachine]:
    """The model of the newest mainline."""
    with ModelMachine(DESIGNS["mainline-7.3"]) as machine:
        yield machine


@pytest.fixture(params=["model", "kvm"])
def machine(request: pytest.FixtureRequest) -> Machine:
    """Each of the two machines in turn."""
    found: Machine = request.getfixturevalue(request.param)
    return found
