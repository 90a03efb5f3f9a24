# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/xen.c: shared_info."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.kvm_types import INVALID_GPA
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL
from tests.linux.arch.x86.kvm.xen.conftest import (
    SHINFO,
    assert_no_lock_is_held,
    dirty,
    set_shared_info,
    used,
)
from tests.linux.conftest import HVA, Host


def test_shared_info_by_gpa(host: Host) -> None:
    assert set_shared_info(host) == 0
    gpc = host.kvm.xen.shinfo_cache
    assert (gpc.gpa, gpc.uhva, gpc.memslot, gpc.valid) == (SHINFO, HVA, host.slot(), True)
    assert (used(host), dirty(host)) == (["shinfo"], [])  # the wall clock; never marked
    assert_no_lock_is_held(host)


def test_shared_info_by_hva(host: Host) -> None:
    host.delete_slot()
    assert host.kernel.set_shared_info(host.kvm, 0, HVA + 0x3000, True) == 0
    gpc = host.kvm.xen.shinfo_cache
    assert (gpc.gpa, gpc.uhva, gpc.memslot, gpc.valid) == (INVALID_GPA, HVA + 0x3000, None, True)


@pytest.mark.parametrize(
    ("gpa", "uhva", "by_hva", "error"),
    [(0, HVA + 8, True, EINVAL), (0x6000, 0, False, EFAULT), (0, 0x1000, True, EFAULT)],
)
def test_shared_info_that_cannot_be(host: Host, gpa: int, uhva: int, by_hva: bool, error: int) -> None:
    """A page has to fit in a page, and there has to be one."""
    assert host.kernel.set_shared_info(host.kvm, gpa, uhva, by_hva) == -error
    assert (used(host), host.kvm.xen.shinfo_cache.valid) == ([], False)
    assert_no_lock_is_held(host)


def test_shared_info_goes(host: Host) -> None:
    set_shared_info(host)
    host.kernel.disable_shared_info(host.kvm)
    assert not host.kvm.xen.shinfo_cache.active
    set_shared_info(host)
    host.kernel.kvm_xen_destroy_vm(host.kvm)
    assert not host.kvm.xen.shinfo_cache.list.listed
