# SPDX-License-Identifier: GPL-2.0-only
"""Structures of KVM's and userfaultfd's ioctls, and the ioctls' numbers, which depend on the structures' sizes."""

from __future__ import annotations

from ctypes import Structure, sizeof
from ctypes import c_int64 as s64
from ctypes import c_uint8 as u8
from ctypes import c_uint16 as u16
from ctypes import c_uint32 as u32
from ctypes import c_uint64 as u64

from pfncache.linux.include.uapi.linux import kvm

REGISTERS = (
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
    "rip", "rflags",
)  # fmt: skip


class KvmEnableCap(Structure):
    """struct kvm_enable_cap."""

    _fields_ = [("cap", u32), ("flags", u32), ("args", u64 * 4), ("pad", u8 * 64)]


class KvmUserspaceMemoryRegion(Structure):
    """struct kvm_userspace_memory_region."""

    _fields_ = [
        ("slot", u32),
        ("flags", u32),
        ("guest_phys_addr", u64),
        ("memory_size", u64),
        ("userspace_addr", u64),
    ]


class KvmUserspaceMemoryRegion2Struct(Structure):
    """struct kvm_userspace_memory_region2."""

    _fields_ = [
        ("slot", u32),
        ("flags", u32),
        ("guest_phys_addr", u64),
        ("memory_size", u64),
        ("userspace_addr", u64),
        ("guest_memfd_offset", u64),
        ("guest_memfd", u32),
        ("pad1", u32),
        ("pad2", u64 * 14),
    ]


class KvmCreateGuestMemfd(Structure):
    """struct kvm_create_guest_memfd."""

    _fields_ = [("size", u64), ("flags", u64), ("reserved", u64 * 6)]


class KvmMemoryAttributes(Structure):
    """struct kvm_memory_attributes."""

    _fields_ = [("address", u64), ("size", u64), ("attributes", u64), ("flags", u64)]


class KvmDirtyLog(Structure):
    """struct kvm_dirty_log."""

    _fields_ = [("slot", u32), ("padding1", u32), ("dirty_bitmap", u64)]


class KvmRegs(Structure):
    """struct kvm_regs."""

    _fields_ = [(name, u64) for name in REGISTERS]


class KvmSegment(Structure):
    """struct kvm_segment."""

    _fields_ = [
        ("base", u64),
        ("limit", u32),
        ("selector", u16),
        *((name, u8) for name in ["type", "present", "dpl", "db", "s", "l", "g", "avl", "unusable", "padding"]),
    ]


class KvmDtable(Structure):
    """struct kvm_dtable."""

    _fields_ = [("base", u64), ("limit", u16), ("padding", u16 * 3)]


class KvmSregs(Structure):
    """struct kvm_sregs."""

    _fields_ = [
        *((name, KvmSegment) for name in ["cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt"]),
        ("gdt", KvmDtable),
        ("idt", KvmDtable),
        *((name, u64) for name in ["cr0", "cr2", "cr3", "cr4", "cr8", "efer", "apic_base"]),
        ("interrupt_bitmap", u64 * 4),
    ]


class KvmMsrs(Structure):
    """struct kvm_msrs with room for one entry."""

    _fields_ = [("nmsrs", u32), ("pad", u32), ("index", u32), ("reserved", u32), ("data", u64)]


class KvmClockData(Structure):
    """struct kvm_clock_data."""

    _fields_ = [
        ("clock", u64),
        ("flags", u32),
        ("pad0", u32),
        ("realtime", u64),
        ("host_tsc", u64),
        ("pad", u32 * 4),
    ]


class KvmCpuidEntry2(Structure):
    """struct kvm_cpuid_entry2."""

    _fields_ = [
        *((name, u32) for name in ["function", "index", "flags", "eax", "ebx", "ecx", "edx"]),
        ("padding", u32 * 3),
    ]


CPUID_ENTRIES = 256


class KvmCpuid2(Structure):
    """struct kvm_cpuid2 with room for CPUID_ENTRIES entries."""

    _fields_ = [("nent", u32), ("padding", u32), ("entries", KvmCpuidEntry2 * CPUID_ENTRIES)]


class KvmRun(Structure):
    """The start of struct kvm_run, with the first 256 bytes of its exit data."""

    _fields_ = [
        ("request_interrupt_window", u8),
        ("immediate_exit", u8),
        ("padding1", u8 * 6),
        ("exit_reason", u32),
        ("ready_for_interrupt_injection", u8),
        ("if_flag", u8),
        ("flags", u16),
        ("cr8", u64),
        ("apic_base", u64),
        ("exit", u64 * 32),
    ]


class KvmRunMmio(Structure):
    """The mmio member of struct kvm_run."""

    _fields_ = [("phys_addr", u64), ("data", u8 * 8), ("len", u32), ("is_write", u8)]


class KvmTranslation(Structure):
    """struct kvm_translation."""

    _fields_ = [
        ("linear_address", u64),
        ("physical_address", u64),
        *((name, u8) for name in ["valid", "writeable", "usermode"]),
        ("pad", u8 * 5),
    ]


class KvmLapicState(Structure):
    """struct kvm_lapic_state."""

    _fields_ = [("regs", u8 * 0x400)]


class KvmRunIo(Structure):
    """The io member of struct kvm_run."""

    _fields_ = [("direction", u8), ("size", u8), ("port", u16), ("count", u32), ("data_offset", u64)]


class KvmPitConfig(Structure):
    """struct kvm_pit_config."""

    _fields_ = [("flags", u32), ("pad", u32 * 15)]


class UffdioApi(Structure):
    """struct uffdio_api."""

    _fields_ = [("api", u64), ("features", u64), ("ioctls", u64)]


class UffdioRange(Structure):
    """struct uffdio_range."""

    _fields_ = [("start", u64), ("len", u64)]


class UffdioRegister(Structure):
    """struct uffdio_register."""

    _fields_ = [("range", UffdioRange), ("mode", u64), ("ioctls", u64)]


class UffdioZeropage(Structure):
    """struct uffdio_zeropage, and struct uffdio_continue, which has the same layout."""

    _fields_ = [("range", UffdioRange), ("mode", u64), ("done", s64)]


class UffdioWriteprotect(Structure):
    """struct uffdio_writeprotect."""

    _fields_ = [("range", UffdioRange), ("mode", u64)]


class KvmXenHvmConfig(Structure):
    """struct kvm_xen_hvm_config."""

    _fields_ = [
        ("flags", u32),
        ("msr", u32),
        ("blob_addr_32", u64),
        ("blob_addr_64", u64),
        ("blob_size_32", u8),
        ("blob_size_64", u8),
        ("pad2", u8 * 30),
    ]


class KvmXenAttr(Structure):
    """struct kvm_xen_hvm_attr, and struct kvm_xen_vcpu_attr, which has the same layout."""

    _fields_ = [("type", u16), ("pad", u16 * 3), ("u", u64 * 8)]


class KvmIrqRoutingXenEvtchn(Structure):
    """struct kvm_irq_routing_xen_evtchn."""

    _fields_ = [("port", u32), ("vcpu", u32), ("priority", u32)]


def _io(number: int, group: int = 0xAE) -> int:
    return group << 8 | number


def _iow(number: int, structure: type[Structure], group: int = 0xAE, size: int | None = None) -> int:
    return 1 << 30 | (sizeof(structure) if size is None else size) << 16 | _io(number, group)


def _ior(number: int, structure: type[Structure], group: int = 0xAE) -> int:
    return 2 << 30 | sizeof(structure) << 16 | _io(number, group)


def _iowr(number: int, structure: type[Structure], group: int = 0xAE, size: int | None = None) -> int:
    return 3 << 30 | (sizeof(structure) if size is None else size) << 16 | _io(number, group)


FLEXIBLE = 8
"""sizeof() of a structure with a flexible array member, for an ioctl's number."""

NUMBERS = {
    "KVM_CREATE_VM": _io(0x01),
    "KVM_CHECK_EXTENSION": _io(0x03),
    "KVM_GET_VCPU_MMAP_SIZE": _io(0x04),
    "KVM_GET_SUPPORTED_CPUID": _iowr(0x05, KvmCpuid2, size=FLEXIBLE),
    "KVM_CREATE_VCPU": _io(0x41),
    "KVM_GET_DIRTY_LOG": _iow(0x42, KvmDirtyLog),
    "KVM_SET_USER_MEMORY_REGION": _iow(0x46, KvmUserspaceMemoryRegion),
    "KVM_SET_TSS_ADDR": _io(0x47),
    "KVM_SET_USER_MEMORY_REGION2": _iow(0x49, KvmUserspaceMemoryRegion2Struct),
    "KVM_CREATE_IRQCHIP": _io(0x60),
    "KVM_CREATE_PIT2": _iow(0x77, KvmPitConfig),
    "KVM_XEN_HVM_CONFIG": _iow(0x7A, KvmXenHvmConfig),
    "KVM_SET_CLOCK": _iow(0x7B, KvmClockData),
    "KVM_GET_CLOCK": _ior(0x7C, KvmClockData),
    "KVM_RUN": _io(0x80),
    "KVM_TRANSLATE": _iowr(0x85, KvmTranslation),
    "KVM_GET_LAPIC": _ior(0x8E, KvmLapicState),
    "KVM_SET_LAPIC": _iow(0x8F, KvmLapicState),
    "KVM_GET_REGS": _ior(0x81, KvmRegs),
    "KVM_SET_REGS": _iow(0x82, KvmRegs),
    "KVM_GET_SREGS": _ior(0x83, KvmSregs),
    "KVM_SET_SREGS": _iow(0x84, KvmSregs),
    "KVM_GET_MSRS": _iowr(0x88, KvmMsrs, size=FLEXIBLE),
    "KVM_SET_MSRS": _iow(0x89, KvmMsrs, size=FLEXIBLE),
    "KVM_SET_CPUID2": _iow(0x90, KvmCpuid2, size=FLEXIBLE),
    "KVM_ENABLE_CAP": _iow(0xA3, KvmEnableCap),
    "KVM_KVMCLOCK_CTRL": _io(0xAD),
    "KVM_XEN_HVM_SET_ATTR": _iow(0xC9, KvmXenAttr),
    "KVM_XEN_VCPU_GET_ATTR": _iowr(0xCA, KvmXenAttr),
    "KVM_XEN_VCPU_SET_ATTR": _iow(0xCB, KvmXenAttr),
    "KVM_XEN_HVM_EVTCHN_SEND": _iow(0xD0, KvmIrqRoutingXenEvtchn),
    "KVM_SET_MEMORY_ATTRIBUTES": _iow(0xD2, KvmMemoryAttributes),
    "KVM_CREATE_GUEST_MEMFD": _iowr(0xD4, KvmCreateGuestMemfd),
    "UFFDIO_REGISTER": _iowr(0x00, UffdioRegister, 0xAA),
    "UFFDIO_UNREGISTER": _ior(0x01, UffdioRange, 0xAA),
    "UFFDIO_WAKE": _ior(0x02, UffdioRange, 0xAA),
    "UFFDIO_ZEROPAGE": _iowr(0x04, UffdioZeropage, 0xAA),
    "UFFDIO_WRITEPROTECT": _iowr(0x06, UffdioWriteprotect, 0xAA),
    "UFFDIO_CONTINUE": _iowr(0x07, UffdioZeropage, 0xAA),
    "UFFDIO_API": _iowr(0x3F, UffdioApi, 0xAA),
}
"""ioctl numbers by name. A structure of the wrong size gives a number that the kernel does not know."""

_KVM_EXIT = "KVM_EXIT_"
EXIT_REASONS = {value: name.removeprefix(_KVM_EXIT) for name, value in vars(kvm).items() if name.startswith(_KVM_EXIT)}
"""Names of exit reasons, without the prefix KVM_EXIT_, by number."""
