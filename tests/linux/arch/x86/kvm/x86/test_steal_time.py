# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/x86.c: steal time."""

from __future__ import annotations

import pytest

from pfncache.linux.include.linux.sched import current
from pfncache.linux.kernel.rcu.srcutree import srcu_read_lock
from tests.linux.conftest import HVA, Host, MakeHost, reported

GPA = 0x1040
CLOCK = HVA + GPA
PAGE = HVA + 0x1000
STEAL_PREEMPTED = 16


@pytest.fixture
def host(make_host: MakeHost) -> Host:
    """A VM with four pages of memory, which are logged."""
    made = make_host()
    made.add_slot(log_dirty=True)
    return made


def dirty(host: Host) -> list[int]:
    return [gfn for gfn, bit in enumerate(host.dirty_bits()) if bit.dirty]


def steal(host: Host, gpa: int = GPA) -> None:
    host.vcpu.st.enabled = True
    host.vcpu.st.cache.gpa = gpa
    host.kernel.run_steal_time_update(host.vcpu)


def preempted(host: Host) -> int:
    return host.page(CLOCK).host_bytes[(CLOCK & 0xFFF) + STEAL_PREEMPTED]


def test_xen_guest_gets_no_steal_time(host: Host) -> None:
    """It has its runstate instead: record_steal_time() of 7.3.4."""
    host.kvm.xen.hvm_config = True
    host.kernel.copy_to_user(CLOCK + STEAL_PREEMPTED, b"\1")
    steal(host)
    assert (preempted(host), dirty(host)) == (1, [])


def test_steal_time_goes_through_the_user_address(host: Host) -> None:
    host.kernel.copy_to_user(CLOCK + STEAL_PREEMPTED, b"\1")
    steal(host)
    assert (preempted(host), dirty(host)) == (0, [1])
    assert not any(area.busy for area in host.kernel.vmap_areas)


def test_preemption_is_noted_in_its_own_byte(host: Host) -> None:
    steal(host)
    host.kernel.copy_to_user(CLOCK, bytes(range(1, 17)))
    host.kernel.run_sched_out(host.vcpu)
    data = bytes(host.page(CLOCK).host_bytes[0x40:0x52])
    assert data == bytes(range(1, 17)) + b"\1\0"
    assert not host.vcpu.rq.lock.held


def test_steal_time_without_memory_is_lost(host: Host) -> None:
    steal(host, 0x6000)
    assert dirty(host) == []
    host.kernel.vm_munmap(host.mm, PAGE)
    steal(host)
    assert dirty(host) == [GPA >> 12]  # marked even if the access faults


def test_steal_time_of_another_process_is_not_written(host: Host) -> None:
    steal(host)
    host.dirty_bits()[GPA >> 12].dirty = False
    current().mm = host.kernel.new_mm("other")
    with reported("warn-on"):
        steal(host)
    with srcu_read_lock(host.kvm.srcu):
        host.kernel.kvm_steal_time_set_preempted(host.vcpu)
    assert dirty(host) == []


def test_steal_time_looks_its_address_up_again_after_a_slot_update(host: Host) -> None:
    steal(host)
    host.delete_slot()
    host.add_slot(hva=HVA + 0x1000, npages=2)
    steal(host)
    assert host.vcpu.st.cache.hva == HVA + 0x1000 + GPA
    assert (host.vcpu.st.cache.generation, host.vcpu.st.cache.memslot) == (host.generation, host.slot())


def test_steal_time_that_was_never_enabled(make_host: MakeHost) -> None:
    """A zeroed cache has the generation of a VM without memslots, and user address 0."""
    host = make_host()
    host.kernel.vm_mmap_pgoff(host.mm, 0, None, 0)
    host.kernel.run_steal_time_update(host.vcpu)
    host.kernel.run_sched_out(host.vcpu)
    assert host.mm.ptes[0].pfn == -1


def test_sched_out_takes_no_fault(host: Host) -> None:
    steal(host)
    host.kernel.madvise_dontneed(host.mm, PAGE)
    host.kernel.run_sched_out(host.vcpu)  # under the runqueue's lock: a fault would sleep
    assert (host.mm.ptes[CLOCK >> 12].pfn, current().pagefault_disabled) == (-1, False)


def test_sched_out_of_a_xen_guest_writes_no_steal_time(host: Host) -> None:
    steal(host)
    host.kvm.xen.hvm_config = True
    host.kernel.run_sched_out(host.vcpu)
    assert preempted(host) == 0
