# SPDX-License-Identifier: GPL-2.0-only
"""How a verb ends: the one place that turns what is raised into a line and an exit status."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pfncache import __version__, user_cache
from pfncache.commands import output
from pfncache.commands.exit_status import ExitStatus
from pfncache.interrupts import Terminated, raising

UNWRITABLE = {errno.EPIPE, errno.EBADF, errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG}
"""Errors of a write to standard output."""


def exit_status(call: Callable[[], Any]) -> int:
    """Call a command, print the line of what it raises, and return the exit status."""
    output.open_closed_streams()
    try:
        with raising():
            returned = call()
            sys.stdout.flush()
        return returned if isinstance(returned, int) else ExitStatus.OK
    except click.Abort as error:  # click's, of KeyboardInterrupt and of EOFError
        if isinstance(error.__cause__, EOFError):
            return _internal(error.__cause__)
        click.echo("interrupted", err=True)
        return ExitStatus.INTERRUPTED
    except click.ClickException as error:
        error.show()
        # of a class of click's own, 1: not done, which is no violation
        return ExitStatus.INCOMPLETE if error.exit_code == ExitStatus.VIOLATED else error.exit_code
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    except Terminated:
        click.echo("terminated", err=True)
        return ExitStatus.TERMINATED
    except SystemExit as ended:
        # rich ends so when the reader of standard output is gone
        if isinstance(ended.__context__, BrokenPipeError):
            output.discard()
            return ExitStatus.BROKEN_PIPE
        return _status(ended.code)
    except OSError as error:
        return _unwritable(error) or _internal(error)
    except BaseException as error:
        return _internal(error)


def _status(code: object) -> int:
    """Return the exit status of a SystemExit, as the interpreter has it."""
    if code is None:
        return ExitStatus.OK
    return code if isinstance(code, int) else ExitStatus.INTERNAL


def _unwritable(error: OSError) -> ExitStatus | None:
    """Report that standard output cannot be written; None if the error is another one."""
    if error.errno not in UNWRITABLE or error.filename is not None or not _was_writing(error):
        return None
    output.discard()
    if error.errno == errno.EPIPE:
        return ExitStatus.BROKEN_PIPE
    click.echo(f"pfncache: standard output: {os.strerror(error.errno)}", err=True)
    return ExitStatus.OUTPUT


def _was_writing(error: OSError) -> bool:
    """True if an error comes from a write to standard output: by click, by rich, or when it is flushed at the end."""
    last = list(traceback.walk_tb(error.__traceback__))[-1][0]
    return last.f_code.co_filename == __file__ or last.f_globals.get("__name__", "").split(".")[0] in ("click", "rich")


def _internal(error: BaseException) -> ExitStatus:
    """Report an unexpected error in one line, with the file that has the traceback."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        output.discard()  # or the interpreter would try again, and end with 120
    click.echo(f"pfncache: {describe(error)}; {save(error)}", err=True)
    return ExitStatus.INTERNAL


def describe(error: BaseException) -> str:
    """Return an unexpected error in one line."""
    text = " ".join(str(error).split())
    return f"internal error: {type(error).__name__}{': ' * bool(text)}{text}"


def save(error: BaseException) -> str:
    """Write the traceback into a file in the user's cache, or else in $TMPDIR. Returns where it is, in words."""
    text = "".join(traceback.format_exception(error))
    head = f"pfncache {__version__}, Python {sys.version}\n{sys.argv}\n"
    for folder in (_cache, lambda: Path(tempfile.gettempdir())):
        try:
            handle, path = tempfile.mkstemp(prefix="pfncache-traceback-", suffix=".txt", dir=folder())
            with open(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(head + text)
        except (OSError, RuntimeError):  # RuntimeError: there is no home folder
            continue
        return f"the traceback is in {path}"
    return "its traceback can be written nowhere"


def _cache() -> Path:
    return user_cache.folder("tracebacks")
