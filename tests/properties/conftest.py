# SPDX-License-Identifier: GPL-2.0-only
"""One VM on mainline with every property watched."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design
from pfncache.linux.include.linux.kvm_host import File
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP
from pfncache.properties import PROBES
from tests.linux.conftest import HVA, Host, MakeHost, make_host, task

__all__ = ["make_host", "task"]

MAPPABLE = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED


def watched(make_host: MakeHost, design: Design = mainline_7_3, vm_type: int = 0) -> Host:
    """A VM on a design's kernel with every probe."""
    return make_host(design.kernel(*PROBES), vm_type)


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """A VM on mainline."""
    return watched(make_host)


def clock_on(host: Host, gpa: int = 0x10) -> None:
    """The guest has a clock, and KVM has written it once."""
    host.kernel.set_msr_system_time(host.vcpu, gpa, True)
    host.kernel.run_clock_update(host.vcpu)


def gmem_slot(host: Host, flags: int = MAPPABLE) -> File:
    """A slot of one page of guest_memfd, whose user address is anonymous memory."""
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, flags)
    assert host.kernel.set_memory_region(host.kvm, 0, 0, 1, HVA, gmem=file) == 0
    return file


def some_page(host: Host) -> Page:
    """A page that the caller owns."""
    page = host.kernel.alloc_page()
    assert page is not None
    return page
