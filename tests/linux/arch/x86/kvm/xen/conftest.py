# SPDX-License-Identifier: GPL-2.0-only
"""A VM for a Xen guest, and the operations on its pages."""

from __future__ import annotations

from typing import Any

import pytest

from pfncache.linux.include.linux.kvm_host import GfnToPfnCache
from pfncache.linux.include.linux.sched import current
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost

SHINFO, INFO, RUNSTATE = 0x0, 0x1040, 0x2000
RUNSTATE_SIZE = 48


class Watching(Vmlinux):
    """Notes which caches are used, and how often a vCPU is woken."""

    def __init__(self, **sizes: Any) -> None:
        super().__init__(**sizes)
        self.used: list[str] = []
        self.kicks = 0

    def trace_gpc_access(self, gpc: GfnToPfnCache) -> None:
        self.used.append(str(gpc).rpartition(".")[2].removesuffix("_cache"))

    def kvm_vcpu_kick(self, vcpu: Any) -> None:
        self.kicks += 1
        super().kvm_vcpu_kick(vcpu)


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """A VM for a Xen guest with four pages of memory, which are logged."""
    made = make_host(Watching)
    xen = made.vcpu.xen
    made.kvm.gpcs = (made.kvm.xen.shinfo_cache, xen.vcpu_info_cache, xen.runstate_cache, xen.runstate2_cache)
    made.kvm.xen.hvm_config = True
    made.kvm.xen.long_mode = True
    made.add_slot(log_dirty=True)
    assert isinstance(made.kernel, Watching)
    made.kernel.kicks = 0  # one for the new memslots
    return made


def used(host: Host) -> list[str]:
    """The caches that were used since the last time this was asked."""
    assert isinstance(host.kernel, Watching)
    found, host.kernel.used = host.kernel.used, []
    return found


def kicks(host: Host) -> int:
    assert isinstance(host.kernel, Watching)
    return host.kernel.kicks


def dirty(host: Host) -> list[int]:
    return [gfn for gfn, bit in enumerate(host.dirty_bits()) if bit.dirty]


def set_shared_info(host: Host, gpa: int = SHINFO) -> int:
    return host.kernel.set_shared_info(host.kvm, gpa, 0, False)


def set_info(host: Host, gpa: int = INFO) -> int:
    return host.kernel.set_vcpu_info(host.vcpu, gpa)


def send(host: Host) -> int:
    return host.kernel.kvm_xen_set_evtchn(host.kvm, host.vcpu)


def send_fast(host: Host) -> int:
    return host.kernel.kvm_xen_set_evtchn_fast(host.kvm, host.vcpu)


def assert_no_lock_is_held(host: Host) -> None:
    task = current()
    assert (task.preempt_count, task.irqs_disabled, task.srcu_depth) == (0, 0, 0)
    assert not host.kvm.xen.xen_lock.held
    assert [(gpc.lock.readers, gpc.lock.writer) for gpc in host.kvm.gpcs] == [(0, False)] * 4


@pytest.fixture
def ready(host: Host) -> Host:
    """shared_info and vcpu_info are known."""
    set_shared_info(host)
    set_info(host)
    used(host)
    return host


def drop_shared_info(host: Host) -> None:
    """The page goes; the VMA stays."""
    host.kernel.madvise_dontneed(host.mm, HVA)
