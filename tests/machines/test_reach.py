# SPDX-License-Identifier: GPL-2.0-only
"""Requests by which KVM accesses the guest's memory: equal on a kernel and on its model."""

from __future__ import annotations

import pytest

from pfncache.linux.arch.x86.include.asm.svm import SVM_EXIT_HLT, VMCB_EXIT_CODE
from pfncache.linux.include.uapi import (
    HV_X64_MSR_SIEFP,
    HV_X64_MSR_SIMP,
    KVM_ASYNC_PF_DELIVERY_AS_INT,
    KVM_MSR_ENABLED,
    MSR_KVM_ASYNC_PF_ACK,
    MSR_KVM_ASYNC_PF_EN,
    MSR_KVM_WALL_CLOCK_NEW,
    PAGE_SIZE,
    SHARED_GMEM,
)
from pfncache.machines.machine import GuestExit, Machine, Vcpu
from pfncache.machines.model.machine import ModelMachine
from pfncache.machines.program import STORE_RAX, STORE_RDX, l2_entry

AT = 3 * PAGE_SIZE + 0x40
SIZE = 4 * PAGE_SIZE
APF = AT | KVM_MSR_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT


def with_memory(machine: Machine, irqchip: bool = False) -> tuple[Vcpu, int]:
    vm, hva = machine.create_vm(), machine.mmap(SIZE)
    if irqchip:
        vm.create_irqchip()
    vcpu = vm.create_vcpu()
    vm.set_user_memory_region(0, 0, SIZE, hva)
    return vcpu, hva


def with_unmapped_gmem(machine: Machine) -> Vcpu:
    """A guest with memory that KVM cannot reach."""
    if machine.capabilities.guest_memfd_flags & SHARED_GMEM != SHARED_GMEM:
        pytest.skip("no guest_memfd that can be mapped")
    vm = machine.create_vm()
    vcpu, file = vm.create_vcpu(), vm.create_guest_memfd(SIZE, SHARED_GMEM)
    vm.bind(0, 0, SIZE, machine.hole(SIZE), file)
    return vcpu


def test_wall_clock_is_written_at_once(machine: Machine) -> None:
    vcpu, hva = with_memory(machine)
    for version in (2, 4):
        assert vcpu.set_msr(MSR_KVM_WALL_CLOCK_NEW, AT) == 1
        assert int.from_bytes(machine.read(hva + AT, 4), "little") == version


def test_translation_sets_the_accessed_bit(machine: Machine) -> None:
    vcpu, hva = with_memory(machine)
    entry = 0x40000087
    machine.write(hva + AT, entry.to_bytes(8, "little"))
    assert vcpu.translate(AT) == 0x40000000
    assert int.from_bytes(machine.read(hva + AT, 8), "little") == entry | 0x20
    machine.write(hva + AT, bytes(8))
    assert vcpu.translate(AT) is None


def test_code_is_read_again_to_emulate_it(machine: Machine) -> None:
    vcpu, hva = with_memory(machine)
    for code, expected in ((STORE_RAX, b"in rax  "), (STORE_RDX, b"in rdx  ")):
        machine.write(hva + AT, code + bytes.fromhex("ebfe"))
        assert vcpu.run_code(AT, b"in rax  ", b"in rdx  ") == expected
        vcpu, hva = with_memory(machine)


def test_moves_from_and_to_a_device(machine: Machine) -> None:
    vcpu, hva = with_memory(machine)
    machine.write(hva + AT, b"outwards")
    assert vcpu.copy_to_device(AT) == b"outwards"
    vcpu, hva = with_memory(machine)
    vcpu.copy_from_device(AT, b"inwards ")
    assert machine.read(hva + AT, 8) == b"inwards "


def test_locked_exchange(machine: Machine) -> None:
    if not machine.capabilities.emulates_any:
        pytest.skip("the processor executes it itself")
    vcpu, hva = with_memory(machine)
    vcpu.cmpxchg(AT, b"ab")
    assert machine.read(hva + AT, 4) == b"ab\0\0"


def test_pages_are_ready(machine: Machine) -> None:
    vcpu, hva = with_memory(machine, irqchip=True)
    assert [vcpu.set_msr(MSR_KVM_ASYNC_PF_EN, APF), vcpu.set_msr(MSR_KVM_ASYNC_PF_ACK, 1)] == [1, 1]
    assert machine.read(hva + AT, 8) == b"\0\0\0\0\xff\xff\xff\xff"


def test_async_page_faults_need_an_apic(machine: Machine) -> None:
    vcpu, _ = with_memory(machine)
    assert [vcpu.set_msr(MSR_KVM_ASYNC_PF_EN, data) for data in (APF, 0)] == [0, 1]


def test_vmsave(machine: Machine) -> None:
    if not machine.capabilities.nested_svm:
        pytest.skip("no nested SVM")
    vcpu, hva = with_memory(machine)
    vcpu.vmsave(AT // PAGE_SIZE * PAGE_SIZE)
    assert machine.read(hva + AT // PAGE_SIZE * PAGE_SIZE + 0x490, 2) == b"\x18\0"


def test_what_kvm_cannot_reach(machine: Machine) -> None:
    assert with_unmapped_gmem(machine).translate(AT) is None
    vcpu = with_unmapped_gmem(machine)
    vcpu.store(AT, b"whatever")
    with pytest.raises(GuestExit, match=r"^MMIO read at 0x3040$"):
        vcpu.copy_to_device(AT)
    with pytest.raises(GuestExit, match=r"^MMIO write at 0x3040$"):
        with_unmapped_gmem(machine).copy_from_device(AT, b"whatever")


def test_locked_exchange_that_kvm_cannot_reach(machine: Machine) -> None:
    if not machine.capabilities.emulates_any:
        pytest.skip("the processor executes it itself")
    with pytest.raises(GuestExit, match=r"^MMIO read at 0x3040$"):
        with_unmapped_gmem(machine).cmpxchg(AT, b"ab")


@pytest.mark.parametrize("call", [lambda vcpu: vcpu.run_code(AT, b"a" * 8, b"d" * 8), lambda vcpu: vcpu.vmsave(0x3000)])
def test_what_the_model_cannot_reach(model: ModelMachine, call: object) -> None:
    """The exit depends on the processor: the guest has no exception handler, or user space gets an error."""
    vcpu = with_unmapped_gmem(model)
    vcpu.store(AT, STORE_RAX.ljust(8, b"\0"))
    assert callable(call)
    with pytest.raises(GuestExit, match=r"^(SHUTDOWN|INTERNAL_ERROR suberror 1)$"):
        call(vcpu)


def hyperv_guest(machine: Machine, clears: bool) -> tuple[Vcpu, int]:
    if not machine.capabilities.synic:
        pytest.skip("no SynIC")
    vm, hva = machine.create_vm(), machine.mmap(SIZE)
    vm.create_irqchip()
    vm.enable_synic(clears)
    vcpu = vm.create_vcpu()
    vm.set_user_memory_region(0, 0, SIZE, hva)
    machine.write(hva, b"\xff" * SIZE)
    return vcpu, hva


@pytest.mark.parametrize(("clears", "word"), [(True, bytes(8)), (False, b"\xff" * 8)])
@pytest.mark.parametrize("msr", [HV_X64_MSR_SIMP, HV_X64_MSR_SIEFP])
def test_page_of_the_synic_is_cleared(machine: Machine, msr: int, clears: bool, word: bytes) -> None:
    vcpu, hva = hyperv_guest(machine, clears)
    vcpu.wrmsr(msr, PAGE_SIZE | 1)
    assert [machine.read(hva + at, 8) for at in (PAGE_SIZE, 2 * PAGE_SIZE - 8)] == [word] * 2
    assert [machine.read(hva + at, 8) for at in (PAGE_SIZE - 8, 2 * PAGE_SIZE)] == [b"\xff" * 8] * 2


def test_guest_without_a_synic_gets_an_exception(machine: Machine) -> None:
    vcpu, _ = with_memory(machine)
    with pytest.raises(GuestExit, match=r"^SHUTDOWN$"):
        vcpu.wrmsr(HV_X64_MSR_SIMP, PAGE_SIZE | 1)


def with_l2_entry(machine: Machine) -> tuple[Vcpu, int]:
    if not machine.capabilities.nested_npt:
        pytest.skip("no nested SVM with nested paging")
    vcpu, hva = with_memory(machine)
    vcpu.store(AT, l2_entry(0))
    return vcpu, hva


@pytest.mark.parametrize("vmcb", [None, PAGE_SIZE])
def test_l2_reads_by_way_of_the_entry_and_exits(machine: Machine, vmcb: int | None) -> None:
    vcpu, hva = with_l2_entry(machine)
    for number, word in ((0, b"target 0"), (1, b"target 1")):
        vcpu.store(AT, l2_entry(number))
        assert (vcpu.enter_l2(AT, vmcb), vcpu.leave_l2()) == (word, SVM_EXIT_HLT)
    code = int.from_bytes(machine.read(hva + PAGE_SIZE + VMCB_EXIT_CODE, 8), "little")
    assert code == (SVM_EXIT_HLT if vmcb else 0)


def test_l2_without_an_entry_exits_by_itself(machine: Machine) -> None:
    vcpu, _ = with_l2_entry(machine)
    vcpu.store(AT, bytes(8))
    assert vcpu.enter_l2(AT) is None
    vcpu.store(AT, l2_entry(1))
    assert vcpu.enter_l2(AT) == b"target 1"


def test_guest_that_only_the_model_has(model: ModelMachine) -> None:
    vcpu, hva = with_memory(model)
    vcpu.run_l2_apic(PAGE_SIZE, lambda: None)
    assert model.read(hva + PAGE_SIZE + 0x80, 1) == b"\xf0"
    with pytest.raises(GuestExit, match=r"^VMFAIL$"):
        vcpu.run_l2_apic(SIZE, lambda: None)
    with pytest.raises(GuestExit, match=r"^FAIL_ENTRY$"):
        vcpu.run_vmsa(0)
