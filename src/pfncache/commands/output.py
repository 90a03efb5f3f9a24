# SPDX-License-Identifier: GPL-2.0-only
"""Standard output of the command: whole, apart from what a user's code prints, and there even if it was closed."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

STDOUT, STDERR = 1, 2


def open_closed_streams() -> None:
    """Open what the caller closed, so that no other file gets its number: a write to standard output then fails."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # standard output for reading: who writes there gets EBADF, as with the closed one
            os.open(os.devnull, os.O_WRONLY if number == STDERR else os.O_RDONLY)
    if sys.stdout is None:
        sys.stdout = open(STDOUT, "w", closefd=False)  # noqa: SIM115 (open until the end)
    if sys.stderr is None:
        sys.stderr = open(STDERR, "w", closefd=False)  # noqa: SIM115


@contextlib.contextmanager
def users_output_on_stderr() -> Iterator[None]:
    """Send what Python code, its processes and its workers print in the block to standard error."""
    sys.stdout.flush()
    saved = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(saved, STDOUT)
        os.close(saved)


def discard() -> None:
    """Discard what is still to be written to standard output, so that the interpreter does not try again."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
