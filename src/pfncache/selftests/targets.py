# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that selftests run on: this host's, or a guest's in QEMU."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pfncache.machines.host import pace
from pfncache.machines.host.machine import KvmMachine
from pfncache.machines.isolate import IsolatedResult
from pfncache.machines.vm.guest import Guest, GuestError
from pfncache.selftests.identify import PROBE_SECONDS, Host, host_of
from pfncache.selftests.inside import identify_here, perform_named, slowness
from pfncache.selftests.outcome import SelftestOutcome, SelftestStatus, outcome_of, run_on
from pfncache.selftests.selftest import Selftest

T = TypeVar("T")
Kernel = Callable[[Selftest], SelftestOutcome]
EMULATION_FACTOR = 4.0
"""Factor on time bounds in a guest, which may run without hardware virtualisation."""
_MEASURE_SECONDS = 120.0


def this_host(test: Selftest) -> SelftestOutcome:
    """Run a test on this host's kernel."""
    return run_on(KvmMachine, test, pace.bound(test.seconds))


class GuestKernel:
    """A guest's kernel. If it does not survive a test, the next test gets a fresh guest."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._lost = False
        self._factor = 1.0

    def calibrate(self) -> float:
        """Measure the guest's pace. Returns how much slower than an emulated guest on an idle machine it is."""
        measured = self._guest.call(slowness, pace.EMULATED_SECONDS, seconds=_MEASURE_SECONDS)
        self._factor = measured.value or pace.MAX_FACTOR
        return self._factor

    def probe(self) -> Host:
        """Identify the guest's kernel."""
        self.calibrate()
        return host_of(self._call(identify_here, seconds=PROBE_SECONDS))

    def _call(self, function: Callable[..., T], *arguments: object, seconds: float) -> IsolatedResult[T]:
        """Call a function in the guest at its pace, which is the last arguments."""
        bound = EMULATION_FACTOR * self._factor * seconds
        return self._guest.call(function, *arguments, self._factor, pace.EMULATED_SECONDS, seconds=bound)

    def __call__(self, test: Selftest) -> SelftestOutcome:
        """Run a test in the guest."""
        if self._lost:
            self._guest.start()
            self._lost = False
        try:
            result = self._call(perform_named, test.name, seconds=test.seconds)
        except GuestError as error:
            self._lost = True
            return SelftestOutcome(status=SelftestStatus.CRASH, text=str(error))
        self._lost = result.unkillable
        return outcome_of(result)
