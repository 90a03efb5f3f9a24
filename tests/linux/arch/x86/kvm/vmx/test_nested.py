# SPDX-License-Identifier: GPL-2.0-only
"""L1's virtual-APIC page is pinned and mapped from the entry of L2 to its exit."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.kvm_host import Kvm
from pfncache.linux.include.linux.kvm_types import Gfn
from pfncache.linux.include.linux.types import Pfn
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EINVAL
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported


def test_pinned_from_entry_to_exit(host: Host) -> None:
    host.add_slot(log_dirty=True)
    kernel, vcpu = host.kernel, host.vcpu
    assert kernel.run_nested_entry(vcpu, 0x1000) == 0
    page = host.page(HVA + 0x1000)
    assert (vcpu.virtual_apic_map.pfn, page.refcount) == (page.pfn, 2)
    assert kernel.migrate_pages(host.mm, HVA + 0x1000) == -EAGAIN
    bitmap = host.slot().dirty_bitmap
    assert bitmap is not None
    bitmap.bits[1].dirty = False
    assert kernel.run_l2(vcpu) == 0
    assert [bit.dirty for bit in bitmap.bits[:3]] == [False, True, False]
    kernel.run_nested_exit(vcpu)
    assert (vcpu.virtual_apic_map.khva, page.refcount) == (0, 1)
    assert kernel.run_l2(vcpu) == -EINVAL
    kernel.run_nested_exit(vcpu)  # nothing to undo
    assert page.refcount == 1


@pytest.mark.parametrize("gpa", [0x1000, 0x6000])
def test_entry_without_a_page_fails(host: Host, gpa: int) -> None:
    host.add_slot()
    host.kernel.vm_munmap(host.mm, HVA + 0x1000)
    assert host.kernel.run_nested_entry(host.vcpu, gpa) == -EINVAL
    assert host.kernel.run_l2(host.vcpu) == -EINVAL


def test_the_page_that_is_written_is_the_pinned_one(make_host: MakeHost) -> None:
    written: list[tuple[Gfn, Pfn]] = []

    class Watching(Vmlinux):
        def trace_l2_write(self, kvm: Kvm, gfn: Gfn, pfn: Pfn) -> None:
            written.append((gfn, pfn))

    host = make_host(Watching)
    host.add_slot()
    host.kernel.run_nested_entry(host.vcpu, 0)
    old = host.page(HVA)
    host.kernel.madvise_dontneed(host.mm, HVA)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    assert host.kernel.run_l2(host.vcpu) == 0
    assert host.page(HVA) is not old
    assert written == [(0, old.pfn)]
    host.kernel.run_nested_exit(host.vcpu)
    assert old.free


def test_a_page_that_is_freed_all_the_same(host: Host) -> None:
    host.add_slot()
    host.kernel.run_nested_entry(host.vcpu, 0)
    host.page(HVA).free = True
    with reported("use-after-free"):
        host.kernel.run_l2(host.vcpu)
