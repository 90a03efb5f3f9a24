# SPDX-License-Identifier: GPL-2.0-only
"""Sets a scenario up on a design's kernel. An error of a user's code there is an outcome, or a line with its place."""

from __future__ import annotations

import inspect
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pfncache.check.compile.source import CompileError, Location
from pfncache.check.system import System
from pfncache.designs.design import Design
from pfncache.lang.atomic import WouldBlock
from pfncache.lang.records import Record
from pfncache.lang.report import PropertyViolated
from pfncache.lang.tracing import tracing
from pfncache.properties import PROBES
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import Build, Scenario
from pfncache.scenarios.scenario import scenario as scenario_decorator
from pfncache.scenarios.world import World
from pfncache.verify.trace import kernel_path

SETUP_ACCESS_LIMIT = 100_000
"""Accesses to shared state during a set-up; the longest of the catalogue has about a thousand."""
SETUP_SECONDS = 5.0
"""Time limit of a set-up, in seconds; the longest of the catalogue takes some milliseconds."""


class Watchdog:
    """A tracer that ends a set-up after SETUP_ACCESS_LIMIT accesses."""

    def __init__(self) -> None:
        self.left = SETUP_ACCESS_LIMIT

    def access(self, record: Record, field: str) -> None:
        """Count an access; report a livelock at the limit."""
        self.left -= 1
        if self.left < 0:
            raise PropertyViolated("livelock", "the set-up does not end")

    def enter_atomic(self, function: Callable[..., Any]) -> None:
        """Ignore the start of an atomic step."""

    def leave_atomic(self) -> None:
        """Ignore the end of an atomic step."""

    def changed(self, record: Record, field: str, old: Any, new: Any) -> None:
        """Ignore a change."""

    def choose(self, options: int) -> int:
        """Return the first outcome of a nondeterministic choice, as without a tracer."""
        return 0


def make_system(design: Design, scenario: Scenario | str) -> System:
    """Return the closed system of a scenario, or of the catalogue's of that name, with every property's probe."""
    chosen = SCENARIOS[scenario] if isinstance(scenario, str) else scenario
    system = make_kernel_system(design, chosen.build)
    if not system.actors:
        code = inspect.unwrap(chosen.build).__code__
        raise CompileError(
            Location(code.co_filename, code.co_firstlineno, code.co_name), f"{chosen.name} declares no actor"
        )
    return system


def make_kernel_system(design: Design, build: Build) -> System:
    """Return the closed system that `build` makes on a design's kernel, with every property's probe.

    If the design violates a property before the actors start, the system has the set-up as its only actor, so that the
    search reports the violation with a trace. Raises CompileError if that cannot be built either.
    """
    kernel = design.kernel(*PROBES)
    try:
        with tracing(Watchdog()), alarm(SETUP_SECONDS):
            return build(kernel)
    except BREAKDOWNS:
        try:
            with tracing(Watchdog()), alarm(SETUP_SECONDS):
                return build(kernel, defer_setup=True)
        except BREAKDOWNS as error:
            raise CompileError(_place(error), f"{type(error).__name__}: {error}") from None


@contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Report a livelock if the block takes longer than `seconds`: a tracer sees no loop without shared state."""

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
"""Exceptions that a call of a design's functions may raise."""
BREAKDOWNS = (PropertyViolated, WouldBlock, *PYTHON_ERRORS)
"""Exceptions that end a set-up early."""


MACHINERY = tuple(inspect.getsourcefile(part) for part in (Record, World, scenario_decorator))
"""Files whose frames are no part of a design or of a scenario."""


def _place(error: BaseException) -> Location:
    """Return the innermost line that is a design's, a scenario's or the model's."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename not in MACHINERY]
    return Location(frames[-1].filename, frames[-1].lineno or 0, frames[-1].name)


def compile_error(error: CompileError) -> str:
    """Return the error in one line, with the file as in the kernel tree."""
    return f"{kernel_path(error.where.file)}:{error.where.line}: {error.what}"
