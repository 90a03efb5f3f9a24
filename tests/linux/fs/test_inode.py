# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.lang.tracing import run_as
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.mm.slub import is_live
from tests.linux.conftest import Host


def test_an_inode_lives_as_long_as_its_references(host: Host) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, 0)
    host.kernel.kvm_gmem_allocate(file, 0, 1)
    assert host.kernel.igrab(file.f_mapping)
    host.kernel.filp_close(file)
    assert (is_live(file.f_mapping), host.kernel.mem_map[0].free) == (True, False)
    host.kernel.iput(file.f_mapping)
    assert (is_live(file.f_mapping), host.kernel.mem_map[0].free) == (False, True)


def test_an_inode_without_references_is_not_grabbed(host: Host) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, 0)
    file.f_mapping.i_count = 0
    assert not host.kernel.igrab(file.f_mapping)


def test_an_inode_is_freed_by_rcu(host: Host) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, 0)
    reader = TaskStruct("reader")
    with run_as(reader):
        host.kernel.rcu.read_lock()
    with pytest.raises(WouldBlock):
        host.kernel.filp_close(file)
    assert is_live(file.f_mapping)
    with run_as(reader):
        host.kernel.rcu.read_unlock()
    host.kernel.destroy_inode(file.f_mapping)
    assert not is_live(file.f_mapping)
