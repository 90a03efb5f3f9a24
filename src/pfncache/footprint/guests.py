# SPDX-License-Identifier: GPL-2.0-only
"""Guests whose footprints are measured: a few instructions each, or Linux."""

from __future__ import annotations

from dataclasses import dataclass

from pfncache.machines.program import GuestProgram

LOAD, STORE = (("load", "data"),), (("store", "data"),)
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


SMALL: dict[str, SmallGuest] = {
    "sregs": SmallGuest("is given its registers, and not run", GuestProgram("ring3", LOAD, "spin"), runs=False),
    "real-hlt": SmallGuest("real mode, halts", GuestProgram("real", (), "hlt")),
    "real-store-load": SmallGuest(
        "real mode, a store and a load", GuestProgram("real", (*STORE, ("load", "data2")), "hlt")
    ),
    "ring0-store": SmallGuest("64-bit kernel mode, a store", GuestProgram("ring0", STORE, "hlt")),
    "ring3-load": SmallGuest("64-bit user mode, a load", GuestProgram("ring3", LOAD, "spin")),
    "ring3-store-mmio": SmallGuest(
        "64-bit user mode, a store, and one to an address without memory", GuestProgram("ring3", STORE, "mmio")
    ),
    "ring3-clocks": SmallGuest(
        "64-bit user mode, with kvm-clock and steal time", GuestProgram("ring3", LOAD, "spin"), clocks=True
    ),
}  # fmt: skip
"""Small guests, by name."""
GUESTS = {name: guest.text for name, guest in SMALL.items()} | {
    LINUX: "a bzImage, booted by a minimal VMM until it finds no root file system"
}
"""Descriptions of all guests, by name."""
