# SPDX-License-Identifier: GPL-2.0-only
"""Sets a scenario up on a design's kernel. The design may be a user's: whatever it does there must be told."""

from __future__ import annotations

import inspect
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pfncache.check.compile.source import CompileError, Location
from pfncache.check.system import System
from pfncache.designs.design import Design
from pfncache.lang.atomic import WouldBlock
from pfncache.lang.records import Record
from pfncache.lang.report import PropertyViolated
from pfncache.lang.tracing import tracing
from pfncache.linux.vmlinux import Vmlinux
from pfncache.properties import PROBES
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.world import World

PATIENCE = 100_000
"""Accesses to the state during set-up; the longest of the catalogue takes about a thousand."""


SECONDS = 5.0
"""For a set-up; the longest of the catalogue takes some milliseconds."""


class Watchdog:
    """A tracer that ends a set-up that does not end by itself."""

    def __init__(self) -> None:
        self.left = PATIENCE

    def access(self, record: Record, field: str) -> None:
        """Count."""
        self.left -= 1
        if self.left < 0:
            raise PropertyViolated("livelock", "the set-up does not end")

    def enter_atomic(self, function: Callable[..., Any]) -> None:
        """Of no interest."""

    def leave_atomic(self) -> None:
        """Of no interest."""

    def changed(self, record: Record, field: str, old: Any, new: Any) -> None:
        """Of no interest."""

    def choose(self, options: int) -> int:
        """The first outcome, as without a tracer."""
        return 0


def make_system(design: Design, scenario: str) -> System:
    """The closed system of a scenario on a design's kernel, with every property's probe."""
    return make_kernel_system(design, SCENARIOS[scenario].build)


def make_kernel_system(design: Design, build: Callable[[type[Vmlinux]], System]) -> System:
    """The closed system that `build` makes on a design's kernel, with every property's probe.

    A design that breaks down before the actors start gets another system, whose only actor is the set-up, so that
    the compiler or the search says what is wrong. Raises CompileError when not even that can be made.
    """
    kernel = design.kernel(*PROBES)
    try:
        with tracing(Watchdog()), alarm(SECONDS):
            return build(kernel)
    except BREAKDOWNS:
        World.defer_setup = True
        try:
            with tracing(Watchdog()), alarm(SECONDS):
                return build(kernel)
        except BREAKDOWNS as error:
            raise CompileError(_place(error), f"{type(error).__name__}: {error}") from None
        finally:
            World.defer_setup = False


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """End the block when it takes longer: a loop that touches no state is not seen by a tracer."""

    def ring(*_: object) -> None:
        raise PropertyViolated("livelock", f"the set-up does not end within {seconds:g} s")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


PYTHON_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NameError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What the functions of a design may raise when they are called."""
BREAKDOWNS = (PropertyViolated, WouldBlock, *PYTHON_ERRORS)
"""How a set-up may end before its end."""


def _place(error: BaseException) -> Location:
    """The innermost line of a function that is not the model's machinery."""
    machinery = Path(inspect.getfile(Record))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) != machinery]
    return Location(frames[-1].filename, frames[-1].lineno or 0, frames[-1].name)
