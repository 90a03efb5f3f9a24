# SPDX-License-Identifier: GPL-2.0-only
"""What comes of a selftest on a machine. Standard library only: this also runs inside a guest."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, replace

from pfncache.lang.atomic import WouldBlock
from pfncache.lang.report import PropertyViolated
from pfncache.machines.isolate import Ended, isolated
from pfncache.machines.machine import GuestExit, Machine, SyscallError
from pfncache.selftests.selftest import Failure, Selftest, Skip


class Kind(enum.Enum):
    """What came of a test on one machine."""

    PASS = "passes"
    FAIL = "fails"
    SKIP = "cannot run"
    HANG = "hangs"
    CRASH = "crashes"


@dataclass(frozen=True)
class Outcome:
    """What came of a test on one machine, and in words."""

    kind: Kind
    text: str = ""
    observation: object = None
    complaints: tuple[str, ...] = ()
    """What the kernel said besides."""
    notes: tuple[str, ...] = ()
    """What the test has to tell besides."""
    seconds: float = 0.0
    splat: bool = False
    """Whether it fails because the model's kernel has stopped with a complaint."""


Open = Callable[[], Machine]


def run_on(machine: Open, test: Selftest, seconds: float) -> Outcome:
    """Run a test on a fresh machine, in a process of its own."""
    return outcome_of(isolated(lambda: perform(machine, test), seconds))


def outcome_of(ended: Ended[Outcome]) -> Outcome:
    """What a test came to whose process has ended."""
    if ended.hung:
        return Outcome(Kind.HANG, ended.trouble, seconds=ended.seconds)
    if ended.value is None:
        return Outcome(Kind.CRASH, ended.trouble, seconds=ended.seconds)
    return replace(ended.value, seconds=ended.seconds)


def perform(open_machine: Open, test: Selftest) -> Outcome:
    """Run a test on a fresh machine, in this process."""
    try:
        machine = open_machine()
    except SyscallError as error:
        return Outcome(Kind.SKIP, str(error))
    missing = test.missing(machine.capabilities)
    if missing:
        machine.close()
        return Outcome(Kind.SKIP, missing)
    try:
        with machine:
            observation = test.body(machine)
    except (Failure, PropertyViolated, WouldBlock, TimeoutError, GuestExit) as failure:
        return Outcome(
            Kind.FAIL,
            str(failure),
            complaints=machine.dmesg(),
            notes=machine.notes,
            splat=isinstance(failure, PropertyViolated),
        )
    except Skip as skip:
        return Outcome(Kind.SKIP, str(skip))
    except SyscallError as error:
        return Outcome(Kind.FAIL, f"unexpected {error}", complaints=machine.dmesg())
    return Outcome(Kind.PASS, "", observation, machine.dmesg(), machine.notes)
