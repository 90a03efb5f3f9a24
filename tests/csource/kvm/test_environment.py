# SPDX-License-Identifier: GPL-2.0-only
"""What the C calls of the model does what the kernel's own function does."""

from __future__ import annotations

from itertools import product

import pytest

from pfncache.csource.kvm.translation import translate
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.from_c import patch_of
from pfncache.linux.arch.x86.kvm.mmu.tdp_mmu import TdpMmu
from pfncache.linux.include.uapi import KVM_X86_SW_PROTECTED_VM
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
