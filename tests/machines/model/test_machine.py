# SPDX-License-Identifier: GPL-2.0-only
"""The machine model: descriptions of objects, scheduling of tasks, and leaks."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.lang.atomic import WouldBlock
from pfncache.lang.report import PropertyViolated
from pfncache.linux.include.uapi import (
    GUEST_MEMFD_FLAG_NO_DIRECT_MAP,
    KVM_MEMORY_ATTRIBUTE_PRIVATE,
    KVM_MSR_ENABLED,
    KVM_X86_SW_PROTECTED_VM,
    MADV_DONTNEED,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    PUNCH_HOLE,
    SHARED_GMEM,
    UFFDIO_REGISTER_MODE_MISSING,
)
from pfncache.machines.machine import SyscallError
from pfncache.machines.model.machine import ModelMachine
from pfncache.machines.resource import StopPoint

SIZE = 4 * PAGE_SIZE


def test_objects_show_what_they_hold(model: ModelMachine) -> None:
    vm = model.create_vm()
    vcpu, file = vm.create_vcpu(), vm.create_guest_memfd(SIZE, SHARED_GMEM)
    hva = model.mmap(SIZE, file)
    vm.bind(0, 0, SIZE, hva, file)
    assert repr(vcpu).endswith("kvm-clock inactive>")
    vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, PAGE_SIZE | KVM_MSR_ENABLED)
    cache = vcpu.record.pv_time
    assert f"active, valid, gpa 0x1000 uhva {hva + PAGE_SIZE:#x}, pfn {cache.pfn}" in repr(vcpu)
    assert vm.slots().splitlines() == [
        "generation 1",
        f"slot 0: gfns 0-3 at hva {hva:#x}, guest_memfd from page 0 [guest_memfd gmem_only]",
    ]
    assert f"in memory: 1: pfn {cache.pfn}" in repr(file)
    assert model.page(hva + PAGE_SIZE) == f"pfn {cache.pfn}: page 1 of guest_memfd.inode, 2 references, 1 PTEs"
    assert model.page(hva) == "no PTE"
    file.fallocate(PUNCH_HOLE, 0, SIZE)
    assert "active, invalid" in repr(vcpu)


def test_capabilities_depend_on_the_design() -> None:
    flags = {
        name: ModelMachine(DESIGNS[name]).capabilities.guest_memfd_flags
        for name in ("mainline-6.12", "mainline-7.3", "rfc-v4")
    }
    assert flags == {"mainline-6.12": 0, "mainline-7.3": 3, "rfc-v4": 7}
    with ModelMachine(DESIGNS["rfc-v4"]) as machine:
        file = machine.create_vm().create_guest_memfd(SIZE, SHARED_GMEM | GUEST_MEMFD_FLAG_NO_DIRECT_MAP)
        hva = machine.mmap(SIZE, file)
        machine.write(hva, b"x")
        assert "not in the direct map" in machine.page(hva)


def test_private_memory_is_the_guests(model: ModelMachine) -> None:
    vm = model.create_vm(KVM_X86_SW_PROTECTED_VM)
    vcpu, file, hva = vm.create_vcpu(), vm.create_guest_memfd(SIZE), model.mmap(SIZE)
    vm.bind(0, 0, SIZE, hva, file)
    vm.set_memory_attributes(0, PAGE_SIZE, KVM_MEMORY_ATTRIBUTE_PRIVATE)
    vcpu.store(0, b"secret!!")
    vcpu.store(PAGE_SIZE, b"shared!!")
    assert (model.read(hva, 8), model.read(hva + PAGE_SIZE, 8)) == (bytes(8), b"shared!!")
    assert vcpu.load(0) == b"secret!!"
    with pytest.raises(SyscallError, match="KVM_SET_MEMORY_ATTRIBUTES: EINVAL"):
        vm.set_memory_attributes(0, PAGE_SIZE, 1)
    with pytest.raises(SyscallError, match="KVM_CREATE_VM of type 5: EINVAL"):
        model.create_vm(5)


def test_leak_is_reported_at_the_end() -> None:
    machine = ModelMachine(DESIGNS["mainline-7.3"])
    hva = machine.mmap(PAGE_SIZE)
    machine.write(hva, b"x")
    machine.kernel.get_page(machine.kernel.mem_map[machine.mm.ptes[hva // PAGE_SIZE].pfn])
    with pytest.raises(PropertyViolated, match="refcount-imbalance: everything is closed, but pages are in use: pfn 0"):
        machine.close()


def test_tasks_run_in_turn_and_wait_for_each_other(model: ModelMachine) -> None:
    vm = model.create_vm()
    vcpu, hva = vm.create_vcpu(), model.mmap(SIZE)
    vm.set_user_memory_region(0, 0, SIZE, hva)
    fault = model.userfaultfd(hva, SIZE, UFFDIO_REGISTER_MODE_MISSING)
    lookup = model.start(lambda: vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, KVM_MSR_ENABLED))
    delete = model.start(lambda: vm.delete(0))  # waits for the lookup's SRCU section
    again = model.start(lambda: vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, 0))  # waits for the vCPU
    assert (lookup.blocked(), delete.blocked(), again.blocked()) == (True, True, True)
    with pytest.raises(TimeoutError, match="is blocked forever"):
        delete.result()
    fault.resolve(fault.wait())
    assert (lookup.result(), again.result()) == (1, 1)
    delete.result()


def test_deadlock_without_other_tasks(model: ModelMachine) -> None:
    model.mm.mmap_lock.writer = True
    with pytest.raises(WouldBlock):
        model.mmap(PAGE_SIZE)
    model.mm.mmap_lock.writer = False


@pytest.mark.parametrize("design", ["mainline-7.3", "rfc-v4-fixed"])
def test_window_keeps_a_refresh_repeating(design: str) -> None:
    """Whatever the loop looks up with: rfc-v4-fixed has a lookup of its own, and others could run in neither."""
    with ModelMachine(DESIGNS[design]) as model:
        _window_keeps_a_refresh_repeating(model)


def _window_keeps_a_refresh_repeating(model: ModelMachine) -> None:
    vm = model.create_vm()
    vcpu, hva = vm.create_vcpu(), model.mmap(SIZE)
    vm.set_user_memory_region(0, 0, SIZE, hva)
    vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, KVM_MSR_ENABLED)
    model.madvise(hva, PAGE_SIZE, MADV_DONTNEED)
    with model.notifier_window() as window:
        task = model.start(vcpu.run)
        assert task.blocked()
        assert window.is_open()
    assert task.result().reason == "HLT"
    assert model.clock_at(hva).written


@pytest.mark.parametrize(("at_entry", "present"), [(True, True), (False, False)])
def test_a_task_stops_where_a_function_is_entered_or_returns(
    model: ModelMachine, at_entry: bool, present: bool
) -> None:
    hva = model.mmap(PAGE_SIZE)
    model.write(hva, b"there")
    stop = StopPoint("madvise_dontneed", at_entry)
    task = model.delayed(lambda: model.madvise(hva, PAGE_SIZE, MADV_DONTNEED), stop)
    assert task.stopped()
    assert model.present(hva, PAGE_SIZE) == [present]
    task.release()
    task.result()
    assert model.present(hva, PAGE_SIZE) == [False]


def test_a_stop_point_in_no_function(model: ModelMachine) -> None:
    with pytest.raises(SyscallError, match="perf_event_open: ENOENT"):
        model.delayed(lambda: None, StopPoint("no_such_function"))


def test_suspicious_rcu_usage_is_logged() -> None:
    with ModelMachine(DESIGNS["rfc-v4"]) as machine:
        machine.create_vm(KVM_X86_SW_PROTECTED_VM).set_memory_attributes(0, PAGE_SIZE, KVM_MEMORY_ATTRIBUTE_PRIVATE)
        assert machine.dmesg() == ("WARNING: suspicious RCU usage: kvm->memslots outside an SRCU read section",)


def test_read_only_slots_refuse_the_clock(model: ModelMachine) -> None:
    vm = model.create_vm()
    vcpu, hva = vm.create_vcpu(), model.mmap(SIZE)
    vm.set_user_memory_region(0, 0, SIZE, hva, 2)
    assert vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, KVM_MSR_ENABLED) == 1
    assert "active, invalid" in repr(vcpu)
