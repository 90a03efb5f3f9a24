# SPDX-License-Identifier: GPL-2.0-only
"""Sets a scenario up on a design's kernel. An error of a user's code there is an outcome, or a line with its place."""

from __future__ import annotations

import functools
import inspect
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from pfncache.check.compile.source import CompileError, Location
from pfncache.check.compile.values import IntKind, kind_of_hint
from pfncache.check.system import System
from pfncache.designs.design import Design
from pfncache.lang.records import Record
from pfncache.lang.report import PropertyViolated
from pfncache.lang.tracing import tracing
from pfncache.properties import PROBES
from pfncache.scenarios import SCENARIOS
from pfncache.scenarios.scenario import Build, Scenario
from pfncache.verify.trace import PACKAGE, kernel_path
from pfncache.verify.user_code import is_users, is_users_error, message, user_code

SETUP_ACCESS_LIMIT = 100_000
"""Accesses to shared state during a set-up; the longest of the catalogue has about a thousand."""
SETUP_SECONDS = 5.0
"""Time limit of a set-up, in seconds; the longest of the catalogue takes some milliseconds. It ends loops that touch no
shared state."""


class MissingFunction(CompileError):
    """A scenario calls a function that the design's kernel does not have; another design may add it."""

    def __init__(self, where: Location, what: str, name: str) -> None:
        super().__init__(where, what)
        self.name = name


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
        """Raise ValueError for a value that a state has no room for, where a user's line assigns it."""
        kind = kind_of_hint(type(record).fields[field].hint)
        if isinstance(kind, IntKind):
            fits = isinstance(new, int) and kind.low <= new <= kind.high
            room = f"a number from {kind.low} to {kind.high}"
        else:
            fits = kind is None or new is None or isinstance(new, kind.record)
            room = f"a {kind.record.__name__} or None" if kind is not None else ""
        if not fits and is_users(sys._getframe(2).f_code.co_filename):
            raise ValueError(f"{record}.{field} is {room}, not {new!r:.40}")

    def choose(self, options: int) -> int:
        """Return the first outcome of a nondeterministic choice, as without a tracer."""
        return 0


def make_system(design: Design, scenario: Scenario | str, probes: Sequence[type] = PROBES) -> System:
    """Return the closed system of a scenario, or of the catalogue's of that name, with the probes of properties."""
    chosen = SCENARIOS[scenario] if isinstance(scenario, str) else scenario
    system = make_kernel_system(design, chosen.build, probes)
    if not system.actors:
        code = inspect.unwrap(chosen.build).__code__
        raise CompileError(
            Location(code.co_filename, code.co_firstlineno, code.co_name), f"{chosen.name} declares no actor"
        )
    return system


def make_kernel_system(design: Design, build: Build, probes: Sequence[type] = PROBES) -> System:
    """Return the closed system that `build` makes on a design's kernel, with the probes of properties.

    If the design violates a property before the actors start, the system has the set-up as its only actor, so that the
    search reports the violation with a trace. Raises CompileError if that cannot be built either.
    """
    kernel = design.kernel(*probes)
    try:
        return _built(build, kernel)
    except BaseException as error:
        if not _breaks_down(error):
            raise
    try:
        return _built(build, kernel, defer_setup=True)
    except BaseException as error:
        if not _breaks_down(error):
            raise
        if isinstance(error, AttributeError) and error.name is not None and isinstance(error.obj, kernel):
            raise MissingFunction(_place(error, build), message(error), error.name) from None
        raise CompileError(_place(error, build), message(error)) from None


def _built(build: Build, kernel: type, **options: bool) -> System:
    """Return what `build` returns, within the limits of a set-up."""
    limits = user_code(SETUP_SECONDS, "the set-up") if _has_users_code(kernel, build) else nullcontext()
    with tracing(Watchdog()), limits:
        system: System = build(kernel, **options)
    return system


def _has_users_code(kernel: type, build: Build) -> bool:
    """Return whether a set-up may run code that is not the package's. A guard of it costs more than the set-up."""
    code = getattr(inspect.unwrap(build), "__code__", None)
    return code is None or is_users(code.co_filename) or _has_users_functions(kernel)


@functools.lru_cache(maxsize=256)
def _has_users_functions(kernel: type) -> bool:
    functions = (inspect.unwrap(value) for layer in kernel.__mro__ for value in vars(layer).values() if callable(value))
    return any(map(is_users, {f.__code__.co_filename for f in functions if hasattr(f, "__code__")}))


def _breaks_down(error: BaseException) -> bool:
    """True if an exception ends a set-up because of its code: no lack of memory, and no interrupt."""
    return is_users_error(error) and not isinstance(error, MemoryError | CompileError)


MACHINERY = ("verify/", "lang/", "scenarios/world.py", "scenarios/scenario.py")
"""Beginnings of files of the package whose frames are no part of a design, a scenario or the model."""


def _place(error: BaseException, build: Build) -> Location:
    """Return the innermost line that the user wrote; else the user's scenario, or the innermost line of the model."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if is_users(f.filename)]
    code = getattr(inspect.unwrap(build), "__code__", None)
    if not own and code is not None and is_users(code.co_filename):
        return Location(code.co_filename, code.co_firstlineno, code.co_name)
    model = [f for f in frames if not f.filename.startswith(_machinery())]
    frame = (own or model or frames)[-1]
    return Location(frame.filename, frame.lineno or 0, frame.name)


def _machinery() -> tuple[str, ...]:
    return tuple(str(PACKAGE / part) for part in MACHINERY)


def compile_error(error: CompileError) -> str:
    """Return the error in one line, with the file as in the kernel tree."""
    return f"{kernel_path(error.where.file)}:{error.where.line}: {error.what}"
