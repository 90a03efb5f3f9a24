# SPDX-License-Identifier: GPL-2.0-only
"""What VMs of this host stand on: /dev/kvm, and what of ours is to be closed and unmapped at the end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from pfncache.machines.capabilities import Processor
from pfncache.machines.host import firmware, libc
from pfncache.machines.host.deadline import Deadline
from pfncache.machines.host.libc import ioctl
from pfncache.machines.host.structs import CPUID_ENTRIES, Cpuid
from pfncache.machines.machine import Closing, SyscallError

C = TypeVar("C", bound=Closing)
DEVICE = "/dev/kvm"
RUN_SECONDS = 1.0
"""The bound of every KVM_RUN."""


_PARAMETERS = Path("/sys/module")
_FORCED_EMULATION = _PARAMETERS / "kvm" / "parameters" / "force_emulation_prefix"
_VENDORS = {"kvm_amd": ("npt", "nrips"), "kvm_intel": ("ept", "")}
"""Their parameters for nested paging and, where a processor may lack it, for the next instruction's address."""


def processor() -> Processor:
    """What the vCPUs of this host run on, as the vendor's module has found out; without one, KVM does it all."""
    for module, (paging, next_rip) in _VENDORS.items():
        folder = _PARAMETERS / module / "parameters"
        if folder.is_dir():
            return Processor(_is_set(folder / paging), not next_rip or _is_set(folder / next_rip))
    return Processor()


def force_emulation() -> None:
    """Have KVM emulate instructions that have the prefix for it. As root, and on a kernel that is ours."""
    _FORCED_EMULATION.write_text("1")


def forced_emulation() -> bool:
    """Whether KVM does so."""
    return _FORCED_EMULATION.is_file() and _FORCED_EMULATION.read_text().strip() not in ("0", "N")


def _is_set(parameter: Path) -> bool:
    return parameter.read_text().strip() in ("1", "Y")


class KvmHost(Closing):
    """An open /dev/kvm. To be made in the main thread: bounding KVM_RUN takes a signal, SIGRTMIN."""

    name = "kvm"

    def __init__(self) -> None:
        try:
            self.fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise SyscallError(error.errno or 0, f"open {DEVICE}") from None
        self.nested_paging = processor().nested_paging
        self._open: list[Closing] = []
        self._mappings: list[tuple[int, int]] = []
        self.deadline = Deadline(RUN_SECONDS)
        try:
            self.vcpu_mmap_size = ioctl(self.fd, "KVM_GET_VCPU_MMAP_SIZE")
            self.cpuid = Cpuid(CPUID_ENTRIES)
            ioctl(self.fd, "KVM_GET_SUPPORTED_CPUID", self.cpuid)
        except SyscallError:
            self.close()
            raise
        self.firmware = firmware.image()

    def check_extension(self, capability: int) -> int:
        """KVM_CHECK_EXTENSION."""
        return ioctl(self.fd, "KVM_CHECK_EXTENSION", capability)

    def supports(self, leaf: int, ecx: int) -> bool:
        """Whether guests can be given a feature that a leaf of CPUID has in ECX."""
        entries = self.cpuid.entries[: self.cpuid.nent]
        return any(entry.function == leaf and entry.ecx & ecx for entry in entries)

    def opened(self, closing: C) -> C:
        """Remember to close something."""
        self._open.append(closing)
        return closing

    def mapped(self, hva: int, length: int) -> int:
        """Remember to unmap something."""
        self._mappings.append((hva, length))
        return hva

    def close(self) -> None:
        """Close and unmap everything that was given out, the last first."""
        while self._open:
            self._open.pop().close()
        while self._mappings:
            libc.munmap(*self._mappings.pop())
        self.deadline.close()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
