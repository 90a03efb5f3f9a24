# SPDX-License-Identifier: GPL-2.0-only
"""What the C calls of the model does what the kernel's own function does."""

from __future__ import annotations

from itertools import product

import pytest

from pfncache.csource.kvm.translation import translate
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.from_c import patch_of
from pfncache.linux.arch.x86.kvm.mmu.tdp_mmu import TdpMmu
from pfncache.linux.include.linux.kvm_host import GfnToHvaCache
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_RO_FAULT, KVM_PFN_NOSLOT
from pfncache.linux.include.uapi import KVM_X86_SW_PROTECTED_VM
from pfncache.linux.include.uapi.linux.errno import EFAULT, EINVAL
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.csource.kvm.trees import source
from tests.linux.conftest import HVA, MakeHost, make_host, task

__all__ = ["make_host", "task"]

RELEASES = {"7.3.4": "mainline-7.3", "7.2.12": "mainline-7.2", "6.12.117": "mainline-6.12"}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("from_c", [False, True])
def test_a_conversion_zaps_the_old_kind_alone(
    make_host: MakeHost, release: str, from_c: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """arch/x86/kvm/mmu/mmu.c kvm_arch_pre_set_memory_attributes(): SHARED if the new attribute is PRIVATE, or else
    PRIVATE. An SPTE of the new kind is there where another gfn of the range still has the old attribute. TDX alone has
    two roots, so that the filter means something."""
    monkeypatch.setattr(TdpMmu, "kvm_has_mirrored_tdp", lambda kernel, kvm: True)
    patches = [patch_of(translate(source(release), version=release))] if from_c else []
    design = DESIGNS[RELEASES[release]] + patches
    for private, kind in product((False, True), repeat=2):
        host = make_host(design.kernel(), KVM_X86_SW_PROTECTED_VM)
        host.add_slot()
        host.kvm.mem_attr_array[0].private = private
        host.kvm.mem_attr_array[1].private = not private
        host.kernel.set_spte(host.kvm, 0, 0, kind)
        assert host.kernel.set_memory_attributes(host.kvm, 0, 2, private) == 0
        assert (host.kvm.sptes[0].pfn == -1) == (kind != private)


@pytest.mark.parametrize("release", RELEASES)
def test_a_cache_in_a_read_only_slot_has_the_address_that_the_c_gives_it(make_host: MakeHost, release: str) -> None:
    """KVM_HVA_ERR_RO_BAD, a page above KVM_HVA_ERR_BAD."""
    found = []
    for patches in ([], [patch_of(translate(source(release), version=release))]):
        host = make_host((DESIGNS[RELEASES[release]] + patches).kernel())
        host.kernel.set_memory_region(host.kvm, 0, 0, 1, HVA, readonly=True)
        host.kernel.set_msr_system_time(host.vcpu, 0, True)
        found.append(host.gpc.uhva)
    assert found == [host.kernel.PAGE_OFFSET + host.kernel.PAGE_SIZE] * 2


@pytest.mark.parametrize("release", ["7.3.4", "7.2.12"])
@pytest.mark.parametrize("from_c", [False, True])
def test_a_page_is_pinned_and_mapped(make_host: MakeHost, release: str, from_c: bool) -> None:
    """__kvm_vcpu_map() and kvm_vcpu_unmap(); a read-only slot, and a slot of a device's memory, are refused."""
    patches = [patch_of(translate(source(release), version=release))] if from_c else []
    host = make_host((DESIGNS[RELEASES[release]] + patches).kernel())
    assert host.kernel.set_memory_region(host.kvm, 0, 0, 2, HVA, log_dirty=True) == 0
    assert host.kernel.set_memory_region(host.kvm, 1, 2, 1, HVA, readonly=True) == 0
    host.map_device(HVA + 0x1000, len(host.kernel.mem_map))
    with srcu_read_lock(host.kvm.srcu):
        ret, pfn, khva = host.kernel.kvm_vcpu_map(host.vcpu, 0)
        page = host.page(HVA)
        assert (ret, pfn, khva, page.refcount) == (0, page.pfn, host.kernel.PAGE_OFFSET + (page.pfn << 12), 2)
        host.kernel.kvm_vcpu_unmap(host.vcpu, 0, pfn, khva)
        assert (page.refcount, [bit.dirty for bit in host.dirty_bits()[:2]]) == (1, [True, False])
        found = [host.kernel.kvm_vcpu_map(host.vcpu, gfn) for gfn in (1, 2, 3)]
    assert found == [(-EINVAL, error, 0) for error in (KVM_PFN_ERR_FAULT, KVM_PFN_ERR_RO_FAULT, KVM_PFN_NOSLOT)]


@pytest.mark.parametrize("release", ["7.3.4", "7.2.12", "6.12.117"])
@pytest.mark.parametrize("from_c", [False, True])
def test_guest_memory_is_read_and_written_by_user_address(make_host: MakeHost, release: str, from_c: bool) -> None:
    """The bytes, across the seam between the model's buffers and the addresses that C passes."""
    patches = [patch_of(translate(source(release), version=release))] if from_c else []
    host = make_host((DESIGNS[RELEASES[release]] + patches).kernel())
    kernel, kvm, ghc = host.kernel, host.kvm, GfnToHvaCache("ghc")
    kernel.set_memory_region(kvm, 0, 0, 2, HVA, log_dirty=True)
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_write_guest_page(kvm, 1, b"abcd", 5) == 0
        assert kernel.kvm_read_guest_page(kvm, 1, 5, 4) == 0
        assert kernel.host_read_guest(kvm, 0x1005, 4) == b"abcd"
        assert kernel.kvm_write_guest_page(kvm, 2, b"abcd", 5) == -EFAULT
        assert kernel.kvm_gfn_to_hva_cache_init(kvm, ghc, 0x10, 8) == 0
        assert kernel.kvm_write_guest_offset_cached(kvm, ghc, b"xy", 4) == 0
        assert kernel.host_read_guest(kvm, 0x14, 2) == b"xy"
        assert kernel.kvm_read_guest_offset_cached(kvm, ghc, 4, 2) == 0
        assert kernel.kvm_gfn_to_hva_cache_init(kvm, ghc, 0x2000, 8) == -EFAULT
        assert kernel.kvm_read_guest_offset_cached(kvm, ghc, 0, 2) == -EFAULT
    assert [bit.dirty for bit in host.dirty_bits()[:2]] == [True, True]
