# SPDX-License-Identifier: GPL-2.0-only
"""unlisted-cache: a cache in use that no invalidation can find."""

from __future__ import annotations

from tests.linux.conftest import Host, reported
from tests.properties.conftest import clock_on


def test_use_of_a_cache_off_the_list(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.kvm.gpc_list.list_del(host.gpc.list)
    with reported("unlisted-cache"):
        host.kernel.run_clock_update(host.vcpu)


def test_a_cache_off_the_list_that_nobody_uses(host: Host) -> None:
    host.add_slot()
    clock_on(host)
    host.kernel.kvmclock_reset(host.vcpu)
    host.kernel.run_clock_update(host.vcpu)
    assert (host.gpc.list.listed, host.gpc.active) == (False, False)
