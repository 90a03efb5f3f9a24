# SPDX-License-Identifier: GPL-2.0-only
"""leak: memslots and references without an owner; lock-imbalance: locks that are never released."""

from __future__ import annotations

from pfncache.lang.records import LIVE
from pfncache.linux.include.linux.sched import TaskStruct
from pfncache.linux.kernel.kthread import kthread_unuse_mm, kthread_use_mm
from pfncache.linux.mm.slub import kzalloc
from tests.linux.conftest import HVA, Host, reported
from tests.properties.conftest import gmem_slot


def quiescent(host: Host) -> bool:
    host.kernel.trace_quiescent(host.kvm)
    return True


def test_what_has_an_owner(host: Host) -> None:
    file = gmem_slot(host)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    assert quiescent(host)
    host.delete_slot()
    host.kernel.filp_close(file)  # the mapping keeps it
    assert quiescent(host)
    host.kernel.vm_munmap(host.mm, HVA)
    host.kernel.task_work_run(file)
    assert quiescent(host)
    host.kernel.kvm_put_kvm(host.kvm)
    assert quiescent(host)


def test_a_memslot_in_no_set(host: Host) -> None:
    kzalloc(host.kvm.slot_cache)
    with reported("leak"):
        quiescent(host)


def test_a_file_reference(host: Host) -> None:
    host.kernel.get_file(gmem_slot(host))
    with reported("leak"):
        quiescent(host)


def test_an_inode_reference(host: Host) -> None:
    host.kernel.igrab(gmem_slot(host).f_mapping)
    with reported("leak"):
        quiescent(host)


def test_a_vm_reference(host: Host) -> None:
    host.kernel.kvm_get_kvm(host.kvm)
    with reported("leak"):
        quiescent(host)


def test_an_address_space_that_a_kernel_thread_keeps(host: Host, task: TaskStruct) -> None:
    task.mm = None
    kthread_use_mm(host.mm)
    with reported("leak"):
        quiescent(host)
    kthread_unuse_mm()
    assert quiescent(host)


def test_a_dirty_bitmap_of_no_memslot(host: Host) -> None:
    host.add_slot(log_dirty=True)
    assert quiescent(host)
    host.slot().dirty_bitmap = None
    with reported("leak"):
        quiescent(host)


def test_a_read_section(host: Host) -> None:
    host.kernel.rcu.read_lock()
    with reported("leak"):
        quiescent(host)
    host.kernel.rcu.read_unlock()
    host.kvm.srcu.read_lock()
    with reported("leak"):
        quiescent(host)


def test_a_lock_that_is_held(host: Host) -> None:
    file = gmem_slot(host)
    kvm, page = host.kvm, host.kernel.mem_map[0]
    assert quiescent(host)
    pairs = (
        (kvm.slots_lock.lock, kvm.slots_lock.unlock),
        (kvm.mmu_lock.write_lock, kvm.mmu_lock.write_unlock),
        (kvm.gpcs[0].lock.read_lock, kvm.gpcs[0].lock.read_unlock),
        (kvm.gpcs[0].refresh_lock.lock, kvm.gpcs[0].refresh_lock.unlock),
        (file.f_mapping.invalidate_lock.lock_shared, file.f_mapping.invalidate_lock.unlock_shared),
        (host.mm.mmap_lock.lock, host.mm.mmap_lock.unlock),
        (page.lock.lock, page.lock.unlock),
    )
    for lock, unlock in pairs:
        lock()
        with reported("lock-imbalance"):
            quiescent(host)
        unlock()
        assert quiescent(host)


def test_what_a_closed_file_leaves(host: Host) -> None:
    file = gmem_slot(host)
    f = file.private_data
    host.kernel.filp_close(file)
    assert quiescent(host)
    f.__dict__["slab_state"] = LIVE
    with reported("leak"):
        quiescent(host)
