# SPDX-License-Identifier: GPL-2.0-only
"""Programs on the kernel of this host, or of the guest in which this is called."""

from __future__ import annotations

from pfncache.machines.host.machine import KvmMachine
from pfncache.selftests.differential.program import Program, SideState, run


def run_programs(programs: list[Program], xen: bool) -> list[list[SideState]]:
    """Run programs, each on a new VM."""
    found = []
    for program in programs:
        with KvmMachine() as machine:
            found.append(run(machine, program, xen))
    return found
