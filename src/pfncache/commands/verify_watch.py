# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache verify FILE.py --watch``: the same run again whenever a file is saved, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

import click

from pfncache.commands.names import usage_errors
from pfncache.commands.output import users_output_on_stderr
from pfncache.verify.loader import is_file, neighbours, split
from pfncache.verify.session import Session

POLL_SECONDS = 0.2
"""Seconds between two looks at the files. An editor has saved one when two looks in a row see the same."""
Stamp = tuple[int, int, int] | None
"""Time, size and inode of a file; None if it is not there."""


def watch(names: tuple[str, ...], plan: Callable[[], Session], width: int | None, by_name: bool) -> NoReturn:
    """Run what `plan` plans, and again when a file among `names` or a module beside it is saved. Ctrl-C ends it.

    An error in a file ends the first run. Later, it is printed, and the file is watched on.
    """
    from pfncache.verify.rerun import show_rerun
    from pfncache.verify.view import run_with_progress, show

    earlier: Session | None = None
    while True:
        files = [Path(split(name)[0]) for name in names if is_file(name)]
        seen = _stamps(files)
        started = time.perf_counter()
        try:
            with users_output_on_stderr(), usage_errors():
                session = plan()
                files += neighbours()
                seen |= _stamps(path for path in files if path not in seen)
                run_with_progress(session)
        except click.UsageError as error:
            if earlier is None:
                raise
            click.echo(error.format_message(), err=True)
        else:
            if session.interrupted is not None:
                raise session.interrupted
            seconds = time.perf_counter() - started
            if earlier is None:
                show(session.outcomes, seconds, by_name=by_name, width=width)
            else:
                show_rerun(session.outcomes, earlier.outcomes, width)
                click.echo(f"again in {seconds:.1f} s")
            earlier = session
        click.echo(f"watching {', '.join(map(str, files))}; Ctrl-C ends this", err=True)
        _wait_for_change(files, seen)


def _stamps(files: Iterable[Path]) -> dict[Path, Stamp]:
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _wait_for_change(files: list[Path], seen: dict[Path, Stamp]) -> None:
    """Return when a file is another one than it was, and is written to no more."""
    last = seen
    while True:
        now = _stamps(files)
        if now != seen and now == last and None not in now.values():
            return
        last = now
        time.sleep(POLL_SECONDS)
