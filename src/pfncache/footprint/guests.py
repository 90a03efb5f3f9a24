# SPDX-License-Identifier: GPL-2.0-only
"""Guests whose footprints are measured: a few instructions each, or Linux."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.machines.program import CpuMode, GuestInstruction, GuestProgram, ProgramEnd

LOAD, STORE = ((GuestInstruction.LOAD, "data"),), ((GuestInstruction.STORE, "data"),)
LINUX = "linux"


@dataclass(frozen=True)
class SmallGuest:
    """A guest that runs a small program."""

    text: str
    program: GuestProgram
    clocks: bool = False
    """Whether it enables kvm-clock and steal time."""
    runs: bool = True
    """Whether it is run, and not only given its registers."""


def _ring3(operations: tuple[tuple[GuestInstruction, str], ...], end: ProgramEnd) -> GuestProgram:
    return GuestProgram(CpuMode.RING3, operations, end)


SMALL: dict[str, SmallGuest] = {
    "sregs": SmallGuest("is given its registers, and not run", _ring3(LOAD, ProgramEnd.SPIN), runs=False),
    "real-hlt": SmallGuest("real mode, halts", GuestProgram(CpuMode.REAL, (), ProgramEnd.HLT)),
    "real-store-load": SmallGuest(
        "real mode, a store and a load",
        GuestProgram(CpuMode.REAL, (*STORE, (GuestInstruction.LOAD, "data2")), ProgramEnd.HLT),
    ),
    "ring0-store": SmallGuest("64-bit kernel mode, a store", GuestProgram(CpuMode.RING0, STORE, ProgramEnd.HLT)),
    "ring3-load": SmallGuest("64-bit user mode, a load", _ring3(LOAD, ProgramEnd.SPIN)),
    "ring3-store-mmio": SmallGuest(
        "64-bit user mode, a store, and one to an address without memory", _ring3(STORE, ProgramEnd.MMIO)
    ),
    "ring3-clocks": SmallGuest(
        "64-bit user mode, with kvm-clock and steal time", _ring3(LOAD, ProgramEnd.SPIN), clocks=True
    ),
}
"""Small guests, by name."""
GUESTS = {name: guest.text for name, guest in SMALL.items()} | {
    LINUX: "a bzImage, booted by a minimal VMM until it finds no root file system"
}
"""Descriptions of all guests, by name."""
