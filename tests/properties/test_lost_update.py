# SPDX-License-Identifier: GPL-2.0-only
"""lost-update: KVM writes the clock where the guest does not look."""

from __future__ import annotations

from pfncache.linux.include.uapi import KVM_X86_SW_PROTECTED_VM
from tests.linux.conftest import HVA, Host, MakeHost, reported
from tests.properties.conftest import clock_on, gmem_slot, watched


def test_the_user_address_is_other_memory(host: Host) -> None:
    gmem_slot(host)
    with reported("lost-update"):
        clock_on(host)


def test_the_user_address_is_the_guests_memory(host: Host) -> None:
    file = gmem_slot(host)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    clock_on(host)
    assert file.f_mapping.i_pages[0].page is host.page(HVA)


def test_nothing_is_expected_of_private_memory(make_host: MakeHost) -> None:
    host = watched(make_host, vm_type=KVM_X86_SW_PROTECTED_VM)
    gmem_slot(host, 0)
    host.kernel.set_memory_attributes(host.kvm, 0, 1, True)
    clock_on(host)
    assert host.page(HVA).host_bytes[0x10] == 2  # went to the user address


def test_nothing_is_expected_where_there_is_no_slot(host: Host) -> None:
    host.add_slot()
    page = host.kernel.mem_map[0]
    host.kernel.trace_pv_update(host.kvm, 0x6000, page.pfn)
    with reported("lost-update"):
        host.kernel.trace_pv_update(host.kvm, 0x1000, page.pfn)


def test_a_page_that_only_kvm_has(host: Host) -> None:
    host.add_slot()
    host.kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)
    host.kernel.get_page(page)
    khva = host.kernel.kmap(page)
    host.kernel.kernel_access(khva, True)
    host.kernel.madvise_dontneed(host.mm, HVA)
    host.kernel.kernel_access(khva, False)
    with reported("lost-update"):
        host.kernel.kernel_access(khva, True)


def test_page_of_l1_that_the_processor_writes(host: Host) -> None:
    host.add_slot()
    assert host.kernel.run_nested_entry(host.vcpu, 0) == 0
    assert host.kernel.run_l2(host.vcpu) == 0
    host.kernel.try_to_migrate(host.mm, host.page(HVA))  # which fails, as the page is pinned
    assert host.kernel.run_l2(host.vcpu) == 0
    host.kernel.madvise_dontneed(host.mm, HVA)
    with reported("lost-update"):
        host.kernel.run_l2(host.vcpu)
