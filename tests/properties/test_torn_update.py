# SPDX-License-Identifier: GPL-2.0-only
"""torn-update."""

from __future__ import annotations

from tests.linux.conftest import Host, reported
from tests.properties.conftest import clock_on


def test_one_after_the_other(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.kernel.begin_pvclock_update(host.gpc)
    host.kernel.end_pvclock_update(host.vcpu, host.gpc)
    host.kernel.begin_pvclock_update(host.gpc)
    assert host.gpc.updating


def test_two_at_a_time(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.kernel.begin_pvclock_update(host.gpc)
    with reported("torn-update"):
        host.kernel.begin_pvclock_update(host.gpc)


def test_an_update_that_never_ends(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.kernel.begin_pvclock_update(host.gpc)
    with reported("torn-update"):
        host.kernel.trace_quiescent(host.kvm)
    host.kernel.end_pvclock_update(host.vcpu, host.gpc)
    host.kernel.trace_quiescent(host.kvm)
