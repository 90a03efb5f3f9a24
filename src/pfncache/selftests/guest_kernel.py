# SPDX-License-Identifier: GPL-2.0-only
"""A guest's kernel, for selftests to run on."""

from __future__ import annotations

from pfncache.machines.vm.guest import Guest, GuestError
from pfncache.selftests.identify import PROBE_SECONDS, Host, ask_kernel, host_of
from pfncache.selftests.inside import perform_named
from pfncache.selftests.outcome import Kind, Outcome, outcome_of
from pfncache.selftests.selftest import Selftest

EMULATED = 4.0
"""How many times as long a test may take where there is no hardware virtualisation."""


class GuestKernel:
    """A guest's kernel. One that does not survive a test is replaced by a fresh one for the next."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._lost = False

    def probe(self) -> Host:
        """Ask the kernel what it is."""
        return host_of(self._guest.call(ask_kernel, seconds=EMULATED * PROBE_SECONDS))

    def __call__(self, test: Selftest) -> Outcome:
        """Run a test."""
        if self._lost:
            self._guest.start()
            self._lost = False
        try:
            ended = self._guest.call(perform_named, test.name, seconds=EMULATED * test.seconds)
        except GuestError as error:
            self._lost = True
            return Outcome(Kind.CRASH, str(error))
        self._lost = ended.left
        return outcome_of(ended)
