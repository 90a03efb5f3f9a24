# SPDX-License-Identifier: GPL-2.0-only
"""Fuzz the model against a kernel for a time: ``python -m tests.fuzz SECONDS [--kernel RELEASE] [--seed S --first N]``.

Programs are numbered, and the same for a seed: the last line of a run has the number at which the next one goes on.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from pfncache.kernels.find import find
from pfncache.machines.isolate import isolated
from pfncache.machines.vm.guest import Guest
from pfncache.selftests.differential.inside import run_programs
from pfncache.selftests.differential.program import Program, SideState
from pfncache.selftests.identify import Host, probe
from pfncache.selftests.targets import GuestKernel
from tests.fuzz.differential import Differential, RunPrograms

BATCH = 20
"""Programs of a batch, which is one call into a guest."""
BATCH_SECONDS = 600.0
NO_KVM, DIFFERENT = 4, 1
"""Exit statuses."""


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
    """Batches until time is up. Exit status 1: a difference."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("seconds", type=float, nargs="?", default=60.0)
    parser.add_argument("--kernel", default="", help="a kernel in QEMU instead of this host's")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--first", type=int, default=0, help="number of the first program")
    options = parser.parse_args()
    with _target(options.kernel) as (host, kernel):
        if host.capabilities is None:
            print(f"no usable KVM: {host.reason}")
            return NO_KVM
        xen = bool(host.capabilities.xen)
        both = Differential(host.design, kernel, host.capabilities.processor, xen)
        print(f"seed {options.seed}, the model of {host.design.name}{', Xen guests' if xen else ''}", flush=True)
        return _batches(both, options.seed, options.first, options.seconds)


def _batches(both: Differential, seed: str, first: int, seconds: float) -> int:
    started, operations, number = time.monotonic(), 0, first
    while (spent := time.monotonic() - started) < seconds:
        done, difference = both.batch(seed, range(number, number + BATCH))
        operations, number = operations + done, number + BATCH
        spent = time.monotonic() - started
        rate = f"{operations:,} operations in {spent:.0f} s, {operations / spent:.0f}/s"
        print(f"programs {first} to {number - 1}: {rate}; next: --first {number}", flush=True)
        if difference is not None:
            print(difference)
            return DIFFERENT
    print(f"the model of {both.design.name} and the kernel did not differ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
