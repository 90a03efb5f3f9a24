# SPDX-License-Identifier: GPL-2.0-only
"""What was found out: the pages of a guest that KVM itself has touched."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Access:
    """KVM was seen to reach a page by a path, for the first time."""

    gfn: int
    path: str
    write: bool
    count: int
    """How often it was."""
    order: int
    """Among all accesses, from 1."""
    seconds: float
    """Since the measurement began."""


@dataclass(frozen=True)
class Footprint:
    """One guest, run once."""

    guest: str
    machine: str
    """On what: the model of a design, a kernel's release; and what its processor leaves to KVM."""
    pages: int
    """How many the guest has."""
    touched: tuple[int, ...]
    """The gfns with a PTE in the memslot's user mapping, which only KVM has used."""
    written: tuple[int, ...] | None
    """Those of them that were written through it; None where writes cannot be tracked."""
    ended: str
    """How the guest ended."""
    accesses: tuple[Access, ...] = ()
    """In order; without probes there are none."""
    emulated: dict[str, int] = field(default_factory=dict)
    """The instructions that KVM has emulated or skipped, the pages of devices they were for, and how often."""
    unprobed: str = ""
    """Why there were no probes; empty if there were."""
    blind: tuple[str, ...] = ()
    """Functions that the kernel has not, or does not let be probed."""
    lost: int = 0
    """Events that did not fit in the trace buffer."""
    roles: dict[int, str] = field(default_factory=dict)
    """What a page is to the guest, where we know."""
    populated: int = 0
    """How many pages the guest_memfd has at the end: those that anybody has touched."""
    exits: int = 0
    """How often KVM_RUN came back to user space."""
    seconds: float = 0.0
    console: tuple[str, ...] = ()
    """What the guest has printed."""

    @property
    def unexplained(self) -> tuple[int, ...]:
        """Touched pages that no probe has seen."""
        seen = {access.gfn for access in self.accesses}
        return tuple(gfn for gfn in self.touched if gfn not in seen)

    @property
    def unmapped(self) -> tuple[int, ...]:
        """Pages that a probe has seen, and that have no PTE."""
        return tuple(sorted({access.gfn for access in self.accesses} - set(self.touched)))

    def of(self, gfn: int) -> list[Access]:
        """The accesses to a page, in order."""
        return [access for access in self.accesses if access.gfn == gfn]

    def by_path(self) -> dict[str, set[int]]:
        """The touched pages that each path has reached, the path with most pages first."""
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
"""How the end of a guest begins that has got as far as it can."""


def ranges(gfns: tuple[int, ...]) -> list[tuple[int, int]]:
    """Runs of consecutive page numbers, as (first, last)."""
    found: list[tuple[int, int]] = []
    for gfn in sorted(gfns):
        if found and found[-1][1] == gfn - 1:
            found[-1] = (found[-1][0], gfn)
        else:
            found.append((gfn, gfn))
    return found
