# SPDX-License-Identifier: GPL-2.0-only
"""refused-refresh: at rest, the next user of a cache cannot use it, although its page is there."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Patch
from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.types import Errno
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.pfncache import Pfncache
from pfncache.verify.job import Job
from pfncache.verify.runner import run
from tests.linux.conftest import HVA, Host, MakeHost, reported
from tests.properties.conftest import gmem_slot, watched


class RefuseRefresh(Patch, Pfncache):
    """Never refresh a cache."""

    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """Fail."""
        return -EFAULT


class RefuseUse(Patch, Pfncache):
    """Never let a cache be used."""

    def kvm_gpc_check(self, gpc: GfnToPfnCache, length: int) -> bool:
        """Fail."""
        return False


class KeepLock(Patch, Pfncache):
    """Do not unlock refresh_lock when a cache is refreshed."""

    def kvm_gpc_refresh(self, gpc: GfnToPfnCache, length: int) -> Errno:
        """Lock it once more at the end."""
        ret = super().kvm_gpc_refresh(gpc, length)
        gpc.refresh_lock.lock()
        return ret


def active(host: Host) -> GfnToPfnCache:
    """The clock's cache of a VM with a slot, activated."""
    host.add_slot()
    return activate(host)


def activate(host: Host) -> GfnToPfnCache:
    """The clock's cache, activated."""
    with srcu_read_lock(host.kvm.srcu):
        assert host.kernel.kvm_gpc_activate(host.vcpu.pv_time, 0, 1) == 0
    return host.vcpu.pv_time


def test_a_cache_that_works(host: Host) -> None:
    gpc = active(host)
    host.kernel.trace_quiescent(host.kvm)
    gpc.valid = False
    host.kernel.trace_quiescent(host.kvm)
    assert gpc.valid


@pytest.mark.parametrize("patch", [RefuseRefresh, RefuseUse])
def test_a_design_that_refuses(make_host: MakeHost, patch: type[Patch]) -> None:
    host = watched(make_host, mainline_7_3 + [patch])
    active(host)
    with reported("refused-refresh"):
        host.kernel.trace_quiescent(host.kvm)


def test_another_page(host: Host) -> None:
    gpc = active(host)
    gpc.pfn += 1
    with reported("refused-refresh"):
        host.kernel.trace_quiescent(host.kvm)


def test_what_mainline_refuses_is_exempt(make_host: MakeHost) -> None:
    host = watched(make_host, mainline_7_3 + [RefuseRefresh])
    gpc = active(host)
    host.kernel.vm_munmap(host.mm, HVA)
    host.kernel.trace_quiescent(host.kvm)
    host.kernel.kvm_gpc_deactivate(gpc)
    host.kernel.trace_quiescent(host.kvm)


@pytest.mark.parametrize("exempt", ["private", "closed"])
def test_what_a_design_may_refuse_is_exempt(make_host: MakeHost, exempt: str) -> None:
    host = watched(make_host, mainline_7_3 + [RefuseRefresh])
    file = gmem_slot(host)
    assert activate(host).valid
    if exempt == "private":
        host.kvm.mem_attr_array[0].private = True
    else:
        host.kernel.filp_close(file)
        host.kernel.task_work_run(file)
    host.kernel.trace_quiescent(host.kvm)


@pytest.mark.parametrize(
    ("patch", "name", "reason"),
    [
        (
            RefuseRefresh, "refused-refresh",
            "a refresh of vcpu.pv_time returns -14 when all is done, but the page is there",
        ),
        (KeepLock, "lock-imbalance", "a lock of vcpu.pv_time is held when all is done"),
    ],
)  # fmt: skip
def test_the_search_reports_it(patch: type[Patch], name: str, reason: str) -> None:
    outcome = run(Job(mainline_7_3 + [patch], "mm/two-faults", 100_000))
    assert (outcome.property, outcome.reason) == (name, reason)
    assert outcome.trace is not None
