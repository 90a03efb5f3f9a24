# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pfncache.linux.include.linux.kvm_host import GfnToHvaCache
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.mutex import mutex
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from pfncache.linux.virt.kvm.kvm_main.vcpu import vcpu_loaded
from tests.linux.conftest import HVA, Host, MakeHost, reported


def test_readonly_slot_can_only_be_read(host: Host) -> None:
    kernel, kvm = host.kernel, host.kvm
    kernel.set_memory_region(kvm, 0, 0, 1, HVA, readonly=True)
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_read_guest_page(kvm, 0, 0, 1) == 0
        assert kernel.kvm_write_guest_page(kvm, 0, b"x", 0) == -EFAULT
        assert kernel.kvm_gfn_to_hva_cache_init(kvm, GfnToHvaCache("ghc"), 0, 8) == -EFAULT


def test_write_guest_page_marks_dirty_after_the_copy(host: Host) -> None:
    host.add_slot(base_gfn=1, log_dirty=True)
    kernel, kvm = host.kernel, host.kvm
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_write_guest_page(kvm, 2, b"abc", 5) == 0
        assert kernel.kvm_write_guest_page(kvm, 7, b"abc", 5) == -EFAULT
    assert bytes(host.page(HVA + 0x1000).host_bytes[4:9]) == b"\0abc\0"
    assert [bit.dirty for bit in host.dirty_bits()[:4]] == [False, True, False, False]


def test_write_that_fails_marks_nothing(host: Host) -> None:
    host.add_slot(log_dirty=True)
    host.kernel.vm_munmap(host.mm, HVA)
    with srcu_read_lock(host.kvm.srcu):
        assert host.kernel.kvm_write_guest_page(host.kvm, 0, b"a", 0) == -EFAULT
    assert not host.dirty_bits()[0].dirty


def test_hva_cache_follows_the_memslots(host: Host) -> None:
    host.add_slot(base_gfn=0)
    ghc = GfnToHvaCache("ghc")
    kernel, kvm = host.kernel, host.kvm
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_gfn_to_hva_cache_init(kvm, ghc, 0x1008, 8) == 0
        assert (ghc.hva, ghc.generation) == (HVA + 0x1008, 1)
    host.delete_slot()
    host.add_slot(base_gfn=1, hva=HVA + 0x2000, npages=1)
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_write_guest_offset_cached(kvm, ghc, b"new", 0) == 0
        assert (ghc.hva, ghc.generation) == (HVA + 0x2008, 4)
        assert kernel.kvm_read_guest_offset_cached(kvm, ghc, 0, 3) == 0
    host.delete_slot()
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_write_guest_offset_cached(kvm, ghc, b"new", 0) == -EFAULT
        assert kernel.kvm_read_guest_offset_cached(kvm, ghc, 0, 3) == -EFAULT


def test_hva_cache_keeps_its_address_if_the_new_one_has_no_memslot(host: Host) -> None:
    host.add_slot()
    ghc = host.vcpu.st.cache
    with srcu_read_lock(host.kvm.srcu):
        assert host.kernel.kvm_gfn_to_hva_cache_init(host.kvm, ghc, 0x10, 8) == 0
        assert host.kernel.kvm_gfn_to_hva_cache_init(host.kvm, ghc, 0x80000, 8) == -EFAULT
    assert (ghc.gpa, ghc.memslot, ghc.generation) == (0x10, None, host.generation)


def test_marking_needs_a_vcpu_of_the_vm(make_host: MakeHost) -> None:
    """Whether or not the slot logs. A VM that is destroyed is an exception."""
    other = make_host().vcpu
    host = make_host()
    host.add_slot()
    kernel, kvm = host.kernel, host.kvm
    kernel.mark_page_dirty_in_slot(kvm, host.slot(), 0)
    current().running_vcpu = other
    with reported("warn-on"):
        kernel.mark_page_dirty_in_slot(kvm, host.slot(), 0)
    current().running_vcpu = None
    with reported("warn-on"):
        kernel.mark_page_dirty_in_slot(kvm, host.slot(), 0)
    with mutex(host.vcpu.mutex), vcpu_loaded(host.vcpu):
        kernel.mark_page_dirty_in_slot(kvm, host.slot(), 0)
    slot = host.slot()
    kvm.users_count = 0
    kernel.mark_page_dirty_in_slot(kvm, slot, 0)


def test_clear_guest_writes_zeros_and_marks_the_page(host: Host) -> None:
    host.add_slot(base_gfn=1, log_dirty=True)
    kernel, kvm = host.kernel, host.kvm
    with srcu_read_lock(kvm.srcu):
        assert kernel.kvm_write_guest_page(kvm, 2, b"\xff" * 4096, 0) == 0
        host.dirty_bits()[1].dirty = False
        assert kernel.kvm_clear_guest(kvm, 0x2010, 0x20) == 0
        assert kernel.kvm_clear_guest(kvm, 0x7000, 0x20) == -EFAULT
    found = bytes(host.page(HVA + 0x1000).host_bytes)
    assert (found[:0x10], found[0x10:0x30], found[0x30:]) == (b"\xff" * 0x10, bytes(0x20), b"\xff" * 0xFD0)
    assert [bit.dirty for bit in host.dirty_bits()[:4]] == [False, True, False, False]


def test_atomic_read_handles_no_page_fault(host: Host) -> None:
    host.add_slot(base_gfn=1)
    kernel = host.kernel
    with srcu_read_lock(host.kvm.srcu), write_lock(host.kvm.mmu_lock):
        assert kernel.kvm_vcpu_read_guest_atomic(host.vcpu, 0x2010, 8) == -EFAULT  # there, but not present
        assert host.mm.ptes[(HVA >> 12) + 1].pfn < 0
        assert kernel.kvm_vcpu_read_guest_atomic(host.vcpu, 0x7000, 8) == -EFAULT  # no slot
    kernel.user_access_retry(HVA + 0x1000, False)
    with srcu_read_lock(host.kvm.srcu), write_lock(host.kvm.mmu_lock):
        assert kernel.kvm_vcpu_read_guest_atomic(host.vcpu, 0x2010, 8) == 0
    assert not current().pagefault_disabled


def test_a_read_that_is_not_atomic_sleeps_under_mmu_lock(host: Host) -> None:
    host.add_slot()
    with reported("sleeping-in-atomic"), srcu_read_lock(host.kvm.srcu), write_lock(host.kvm.mmu_lock):
        host.kernel.kvm_read_guest_page(host.kvm, 0, 0, 8)
