# SPDX-License-Identifier: GPL-2.0-only
"""stale-vmsa: a vCPU has a VMSA that a lookup would not return."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pfncache.linux.arch.x86.include.uapi.asm.kvm import KVM_X86_SNP_VM
from tests.linux.conftest import Host, MakeHost, reported
from tests.properties.conftest import gmem_slot, watched


@pytest.fixture
def snp(make_host: MakeHost) -> Host:
    """An SNP guest runs from its only page."""
    host = watched(make_host, vm_type=KVM_X86_SNP_VM)
    gmem_slot(host, 0)
    assert host.kernel.run_ap_creation(host.vcpu, 0) == 0
    assert host.kernel.run_snp_guest(host.vcpu) == 0
    return host


def remove_page(host: Host) -> None:
    """Without an invalidation."""
    host.kernel.truncate_inode_pages_range(host.kernel.gmem_files[0].f_mapping, 0, 1)


def move_page(host: Host) -> None:
    """Another page is in its place."""
    remove_page(host)
    assert host.kernel.kvm_gmem_allocate(host.kernel.gmem_files[0], 0, 1) == 0
    host.vcpu.sev_es.vmsa_pa += 1


def delete_slot(host: Host) -> None:
    """The request that the deletion makes is lost."""
    assert host.delete_slot() == 0
    host.vcpu.vmsa_page_reload = False


def test_as_it_is(snp: Host) -> None:
    snp.kernel.trace_quiescent(snp.kvm)


@pytest.mark.parametrize("change", [remove_page, move_page, delete_slot])
def test_left_behind(snp: Host, change: Callable[[Host], None]) -> None:
    change(snp)
    with reported("stale-vmsa"):
        snp.kernel.trace_quiescent(snp.kvm)


@pytest.mark.parametrize("request_", ["vmsa_page_reload", "update_protected_guest_state"])
def test_it_is_to_be_looked_up_again(snp: Host, request_: str) -> None:
    remove_page(snp)
    setattr(snp.vcpu, request_, True)
    snp.kernel.trace_quiescent(snp.kvm)


def test_stored_although_it_is_another_page(snp: Host) -> None:
    with reported("stale-vmsa"):
        snp.kernel.set_vmsa_pa(snp.vcpu, 0, snp.vcpu.sev_es.vmsa_pa + 1)
