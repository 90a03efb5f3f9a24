# SPDX-License-Identifier: GPL-2.0-only
"""The exit statuses of every verb; docs/how-to/ci.md has them as a table."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """Exit status of the command."""

    OK = 0
    """Everything that was asked for was searched, and holds."""
    VIOLATED = 1
    """A property is violated (by default: where the base does not violate it), or a test failed."""
    USAGE = 2
    """A name, an option or a file is wrong."""
    INCOMPLETE = 3
    """Nothing is violated, but something was bounded, vacuous, not applicable, or lost with its worker."""
    SKIPPED = 4
    """Every selftest was skipped."""
    INTERNAL = 70
    """An unexpected error of the program itself: EX_SOFTWARE of sysexits.h."""
    OUTPUT = 74
    """Standard output cannot be written: EX_IOERR of sysexits.h. Other tools end with 1, which is VIOLATED here."""
    INTERRUPTED = 130
    """Ctrl-C: 128 + SIGINT."""
    BROKEN_PIPE = 141
    """The reader of standard output is gone: 128 + SIGPIPE, as a shell shows it of other tools."""
    TERMINATED = 143
    """128 + SIGTERM."""
