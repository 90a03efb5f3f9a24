# SPDX-License-Identifier: GPL-2.0-only
"""Progress of long work on standard error: a bar on a terminal, a line now and then in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LABEL_WIDTH = 50
"""Columns of the label beside the bar."""
PIPE_SECONDS = 30.0
"""Least time between two lines in a pipe, in seconds."""

Advance = Callable[[str, str], None]
"""Called with each part that is done: its label, and what there is to say beside the count, as "3 violated"."""


@contextmanager
def progress(verb: str, total: int, done: int = 0, *, work: str = "searched") -> Iterator[Advance]:
    """Yield a function that is called when a part of the work is done; `done` parts already are.

    A `total` of 0 stands for an unknown number.
    """
    show = _bar if sys.stderr is not None and sys.stderr.isatty() else _lines
    with show(verb, total, done, work) as advance:
        yield advance


@contextmanager
def _bar(verb: str, total: int, done: int, work: str) -> Iterator[Advance]:
    from rich.console import Console  # noqa: PLC0415 (a terminal alone needs it)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=total or None, completed=done)

        def advance(label: str, note: str) -> None:
            bar.update(task, advance=1, description=label[:LABEL_WIDTH].ljust(LABEL_WIDTH))

        yield advance


@contextmanager
def _lines(verb: str, total: int, done: int, work: str) -> Iterator[Advance]:
    started = shown = time.monotonic()
    count = done

    def advance(label: str, note: str) -> None:
        nonlocal count, shown
        count += 1
        now = time.monotonic()
        if now - shown >= PIPE_SECONDS and (count < total or not total):
            shown = now
            of = f" of {total:,}" if total else ""
            parts = [f"{verb}: {count:,}{of} {work}", *([note] if note else []), f"{now - started:.0f} s"]
            print(", ".join(parts), file=sys.stderr, flush=True)  # noqa: T201 (it is what this is for)

    yield advance
