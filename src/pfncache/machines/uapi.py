# SPDX-License-Identifier: GPL-2.0-only
"""What user space and KVM agree on: include/uapi/linux/kvm.h, mman.h, falloc.h, asm/kvm_para.h, asm/pvclock-abi.h."""

from __future__ import annotations

import struct
from dataclasses import dataclass

PAGE_SIZE = 4096

KVM_MEM_LOG_DIRTY_PAGES = 1
KVM_MEM_READONLY = 2
KVM_MEM_GUEST_MEMFD = 4

GUEST_MEMFD_FLAG_MMAP = 1
GUEST_MEMFD_FLAG_INIT_SHARED = 2
GUEST_MEMFD_FLAG_NO_DIRECT_MAP = 4
"""In no released kernel."""
SHARED_GMEM = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED

KVM_MEMORY_ATTRIBUTE_PRIVATE = 8
KVM_X86_DEFAULT_VM = 0
KVM_X86_SW_PROTECTED_VM = 1

MSR_KVM_WALL_CLOCK_NEW = 0x4B564D00
MSR_KVM_SYSTEM_TIME = 0x12
MSR_KVM_SYSTEM_TIME_NEW = 0x4B564D01
MSR_KVM_ASYNC_PF_EN = 0x4B564D02
MSR_KVM_STEAL_TIME = 0x4B564D03
MSR_KVM_ASYNC_PF_ACK = 0x4B564D07
KVM_MSR_ENABLED = 1
KVM_ASYNC_PF_DELIVERY_AS_INT = 8

PROT_NONE, PROT_READ, PROT_WRITE, PROT_EXEC = 0, 1, 2, 4
PROT_RW = PROT_READ | PROT_WRITE
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS, MAP_NORESERVE = 1, 2, 0x10, 0x20, 0x4000
MADV_DONTNEED, MADV_REMOVE, MADV_NOHUGEPAGE = 4, 9, 15
MADV_POPULATE_READ, MADV_POPULATE_WRITE = 22, 23
MADV_HWPOISON = 100
FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE = 1, 2, 16
PUNCH_HOLE = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE

UFFD_MISSING, UFFD_WP, UFFD_MINOR = 1, 2, 4
"""UFFDIO_REGISTER_MODE_*."""

PVCLOCK_GUEST_STOPPED = 2
_PVCLOCK = struct.Struct("<IIQQIbBxx")
_STEAL = struct.Struct("<QIIB")


@dataclass(frozen=True)
class PvClock:
    """struct pvclock_vcpu_time_info: what KVM writes for a guest that has asked for kvm-clock."""

    version: int
    tsc_timestamp: int
    system_time: int
    tsc_to_system_mul: int
    tsc_shift: int
    flags: int

    SIZE = _PVCLOCK.size

    @classmethod
    def parse(cls, data: bytes) -> PvClock:
        """Read the structure."""
        version, _, tsc, time, mul, shift, flags = _PVCLOCK.unpack(data[: cls.SIZE])
        return cls(version, tsc, time, mul, shift, flags)

    @property
    def written(self) -> bool:
        """Whether KVM has ever written it."""
        return self.version != 0

    def at(self, tsc: int) -> int:
        """The time in nanoseconds when the guest's TSC reads `tsc`, as a guest computes it."""
        delta = tsc - self.tsc_timestamp
        delta = delta << self.tsc_shift if self.tsc_shift >= 0 else delta >> -self.tsc_shift
        return self.system_time + (delta * self.tsc_to_system_mul >> 32)

    def __str__(self) -> str:
        if not self.written:
            return "not written"
        return f"version {self.version}, {self.system_time / 1e9:.9f} s at tsc {self.tsc_timestamp}"


@dataclass(frozen=True)
class StealTime:
    """struct kvm_steal_time."""

    steal: int
    version: int
    flags: int
    preempted: int

    SIZE = 64

    @classmethod
    def parse(cls, data: bytes) -> StealTime:
        """Read the structure."""
        return cls(*_STEAL.unpack(data[: _STEAL.size]))


# Xen guests: KVM_XEN_*, and include/xen/interface/xen.h, vcpu.h

XEN_HVM_CONFIG_HYPERCALL_MSR, XEN_HVM_CONFIG_INTERCEPT_HCALL, XEN_HVM_CONFIG_SHARED_INFO = 1, 2, 4
XEN_HVM_CONFIG_RUNSTATE, XEN_HVM_CONFIG_EVTCHN_2LEVEL, XEN_HVM_CONFIG_EVTCHN_SEND = 8, 16, 32
XEN_HVM_CONFIG_RUNSTATE_UPDATE_FLAG, XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE = 64, 128
XEN_HVM_CONFIG_SHARED_INFO_HVA = 256
XEN_MSR = 0x40000000
"""An MSR that a guest may write for its hypercall page."""
XEN_ATTR_LONG_MODE, XEN_ATTR_SHARED_INFO, XEN_ATTR_UPCALL_VECTOR, XEN_ATTR_SHARED_INFO_HVA = 0, 1, 2, 6
XEN_VCPU_ATTR_VCPU_INFO, XEN_VCPU_ATTR_VCPU_TIME_INFO, XEN_VCPU_ATTR_RUNSTATE_ADDR = 0, 1, 2
XEN_VCPU_ATTR_RUNSTATE_CURRENT, XEN_VCPU_ATTR_TIMER, XEN_VCPU_ATTR_UPCALL_VECTOR = 3, 7, 8
XEN_VCPU_ATTR_VCPU_INFO_HVA = 9
XEN_INVALID = (1 << 64) - 1
"""KVM_XEN_INVALID_GPA, KVM_XEN_INVALID_GFN: takes a place away."""
XEN_PRIO_2LEVEL = (1 << 32) - 1
RUNSTATE_RUNNING, RUNSTATE_RUNNABLE, RUNSTATE_BLOCKED, RUNSTATE_OFFLINE = range(4)
XEN_VCPU_INFO_TIME = 32
"""Where in struct vcpu_info the clock is."""


@dataclass(frozen=True)
class XenLayout:
    """Where things are in struct shared_info, struct vcpu_info and struct vcpu_runstate_info."""

    pending: int
    mask: int
    wall_clock: int
    seconds_high: int
    word_bits: int
    """Events of one bit of evtchn_pending_sel."""
    pending_sel: int
    runstate_entry: int


XEN_LONG_MODE = XenLayout(0x800, 0xA00, 0xC00, 0xC0C, 64, 8, 8)
XEN_COMPAT = XenLayout(0x800, 0x880, 0x900, 0x924, 32, 4, 4)
