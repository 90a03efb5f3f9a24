# SPDX-License-Identifier: GPL-2.0-only
"""Verbs whose run is one JSON document with --json, whatever happens to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from pfncache import __version__
from pfncache.commands.ending import describe
from pfncache.commands.exit_status import ExitStatus
from pfncache.interrupts import Terminated
from pfncache.verify.run_record import RunRecord


class DocumentedCommand(click.Command):
    """A command; with --json, a wrong option or argument gets a document too."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments."""
        as_json = "--json" in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if as_json:
                record = RunRecord(version=__version__, status=error.exit_code, error=error.format_message())
                self.print_nothing(record)
            raise

    def print_nothing(self, record: RunRecord) -> None:
        """Print the document of a run that has not begun."""
        raise NotImplementedError


@contextmanager
def documented(record: RunRecord, as_json: bool, print_document: Callable[[], None]) -> Iterator[Callable[[], None]]:
    """Print the document of a run that an exception ends. Yields what sets the record's time when the run is over."""
    started = time.perf_counter()

    def stop() -> None:
        record.seconds = time.perf_counter() - started

    try:
        yield stop
    except BaseException as error:
        if as_json and record.seconds == 0:
            stop()
            record.status, record.error = ending(error)
            with suppress(OSError):  # the error is the one that counts
                print_document()
        raise


def ending(error: BaseException) -> tuple[ExitStatus, str]:
    """Return the exit status and the line of an exception, as commands/ending.py has them."""
    match error:
        case click.ClickException():
            return ExitStatus(error.exit_code), error.format_message()
        case KeyboardInterrupt():
            return ExitStatus.INTERRUPTED, "interrupted"
        case Terminated():
            return ExitStatus.TERMINATED, "terminated"
        case SystemExit():
            return ExitStatus.INTERNAL, f"ended by exit({error.code})"
        case _:
            return ExitStatus.INTERNAL, describe(error)
