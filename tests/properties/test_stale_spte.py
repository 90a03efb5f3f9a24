# SPDX-License-Identifier: GPL-2.0-only
"""stale-spte: a page is freed that the guest can still reach."""

from __future__ import annotations

import pytest

from pfncache.linux.include.uapi import KVM_X86_SNP_VM
from pfncache.linux.include.uapi.linux.errno import EAGAIN
from tests.linux.conftest import HVA, Host, MakeHost, reported
from tests.properties.conftest import gmem_slot, watched


@pytest.fixture
def mapped(host: Host) -> Host:
    """The guest has its first page."""
    host.add_slot()
    assert host.kernel.run_guest_access(host.vcpu, 0, False) == 0
    return host


def test_freed_without_a_notification(mapped: Host) -> None:
    with reported("stale-spte"):
        mapped.kernel.zap_pte_range(mapped.mm, HVA, HVA + 0x1000)


def test_freed_after_the_notification(mapped: Host) -> None:
    page = mapped.page(HVA)
    mapped.kernel.zap_vma_range(mapped.mm, HVA, HVA + 0x1000)
    assert page.free


def test_reached_after_it_was_freed(mapped: Host) -> None:
    """Where the allocator is not watched, the guest's next access tells."""
    mapped.page(HVA).free = True
    with reported("stale-spte"):
        mapped.kernel.run_guest_access(mapped.vcpu, 0, False)


def test_left_behind(mapped: Host) -> None:
    mapped.kernel.trace_quiescent(mapped.kvm)
    mapped.page(HVA).free = True
    with reported("stale-spte"):
        mapped.kernel.trace_quiescent(mapped.kvm)


def test_of_a_page_that_processes_share_at_rest(mapped: Host) -> None:
    """What fork() has made read-only for the process stays writable for the guest."""
    mapped.kernel.copy_pte_range(mapped.kernel.new_mm("child"), mapped.mm, HVA >> 12)
    with reported("stale-spte"):
        mapped.kernel.trace_quiescent(mapped.kvm)


def test_forked_with_notifications(mapped: Host) -> None:
    assert mapped.kernel.kernel_clone(mapped.mm, mapped.kernel.new_mm("child")) == 0
    mapped.kernel.trace_quiescent(mapped.kvm)
    # The lookup of the fault copies the page, with notifications that make the fault begin again.
    assert mapped.kernel.run_guest_access(mapped.vcpu, 0, False) == -EAGAIN
    assert mapped.kernel.run_guest_access(mapped.vcpu, 0, False) == 0
    mapped.kernel.trace_quiescent(mapped.kvm)


def test_of_a_page_that_the_process_may_no_longer_write(mapped: Host) -> None:
    pfn = mapped.page(HVA).pfn
    mapped.kernel.do_mprotect_pkey(mapped.mm, HVA, False)
    with reported("stale-spte"):
        mapped.kernel.set_spte(mapped.kvm, 0, pfn, False)


def test_another_vms_mapping_counts(mapped: Host) -> None:
    other = mapped.kernel.kvm_create_vm("other", mapped.mm)
    mapped.kernel.set_spte(other, 0, 5, False)
    page = mapped.kernel.mem_map[5]
    page.free, page.refcount = False, 1
    with reported("stale-spte"):
        mapped.kernel.put_page(page)


@pytest.mark.parametrize(("spte", "attribute"), [(False, True), (True, False)])
def test_of_the_wrong_kind_at_rest(mapped: Host, spte: bool, attribute: bool) -> None:
    """A conversion that leaves the mapping of the other kind is found when all is done."""
    mapped.kvm.sptes[0].private = mapped.kvm.mem_attr_array[0].private = spte
    mapped.kernel.trace_quiescent(mapped.kvm)
    mapped.kvm.mem_attr_array[0].private = attribute
    with reported("stale-spte"):
        mapped.kernel.trace_quiescent(mapped.kvm)


def test_of_a_gfn_without_memslot_at_rest(mapped: Host) -> None:
    """A deletion that does not zap is found when all is done, whether or not the page is freed."""
    mapped.slot().base_gfn = 1
    with reported("stale-spte"):
        mapped.kernel.trace_quiescent(mapped.kvm)


def test_of_another_page_than_a_lookup_finds_at_rest(mapped: Host) -> None:
    mapped.kvm.sptes[0].pfn += 1
    with reported("stale-spte"):
        mapped.kernel.trace_quiescent(mapped.kvm)


def test_private_at_rest_and_shared_in_the_rmp(make_host: MakeHost) -> None:
    host = watched(make_host, vm_type=KVM_X86_SNP_VM)
    gmem_slot(host, 0)
    assert host.kernel.set_memory_attributes(host.kvm, 0, 1, True) == 0
    assert host.kernel.run_guest_access(host.vcpu, 0, True) == 0
    host.kernel.trace_quiescent(host.kvm)
    host.kernel.mem_map[host.kvm.sptes[0].pfn].rmp_private = False
    with reported("stale-spte"):
        host.kernel.trace_quiescent(host.kvm)
