# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that selftests run on: this host's, or a guest's in QEMU."""

from __future__ import annotations

from collections.abc import Callable

from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.vm.guest import Guest, GuestError
from pfncache.selftests.identify import PROBE_SECONDS, Host, host_of, identify_kernel
from pfncache.selftests.inside import perform_named
from pfncache.selftests.outcome import SelftestOutcome, SelftestStatus, outcome_of, run_on
from pfncache.selftests.selftest import Selftest

Kernel = Callable[[Selftest], SelftestOutcome]
EMULATION_FACTOR = 4.0
"""Factor on time bounds in a guest, which may run without hardware virtualisation."""


def this_host(test: Selftest) -> SelftestOutcome:
    """Run a test on this host's kernel."""
    return run_on(KvmMachine, test, test.seconds)


class GuestKernel:
    """A guest's kernel. If it does not survive a test, the next test gets a fresh guest."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._lost = False

    def probe(self) -> Host:
        """Identify the guest's kernel."""
        return host_of(self._guest.call(identify_kernel, seconds=EMULATION_FACTOR * PROBE_SECONDS))

    def __call__(self, test: Selftest) -> SelftestOutcome:
        """Run a test in the guest."""
        if self._lost:
            self._guest.start()
            self._lost = False
        try:
            result = self._guest.call(perform_named, test.name, seconds=EMULATION_FACTOR * test.seconds)
        except GuestError as error:
            self._lost = True
            return SelftestOutcome(status=SelftestStatus.CRASH, text=str(error))
        self._lost = result.unkillable
        return outcome_of(result)
