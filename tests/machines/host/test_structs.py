# SPDX-License-Identifier: GPL-2.0-only
"""The structures have the sizes, and the ioctls the numbers, that the kernel's headers give them."""

from __future__ import annotations

from ctypes import Structure, sizeof

import pytest

from pfncache.machines.host import structs

SIZES = {
    structs.KvmUserspaceMemoryRegion: 32,
    structs.KvmUserspaceMemoryRegion2Struct: 160,
    structs.KvmCreateGuestMemfd: 64,
    structs.KvmMemoryAttributes: 32,
    structs.KvmDirtyLog: 16,
    structs.KvmRegs: 144,
    structs.KvmSegment: 24,
    structs.KvmSregs: 312,
    structs.KvmClockData: 48,
    structs.KvmCpuidEntry2: 40,
    structs.KvmTranslation: 24,
    structs.KvmLapicState: 1024,
    structs.UffdioRegister: 32,
    structs.UffdioApi: 24,
    structs.UffdioZeropage: 32,
    structs.UffdioWriteprotect: 24,
}
NUMBERS = {
    "KVM_CREATE_VM": 0xAE01,
    "KVM_CHECK_EXTENSION": 0xAE03,
    "KVM_GET_VCPU_MMAP_SIZE": 0xAE04,
    "KVM_CREATE_VCPU": 0xAE41,
    "KVM_RUN": 0xAE80,
    "KVM_GET_REGS": 0x8090AE81,
    "KVM_SET_REGS": 0x4090AE82,
    "KVM_GET_SREGS": 0x8138AE83,
    "KVM_SET_SREGS": 0x4138AE84,
    "KVM_GET_MSRS": 0xC008AE88,
    "KVM_SET_MSRS": 0x4008AE89,
    "KVM_GET_SUPPORTED_CPUID": 0xC008AE05,
    "KVM_SET_CPUID2": 0x4008AE90,
    "KVM_SET_CLOCK": 0x4030AE7B,
    "KVM_GET_CLOCK": 0x8030AE7C,
    "KVM_KVMCLOCK_CTRL": 0xAEAD,
    "KVM_SET_USER_MEMORY_REGION": 0x4020AE46,
    "KVM_SET_USER_MEMORY_REGION2": 0x40A0AE49,
    "KVM_CREATE_GUEST_MEMFD": 0xC040AED4,
    "KVM_SET_MEMORY_ATTRIBUTES": 0x4020AED2,
    "KVM_GET_DIRTY_LOG": 0x4010AE42,
    "KVM_SET_TSS_ADDR": 0xAE47,
    "KVM_CREATE_IRQCHIP": 0xAE60,
    "KVM_CREATE_PIT2": 0x4040AE77,
    "KVM_TRANSLATE": 0xC018AE85,
    "KVM_GET_LAPIC": 0x8400AE8E,
    "KVM_SET_LAPIC": 0x4400AE8F,
    "KVM_XEN_HVM_CONFIG": 0x4038AE7A,
    "KVM_XEN_HVM_SET_ATTR": 0x4048AEC9,
    "KVM_XEN_VCPU_GET_ATTR": 0xC048AECA,
    "KVM_XEN_VCPU_SET_ATTR": 0x4048AECB,
    "KVM_XEN_HVM_EVTCHN_SEND": 0x400CAED0,
    "KVM_ENABLE_CAP": 0x4068AEA3,
    "UFFDIO_API": 0xC018AA3F,
    "UFFDIO_REGISTER": 0xC020AA00,
    "UFFDIO_UNREGISTER": 0x8010AA01,
    "UFFDIO_WAKE": 0x8010AA02,
    "UFFDIO_ZEROPAGE": 0xC020AA04,
    "UFFDIO_WRITEPROTECT": 0xC018AA06,
    "UFFDIO_CONTINUE": 0xC020AA07,
}


@pytest.mark.parametrize(("structure", "size"), SIZES.items())
def test_size(structure: type[Structure], size: int) -> None:
    assert sizeof(structure) == size


def test_numbers() -> None:
    assert structs.NUMBERS == NUMBERS


def test_offsets_in_kvm_run() -> None:
    run, mmio = structs.KvmRun, structs.KvmRunMmio
    assert (run.immediate_exit.offset, run.exit_reason.offset, run.exit.offset) == (
        1,
        8,
        32,
    )
    assert (mmio.data.offset, mmio.len.offset, mmio.is_write.offset) == (
        8,
        16,
        20,
    )
