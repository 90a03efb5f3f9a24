# SPDX-License-Identifier: GPL-2.0-only
"""Virtual machines of /dev/kvm."""

from __future__ import annotations

import ctypes
import os

from pfncache.linux.include.uapi import (
    KVM_CAP_HYPERV_SYNIC,
    KVM_CAP_HYPERV_SYNIC2,
    KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
    KVM_MEM_GUEST_MEMFD,
    MAP_ANONYMOUS,
    MAP_PRIVATE,
    PROT_RW,
)
from pfncache.machines.host import firmware, libc
from pfncache.machines.host.devkvm import KvmHost
from pfncache.machines.host.file import HostFile
from pfncache.machines.host.libc import ioctl
from pfncache.machines.host.structs import (
    KvmClockData,
    KvmCreateGuestMemfd,
    KvmDirtyLog,
    KvmIrqRoutingXenEvtchn,
    KvmMemoryAttributes,
    KvmPitConfig,
    KvmUserspaceMemoryRegion,
    KvmUserspaceMemoryRegion2Struct,
    KvmXenAttr,
    KvmXenHvmConfig,
)
from pfncache.machines.host.vcpu import HostVcpu
from pfncache.machines.machine import Vm
from pfncache.machines.resource import OpenFile


class HostVm(Vm):
    """A virtual machine: its file descriptor, with the firmware in a memslot of its own."""

    def __init__(self, host: KvmHost, vm_type: int) -> None:
        self.host = host
        self.vm_type = vm_type
        self.fd = ioctl(host.fd, "KVM_CREATE_VM", vm_type)
        host.opened(self)
        self.vcpus: list[HostVcpu] = []
        self.irqchip = False
        self.synic: int | None = None
        """The capability of later vCPUs' SynIC; None without one."""
        anonymous = libc.mmap(None, firmware.SIZE, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        self._firmware = host.mapped(anonymous, firmware.SIZE)
        libc.copy_to(self._firmware, host.firmware)
        self.set_user_memory_region(firmware.SLOT, firmware.GPA, firmware.SIZE, self._firmware)

    def __repr__(self) -> str:
        return f"<VM of type {self.vm_type} on {self.host.name}>"

    def patch_firmware(self, offset: int, data: bytes) -> None:
        """Write to the firmware's memory."""
        libc.copy_to(self._firmware + offset, data)

    def create_irqchip(self) -> None:
        """KVM_CREATE_IRQCHIP."""
        ioctl(self.fd, "KVM_CREATE_IRQCHIP")
        self.irqchip = True

    def enable_synic(self, clears: bool = True) -> None:
        """KVM_CAP_HYPERV_SYNIC of later vCPUs, or KVM_CAP_HYPERV_SYNIC2."""
        self.synic = KVM_CAP_HYPERV_SYNIC if clears else KVM_CAP_HYPERV_SYNIC2

    def create_pc(self, tss: int) -> None:
        """Create KVM's interrupt controllers and timer, before the first vCPU; Intel uses three pages at `tss`."""
        ioctl(self.fd, "KVM_SET_TSS_ADDR", tss)
        ioctl(self.fd, "KVM_CREATE_IRQCHIP")
        ioctl(self.fd, "KVM_CREATE_PIT2", KvmPitConfig())

    def check_extension(self, capability: int) -> int:
        """KVM_CHECK_EXTENSION of this VM."""
        return ioctl(self.fd, "KVM_CHECK_EXTENSION", capability)

    def create_vcpu(self) -> HostVcpu:
        """KVM_CREATE_VCPU."""
        return HostVcpu(self, len(self.vcpus))

    def create_guest_memfd(self, size: int, flags: int = 0) -> HostFile:
        """KVM_CREATE_GUEST_MEMFD."""
        fd = ioctl(self.fd, "KVM_CREATE_GUEST_MEMFD", KvmCreateGuestMemfd(size, flags))
        return self.host.opened(HostFile(f"guest_memfd (flags {flags})", fd, size))

    def set_user_memory_region(self, slot: int, gpa: int, size: int, hva: int, flags: int = 0) -> None:
        """KVM_SET_USER_MEMORY_REGION."""
        ioctl(self.fd, "KVM_SET_USER_MEMORY_REGION", KvmUserspaceMemoryRegion(slot, flags, gpa, size, hva))

    def set_user_memory_region2(  # noqa: PLR0913 - the ioctl's
        self, slot: int, gpa: int, size: int, hva: int, flags: int = 0, gmem: OpenFile | None = None, offset: int = 0
    ) -> None:
        """KVM_SET_USER_MEMORY_REGION2."""
        fd = gmem.fd if isinstance(gmem, HostFile) else -1 if flags & KVM_MEM_GUEST_MEMFD else 0
        region = KvmUserspaceMemoryRegion2Struct(slot, flags, gpa, size, hva, offset, fd & 0xFFFFFFFF)
        ioctl(self.fd, "KVM_SET_USER_MEMORY_REGION2", region)

    def set_memory_attributes(self, gpa: int, size: int, attributes: int) -> None:
        """KVM_SET_MEMORY_ATTRIBUTES."""
        ioctl(self.fd, "KVM_SET_MEMORY_ATTRIBUTES", KvmMemoryAttributes(gpa, size, attributes, 0))

    def set_clock(self, nanoseconds: int) -> None:
        """KVM_SET_CLOCK."""
        ioctl(self.fd, "KVM_SET_CLOCK", KvmClockData(nanoseconds))

    def get_clock(self) -> int:
        """KVM_GET_CLOCK."""
        data = KvmClockData()
        ioctl(self.fd, "KVM_GET_CLOCK", data)
        return int(data.clock)

    def get_dirty_log(self, slot: int, pages: int) -> set[int]:
        """KVM_GET_DIRTY_LOG."""
        bitmap = (ctypes.c_uint64 * (-(-pages // 64)))()
        ioctl(self.fd, "KVM_GET_DIRTY_LOG", KvmDirtyLog(slot, 0, ctypes.addressof(bitmap)))
        return {page for page in range(pages) if bitmap[page // 64] >> page % 64 & 1}

    def xen_hvm_config(self, flags: int, msr: int = 0) -> None:
        """KVM_XEN_HVM_CONFIG."""
        ioctl(self.fd, "KVM_XEN_HVM_CONFIG", KvmXenHvmConfig(flags, msr))

    def xen_hvm_set_attr(self, attribute: int, value: int) -> None:
        """KVM_XEN_HVM_SET_ATTR."""
        ioctl(self.fd, "KVM_XEN_HVM_SET_ATTR", KvmXenAttr(attribute, u=(value,)))

    def xen_evtchn_send(self, port: int, vcpu: int = 0, priority: int = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL) -> None:
        """KVM_XEN_HVM_EVTCHN_SEND."""
        ioctl(self.fd, "KVM_XEN_HVM_EVTCHN_SEND", KvmIrqRoutingXenEvtchn(port, vcpu, priority))

    def close(self) -> None:
        """Close the vCPUs and the VM."""
        while self.vcpus:
            self.vcpus.pop().close()
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)
