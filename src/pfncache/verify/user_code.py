# SPDX-License-Identifier: GPL-2.0-only
"""Runs code of a user's file: it ends in time, does not end the process, and prints nothing on standard output."""

from __future__ import annotations

import contextlib
import io
import os
import posix
import signal
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from pfncache.verify.guardian import ended_by_signals

PACKAGE = Path(__file__).parents[1]
LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
"""Folders of Python's and of installed modules."""
ENDINGS = ("_exit", "abort", "execv", "execve", "fork", "forkpty", "kill", "killpg")
"""Functions of os that end this process or make another one of it."""
RING_INTERVAL = 0.05
"""Seconds after which the time limit is reported again, to code that catches the first report."""
MAX_RINGS = 40
"""Reports of the time limit after which the process ends."""
MAX_MESSAGE = 200
"""Characters of an exception's message that are shown."""


class TimeLimit(BaseException):
    """Code of a user's file does not end in time. No Exception, which that code might catch."""


class ProcessEnd(BaseException):
    """Code of a user's file calls a function that would end the process."""


@contextmanager
def user_code(seconds: float, what: str) -> Iterator[None]:
    """Run the block as code that a user wrote. Raises TimeLimit and ProcessEnd beside what the block raises."""
    with ExitStack() as stack:
        stack.enter_context(ended_by_signals(f"{what} does not end within {seconds:g} s, in a loop of C code"))
        stack.enter_context(_output_on_stderr())
        stack.enter_context(_state_kept())
        stack.enter_context(_endings_refused())
        stack.enter_context(time_limit(seconds, what))
        yield


@contextmanager
def time_limit(seconds: float, what: str) -> Iterator[None]:
    """Raise TimeLimit in the block, if it is the main thread's, once it has taken `seconds`."""
    rings = 0

    def ring(number: int, frame: FrameType | None) -> NoReturn:
        nonlocal rings
        rings += 1
        text = f"{what} does not end within {seconds:g} s"
        if rings > MAX_RINGS:
            os.write(2, f"Error: {text}, and catches every exception\n".encode())
            _exit(2)
        raise TimeLimit(text)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, RING_INTERVAL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_exit = os._exit


@contextmanager
def _endings_refused() -> Iterator[None]:
    """Let every function of ENDINGS raise ProcessEnd."""
    before = [(module, name, getattr(module, name)) for module in (os, posix) for name in ENDINGS]
    for module, name, _ in before:
        setattr(module, name, _refuse(name))
    try:
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)


def _refuse(name: str) -> Callable[..., NoReturn]:
    def refuse(*args: object, **options: object) -> NoReturn:
        raise ProcessEnd(f"calls os.{name}(); a file of designs defines them, and returns")

    return refuse


class _Stderr(io.TextIOBase):
    """Standard error, which cannot be closed through this."""

    def write(self, text: str) -> int:
        """Write to what is standard error now."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def fileno(self) -> int:
        """Return the descriptor of standard error."""
        return 2


@contextmanager
def _output_on_stderr() -> Iterator[None]:
    """Let standard output be standard error, for Python's objects and for the descriptor."""
    before, saved = sys.stdout, -1
    with contextlib.suppress(OSError, ValueError, AttributeError):
        before.flush()
        saved = os.dup(1)
        os.dup2(2, 1)
    sys.stdout = _Stderr()
    try:
        yield
    finally:
        sys.stdout = before
        if saved >= 0:
            os.dup2(saved, 1)
            os.close(saved)


@contextmanager
def _state_kept() -> Iterator[None]:
    """Restore what code of a user's file might change of the process."""
    folder: str | None = None
    with contextlib.suppress(OSError):
        folder = os.getcwd()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    limit, error = sys.getrecursionlimit(), sys.stderr
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
        sys.stderr = error
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():
                if signal.getsignal(number) is not handler:
                    signal.signal(number, handler)
        if folder is not None:
            with contextlib.suppress(OSError):
                os.chdir(folder)


def is_users(file: str) -> bool:
    """True if a file is neither the package's nor Python's nor an installed module's."""
    if file.startswith("<"):
        return False
    path = Path(file)
    if path.is_relative_to(PACKAGE):
        return False
    return not any(path.is_relative_to(folder) for folder in LIBRARIES)


def is_users_error(error: BaseException) -> bool:
    """True if an exception is an error of the code, and not an interrupt of the run."""
    if isinstance(error, Exception | SystemExit | GeneratorExit | TimeLimit | ProcessEnd):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    return not isinstance(error, KeyboardInterrupt) and bool(frames) and is_users(frames[-1].filename)


def message(error: BaseException) -> str:
    """Return the kind and the message of an exception in one line."""
    if isinstance(error, SystemExit):
        return "calls sys.exit(); a file of designs defines them, and returns"
    text = _first_line(error)
    if isinstance(error, TimeLimit | ProcessEnd):
        return text
    if isinstance(error, RecursionError):
        text = "maximum recursion depth exceeded"
    name = printable(type(error).__name__)
    return f"{name}: {text}" if text else name


def _first_line(error: Any) -> str:
    try:
        whole = str(error.msg if isinstance(error, SyntaxError) else error)
    except Exception:
        return "its message cannot be made"
    text = printable(whole.strip().partition("\n")[0].strip())
    return text if len(text) <= MAX_MESSAGE else text[:MAX_MESSAGE] + "..."


def printable(text: str) -> str:
    """Return text with escapes instead of what a terminal or an encoding might not take."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
