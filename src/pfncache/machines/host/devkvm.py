# SPDX-License-Identifier: GPL-2.0-only
"""/dev/kvm, and the files and mappings of this process that are released when it is closed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from pfncache.machines.capabilities import Processor
from pfncache.machines.host import firmware, libc, pace
from pfncache.machines.host.deadline import Deadline
from pfncache.machines.host.libc import ioctl
from pfncache.machines.host.structs import CPUID_ENTRIES, KvmCpuid2
from pfncache.machines.machine import SyscallError
from pfncache.machines.resource import Closing

C = TypeVar("C", bound=Closing)
DEVICE = "/dev/kvm"
RUN_SECONDS = 1.0
"""The bound of every KVM_RUN, at the pace of a fast machine."""
_PARAMETERS = Path("/sys/module")
_FORCED_EMULATION = _PARAMETERS / "kvm" / "parameters" / "force_emulation_prefix"
_VENDORS = {"kvm_amd": ("npt", "nrips"), "kvm_intel": ("ept", "")}
"""By module: its parameters for nested paging and, where a processor may lack it, for next_rip."""


def processor() -> Processor:
    """Virtualisation features of this host, from the parameters of the vendor's module; none without such a module."""
    for module, (paging, next_rip) in _VENDORS.items():
        folder = _PARAMETERS / module / "parameters"
        if folder.is_dir():
            return Processor(_is_set(folder / paging), not next_rip or _is_set(folder / next_rip))
    return Processor()


def force_emulation() -> None:
    """Enable KVM's parameter force_emulation_prefix. Requires root, and changes the kernel for all VMs."""
    _FORCED_EMULATION.write_text("1")


def forced_emulation() -> bool:
    """Whether KVM's parameter force_emulation_prefix is enabled."""
    return _FORCED_EMULATION.is_file() and _FORCED_EMULATION.read_text().strip() not in ("0", "N")


def _is_set(parameter: Path) -> bool:
    return parameter.read_text().strip() in ("1", "Y")


class KvmHost(Closing):
    """An open /dev/kvm. Has to be created in the main thread: KVM_RUN is bounded by a signal, SIGRTMIN."""

    name = "kvm"

    def __init__(self) -> None:
        try:
            self.fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise SyscallError(error.errno or 0, f"open {DEVICE}") from None
        self.nested_paging = processor().nested_paging
        self._open: list[Closing] = []
        self._mappings: list[tuple[int, int]] = []
        self.deadline = Deadline(pace.bound(RUN_SECONDS))
        try:
            self.vcpu_mmap_size = ioctl(self.fd, "KVM_GET_VCPU_MMAP_SIZE")
            self.cpuid = KvmCpuid2(CPUID_ENTRIES)
            ioctl(self.fd, "KVM_GET_SUPPORTED_CPUID", self.cpuid)
        except SyscallError:
            self.close()
            raise
        self.firmware = firmware.image()

    def check_extension(self, capability: int) -> int:
        """KVM_CHECK_EXTENSION."""
        return ioctl(self.fd, "KVM_CHECK_EXTENSION", capability)

    def supports(self, leaf: int, ecx: int) -> bool:
        """Whether guests may have a feature, by its bit in ECX of a CPUID leaf."""
        entries = self.cpuid.entries[: self.cpuid.nent]
        return any(entry.function == leaf and entry.ecx & ecx for entry in entries)

    def opened(self, closing: C) -> C:
        """Register something to be closed with the host."""
        self._open.append(closing)
        return closing

    def mapped(self, hva: int, length: int) -> int:
        """Register a mapping to be unmapped with the host."""
        self._mappings.append((hva, length))
        return hva

    def close(self) -> None:
        """Close and unmap everything that was registered, in reverse order."""
        while self._open:
            self._open.pop().close()
        while self._mappings:
            libc.munmap(*self._mappings.pop())
        self.deadline.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
