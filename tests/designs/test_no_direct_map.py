# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from collections.abc import Iterator

import pytest

from pfncache.designs.catalogue import DESIGNS, mainline_6_12, mainline_7_3, no_direct_map
from pfncache.designs.no_direct_map import NoDirectMap, NoDirectMapPage
from pfncache.lang.tracing import run_as
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_NO_DIRECT_MAP
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host
from tests.linux.virt.kvm.guest_memfd.helpers import MAPPABLE, get_pfn, gmem_slot

FLAGS = MAPPABLE | GUEST_MEMFD_FLAG_NO_DIRECT_MAP


@pytest.fixture
def host() -> Iterator[Host]:
    """A host whose kernel supports the flag."""
    task = TaskStruct("task")
    with run_as(task):
        host = Host(no_direct_map.kernel()())
        task.mm, task.running_vcpu = host.mm, host.vcpu
        yield host


def presence(page: Page) -> tuple[bool, bool]:
    """Whether the direct map has the page, and whether guest_memfd has removed it."""
    assert isinstance(page, NoDirectMapPage)
    return page.direct_map, page.direct_map_removed


def test_only_the_patch_has_the_flag(host: Host) -> None:
    assert host.kernel.kvm_gmem_create(host.kvm, 4096, FLAGS) == 0
    assert Host(mainline_7_3.kernel()()).kernel.kvm_gmem_create(host.kvm, 4096, FLAGS) == -EINVAL


def test_a_page_is_removed_at_its_first_use_until_it_leaves_the_page_cache(host: Host) -> None:
    file = gmem_slot(host, FLAGS)
    kernel = host.kernel
    page = kernel.mem_map[get_pfn(host, 1)]
    assert presence(page) == (False, True)
    kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 1)
    assert kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert kernel.hva_to_pfn(HVA) == KVM_PFN_ERR_FAULT  # GUP refuses
    with srcu_read_lock(host.kvm.srcu):
        assert kernel.kvm_write_guest_page(host.kvm, 1, b"x", 0) == 0  # uaccess works
        assert kernel.kvm_gpc_activate(host.gpc, 0x1000, 8) == -EFAULT
    kernel.kvm_gmem_punch_hole(file, 0, 4)
    # restored as the page leaves the cache, although get_pfn()'s reference keeps it from the allocator
    assert (*presence(page), page.free, page.refcount) == (True, False, False, 1)


def test_other_memory_stays(host: Host) -> None:
    gmem_slot(host)
    assert presence(host.kernel.mem_map[get_pfn(host, 1)]) == (True, False)


def test_which_designs_have_the_memory() -> None:
    found = {name for name, design in DESIGNS.items() if design.has("gmem-ndm")}
    assert found == {
        "no-direct-map", "no-direct-map-on-7.2",
        "rfc-v2", "rfc-v3", "rfc-v4", "rfc-v4-on-7.3", "rfc-v4-fixed", "rfc-v4-bool", "uaccess-clock",
        "rfc-v4-fixed-migration", "rfc-v4-fixed-migration-silent",
        "rfc-v4-fixed-large-folios", "rfc-v4-fixed-large-folios-truncate",
        "plan", "plan-vmap", "plan-mm-local", "plan-mermap", "plan-restored", "window",
    }  # fmt: skip
    assert not (mainline_6_12 + [NoDirectMap]).has("gmem-ndm")  # before 6.18 no guest_memfd can be mapped
