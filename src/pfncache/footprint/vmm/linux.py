# SPDX-License-Identifier: GPL-2.0-only
"""Linux as a guest: loaded, started at its 64-bit entry point, and served until it stops.

The guest's hardware is KVM's interrupt controllers and timer and a serial port, without firmware, PCI or ACPI. Every
other port reads as all ones.
"""

from __future__ import annotations

import struct
import time

from pfncache.footprint.footprint import PANICKED
from pfncache.footprint.memory import GuestMemory
from pfncache.footprint.vmm.bzimage import BzImage
from pfncache.footprint.vmm.roles import roles
from pfncache.footprint.vmm.serial import COM1, Serial
from pfncache.linux.include.uapi import PAGE_SIZE
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.host.structs import KvmDtable, KvmRegs, KvmSegment, KvmSregs
from pfncache.machines.machine import Exit
from pfncache.machines.resource import Closing

GDT, ZERO_PAGE, TABLES, COMMAND_LINE = 0x6000, 0x7000, 0x9000, 0x20000
_LAYOUT = {"GDT": (GDT, 1), "boot parameters": (ZERO_PAGE, 1), "first page tables": (TABLES, 6), "command line": (COMMAND_LINE, 1)}  # fmt: skip # noqa: E501
"""Address and number of pages of what the VMM puts in the guest's memory."""
LOW, HIGH = 0x9F000, 0x100000
"""Start and end of the hole for video memory and ROMs."""
TSS = 0x7FFF0000
"""Address for KVM_SET_TSS_ADDR: beyond the guest's memory, and a positive C int, as Python's ioctl() requires."""
COMMAND = "console=ttyS0 panic=0 pci=off i8042.nokbd i8042.noaux noxsave"
"""noxsave: emulated by QEMU 7.2, KVM seems to miss XSETBV; Linux finds inconsistent XSAVE sizes, and crashes."""
GIVES_UP = "end Kernel panic"
"""End of the last line that Linux prints."""
_KEYBOARD, _RESET, _CMOS = 0x64, 0xFE, (0x70, 0x71)
_ROOM = 64
"""Memory that Linux requires beside its image, in MiB."""
_SERIAL_PORTS = 8
"""Registers of a 16550, one a port."""
_ALL_ONES = 0xFFFFFFFFFFFFFFFF
_CS, _DS = 0x10, 0x18
_PRESENT_RW, _LARGE = 3, 1 << 7


class NotEnough(Exception):
    """The kernel requires more memory."""


def needed(image: BzImage, megabytes: int) -> None:
    """Raise NotEnough unless a kernel fits into `megabytes` MiB of memory."""
    least = -(-(image.load + max(image.init_size, len(image.kernel))) >> 20) + _ROOM
    if megabytes < least:
        raise NotEnough(f"this kernel needs {least} MiB")


class LinuxGuest(Closing):
    """A guest with Linux in its memory. ``boot()`` runs it."""

    def __init__(self, machine: KvmMachine, image: BzImage, megabytes: int, append: str = "") -> None:
        needed(image, megabytes)
        self._vm = machine.create_vm()
        self._vm.create_pc(TSS)
        self._vcpu = self._vm.create_vcpu()
        self._image = image
        self.memory = GuestMemory(machine, self._vm, megabytes << 20)
        self.serial = Serial()
        self.exits = 0
        self._load(f"{COMMAND} {append}".strip())

    def _load(self, command_line: str) -> None:
        memory, image = self.memory, self._image
        memory.write(image.load, image.kernel)
        memory.write(COMMAND_LINE, command_line.encode() + b"\0")
        memory.write(ZERO_PAGE, image.zero_page(COMMAND_LINE, [(0, LOW), (HIGH, memory.size - HIGH)]))
        memory.write(GDT, struct.pack("<4Q", 0, 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF))
        pdpt, pd = TABLES + PAGE_SIZE, TABLES + 2 * PAGE_SIZE
        memory.write(TABLES, struct.pack("<Q", pdpt | _PRESENT_RW))
        memory.write(pdpt, struct.pack("<4Q", *(pd + gib * PAGE_SIZE | _PRESENT_RW for gib in range(4))))
        memory.write(pd, struct.pack("<2048Q", *(number << 21 | _LARGE | _PRESENT_RW for number in range(2048))))
        regs = KvmRegs(rip=image.entry, rsi=ZERO_PAGE, rflags=2)
        self._vcpu.start_at(self._long_mode(), regs)

    def _long_mode(self) -> KvmSregs:
        """Special registers for 64-bit mode with the first 4 GiB identity-mapped, as the boot protocol requires."""
        sregs = self._vcpu.sregs()
        sregs.cr0, sregs.cr3, sregs.cr4, sregs.efer = 0x80000011, TABLES, 0x20, 0x500
        sregs.cs = KvmSegment(0, 0xFFFFFFFF, _CS, type=0xB, present=1, s=1, l=1, g=1)
        for name in ("ds", "es", "fs", "gs", "ss"):
            setattr(sregs, name, KvmSegment(0, 0xFFFFFFFF, _DS, type=3, present=1, db=1, s=1, g=1))
        sregs.gdt = KvmDtable(GDT, 31)
        sregs.idt = KvmDtable(0, 0)
        return sregs

    def boot(self, deadline: float) -> str:
        """Run the guest until it stops, or until a time of the monotonic clock. Returns how it ended."""
        while time.monotonic() < deadline:
            leave = self._vcpu.enter()
            self.exits += 1
            if leave.reason == "IO":
                if ended := self._port(leave):
                    return ended
            elif leave.reason == "MMIO":
                if not leave.write:
                    self._vcpu.answer(_ALL_ONES)
            elif leave.reason != "INTR":
                return f"stopped: {leave}"
        return "still running when time was up"

    def _port(self, leave: Exit) -> str:
        """Handle an access to a port. Returns how the guest has ended by it; empty if it has not."""
        port, offset = leave.gpa, leave.gpa - COM1
        serial = 0 <= offset < _SERIAL_PORTS
        if not leave.write:
            self._vcpu.answer(self.serial.read(offset) if serial else 0 if port in _CMOS else _ALL_ONES)
            return ""
        if serial:
            for value in leave.data:
                self.serial.write(offset, value)
            if leave.data == b"\n" and GIVES_UP in self.serial.lines[-1]:
                return PANICKED + next(line.split("] ", 1)[-1] for line in self.serial.lines if "Kernel panic" in line)  # fmt: skip # noqa: E501
        if port == _KEYBOARD and leave.data[:1] == bytes([_RESET]):
            return "has reset itself"
        return ""

    def roles(self) -> dict[int, str]:
        """Return the known roles of pages: what the VMM has put there, then the role at the end of the run."""
        pieces = {**_LAYOUT, "bzImage": (self._image.load, -(-len(self._image.kernel) // PAGE_SIZE))}
        found = roles(self.memory, self._vcpu.sregs())
        for role, (gpa, count) in pieces.items():
            for gfn in range(gpa // PAGE_SIZE, gpa // PAGE_SIZE + count):
                found[gfn] = f"{role}, then {found[gfn]}" if gfn in found and found[gfn] != role else role
        return found

    def close(self) -> None:
        """Destroy the guest."""
        self._vcpu.close()
        self._vm.close()
