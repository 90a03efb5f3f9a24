# SPDX-License-Identifier: GPL-2.0-only
"""Footprint of a guest: the pages that KVM itself has touched."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Access:
    """First access of KVM to a page by a path."""

    gfn: int
    path: str
    write: bool
    count: int
    """Number of accesses by this path."""
    order: int
    """Number of the access, from 1, among all."""
    seconds: float
    """Since the measurement began."""


@dataclass(frozen=True)
class Footprint:
    """Footprint of one run of a guest."""

    guest: str
    machine: str
    """The model of a design or a kernel's release, and the processor's virtualisation features."""
    pages: int
    """Number of the guest's pages."""
    touched: tuple[int, ...]
    """Gfns with a PTE in the memslot's user mapping, which only KVM uses."""
    written: tuple[int, ...] | None
    """Those of them that were written through it; None if writes cannot be recorded."""
    ended: str
    """How the run ended."""
    accesses: tuple[Access, ...] = ()
    """Accesses in order; empty without probes."""
    emulated: dict[str, int] = field(default_factory=dict)
    """Counts of instructions that KVM has emulated or skipped, and of accesses to devices by page."""
    unprobed: str = ""
    """Why there are no probes; empty with probes."""
    blind: tuple[str, ...] = ()
    """Functions that the kernel lacks or does not allow to be probed."""
    lost: int = 0
    """Events lost because the trace buffer was full."""
    roles: dict[int, str] = field(default_factory=dict)
    """Known uses of pages by the guest."""
    populated: int = 0
    """Allocated pages of the guest_memfd at the end."""
    exits: int = 0
    """Number of exits of KVM_RUN to user space."""
    seconds: float = 0.0
    console: tuple[str, ...] = ()
    """Console output of the guest."""

    @property
    def unexplained(self) -> tuple[int, ...]:
        """Touched pages without an event of a probe."""
        seen = {access.gfn for access in self.accesses}
        return tuple(gfn for gfn in self.touched if gfn not in seen)

    @property
    def unmapped(self) -> tuple[int, ...]:
        """Pages with an event of a probe, but without a PTE."""
        return tuple(sorted({access.gfn for access in self.accesses} - set(self.touched)))

    def of(self, gfn: int) -> list[Access]:
        """Return the accesses to a page, in order."""
        return [access for access in self.accesses if access.gfn == gfn]

    def by_path(self) -> dict[str, set[int]]:
        """Return the touched pages of each path, the path with most pages first."""
        found: dict[str, set[int]] = {}
        touched = set(self.touched)
        for access in self.accesses:
            if access.gfn in touched:
                found.setdefault(access.path, set()).add(access.gfn)
        if self.accesses and self.unexplained:
            found[UNKNOWN] = set(self.unexplained)
        return dict(sorted(found.items(), key=lambda item: -len(item[1])))


UNKNOWN = "path unknown"
PANICKED = "panicked: "
"""Prefix of `ended` for a guest that has booted up to the mount of its root."""


def ranges(gfns: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return ranges of consecutive page numbers, as (first, last)."""
    found: list[tuple[int, int]] = []
    for gfn in sorted(gfns):
        if found and found[-1][1] == gfn - 1:
            found[-1] = (found[-1][0], gfn)
        else:
            found.append((gfn, gfn))
    return found
