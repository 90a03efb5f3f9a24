# SPDX-License-Identifier: GPL-2.0-only
"""Fuzz the model against a kernel for a time: ``python -m tests.fuzz SECONDS [--kernel RELEASE] [--seed S --first N]``.

Programs are numbered, and the same for a seed: the last line of a run, Ctrl-C and SIGTERM included, has the number at
which the next one goes on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pfncache.interrupts import Terminated, raising
from pfncache.kernels.find import find
from pfncache.machines.isolate import isolated
from pfncache.machines.vm.guest import Guest
from pfncache.selftests.differential.inside import run_programs
from pfncache.selftests.differential.program import Program, SideState
from pfncache.selftests.identify import Host, probe
from pfncache.selftests.targets import GuestKernel
from tests.fuzz.differential import Difference, Differential, RunPrograms

BATCH = 20
"""Programs of a batch, which is one call into a guest."""
BATCH_SECONDS = 600.0
NO_KVM, DIFFERENT = 4, 1
"""Exit statuses."""
INTERRUPTED: dict[type[BaseException], int] = {KeyboardInterrupt: 130, Terminated: 143}
"""Exit statuses, by what has ended a run before its time."""
RunBatch = Callable[[str, range], tuple[int, Difference | None]]
"""Differential.batch()."""


def _isolated(programs: list[Program], xen: bool) -> list[list[SideState]]:
    ended = isolated(lambda: run_programs(programs, xen), BATCH_SECONDS)
    if ended.value is None:
        raise RuntimeError(f"the kernel's side did not end: {ended.trouble}")
    return ended.value


@contextmanager
def _target(release: str) -> Iterator[tuple[Host, RunPrograms]]:
    """The kernel, and how programs run on it."""
    if not release:
        yield probe(), _isolated
        return
    with Guest(find(release), progress=print) as guest:
        kernel = GuestKernel(guest)

        def call(programs: list[Program], xen: bool) -> list[list[SideState]]:
            ended = guest.call(run_programs, programs, xen, seconds=BATCH_SECONDS)
            if ended.value is None:
                raise RuntimeError(f"the kernel's side did not end: {ended.trouble}")
            return ended.value

        yield kernel.probe(), call


def main() -> int:
    """Batches until time is up or enough operations ran. Exit status 1: a difference."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("seconds", type=float, nargs="?", default=60.0)
    parser.add_argument("--operations", type=int, default=0, help="end after so many operations; 0 for no bound")
    parser.add_argument("--kernel", default="", help="a kernel in QEMU instead of this host's")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--first", type=int, default=0, help="number of the first program")
    options = parser.parse_args()
    with raising(), _target(options.kernel) as (host, kernel):
        if host.capabilities is None:
            print(f"no usable KVM: {host.reason}")
            return NO_KVM
        xen = bool(host.capabilities.xen)
        both = Differential(host.design, kernel, host.capabilities.processor, xen)
        print(f"seed {options.seed}, the model of {host.design.name}{', Xen guests' if xen else ''}", flush=True)
        return FuzzRun(options.seed, options.first).go(both.batch, options.seconds, options.operations)


@dataclass
class FuzzRun:
    """A run of numbered programs, in batches."""

    seed: str
    first: int
    operations: int = 0

    def go(self, batch: RunBatch, seconds: float, enough: int = 0) -> int:
        """Run batches. Returns the exit status."""
        started, number = time.monotonic(), self.first
        try:
            while (spent := time.monotonic() - started) < seconds and not 0 < enough <= self.operations:
                done, difference = batch(self.seed, range(number, number + BATCH))
                self.operations, number = self.operations + done, number + BATCH
                spent = time.monotonic() - started
                print(self._programs(number, spent), flush=True)
                if difference is not None:
                    print(difference)
                    return DIFFERENT
        except (KeyboardInterrupt, Terminated) as interrupt:
            print(f"interrupted; go on with --seed {self.seed} --first {number}", flush=True)
            return INTERRUPTED[type(interrupt)]
        print("the model and the kernel did not differ")
        return 0

    def _programs(self, number: int, spent: float) -> str:
        rate = f"{self.operations:,} operations in {spent:.0f} s, {self.operations / spent:.0f}/s"
        return f"programs {self.first} to {number - 1}: {rate}; next: --first {number}"


if __name__ == "__main__":
    sys.exit(main())
