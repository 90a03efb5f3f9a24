# SPDX-License-Identifier: GPL-2.0-only
"""Outcome of a selftest on a machine. Standard library only: this also runs inside a guest."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace

from pfncache.lang.atomic import WouldBlock
from pfncache.lang.report import PropertyViolated
from pfncache.machines.host import pace
from pfncache.machines.isolate import IsolatedResult, isolated
from pfncache.machines.machine import GuestExit, Machine, SyscallError
from pfncache.selftests.selftest import Selftest, SelftestFailure, SelftestSkipped


class SelftestStatus(enum.Enum):
    """Status of a test on one machine; the value completes a sentence about the machine."""

    PASS = "passes"
    FAIL = "fails"
    SKIP = "cannot run"
    HANG = "hangs"
    CRASH = "crashes"


@dataclass(frozen=True, kw_only=True)
class SelftestOutcome:
    """Status of a test on one machine, with what was observed."""

    status: SelftestStatus
    text: str = ""
    """Why it does not pass; empty if it does."""
    observation: object = None
    """What the test's body returned."""
    complaints: tuple[str, ...] = ()
    """Warnings and bugs in the kernel log."""
    notes: tuple[str, ...] = ()
    """Diagnostics of the test, such as counts."""
    seconds: float = 0.0
    splat: bool = False
    """Whether the model's kernel has stopped at a violated property."""
    timed_out: bool = False
    """Whether a time bound decided: the test failed after one had expired, or hung."""
    earlier: str = ""
    """Why an earlier run of the test did not end in time; empty if this is the first run."""


OpenMachine = Callable[[], Machine]


def run_on(open_machine: OpenMachine, test: Selftest, seconds: float) -> SelftestOutcome:
    """Run a test on a fresh machine, in a process of its own."""
    return outcome_of(isolated(lambda: perform(open_machine, test), seconds))


def outcome_of(result: IsolatedResult[SelftestOutcome]) -> SelftestOutcome:
    """Outcome of a test whose process has ended, hung or crashed."""
    if result.hung:
        return SelftestOutcome(status=SelftestStatus.HANG, text=result.trouble, seconds=result.seconds, timed_out=True)
    if result.value is None:
        return SelftestOutcome(status=SelftestStatus.CRASH, text=result.trouble, seconds=result.seconds)
    return replace(result.value, seconds=result.seconds)


def perform(open_machine: OpenMachine, test: Selftest) -> SelftestOutcome:
    """Run a test on a fresh machine, in this process."""
    try:
        machine = open_machine()
    except SyscallError as error:
        return SelftestOutcome(status=SelftestStatus.SKIP, text=str(error))
    missing = test.missing(machine.capabilities)
    if missing:
        machine.close()
        return SelftestOutcome(status=SelftestStatus.SKIP, text=missing)
    status, text, observation, splat = SelftestStatus.FAIL, "", None, False
    expired = pace.expirations()
    try:
        with machine:
            observation = test.body(machine)
        status = SelftestStatus.PASS
    except (SelftestFailure, PropertyViolated, WouldBlock, TimeoutError, GuestExit) as failure:
        text, splat = str(failure), isinstance(failure, PropertyViolated)
    except SelftestSkipped as skipped:
        return SelftestOutcome(status=SelftestStatus.SKIP, text=str(skipped))
    except SyscallError as error:
        text = f"unexpected {error}"
    return SelftestOutcome(
        status=status, text=text, observation=observation, complaints=machine.dmesg(), notes=machine.notes,
        splat=splat, timed_out=status is SelftestStatus.FAIL and pace.expirations() > expired,
    )  # fmt: skip
