# SPDX-License-Identifier: GPL-2.0-only
"""A run of ``pfncache litmus``."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfncache.commands.documented import ending
from pfncache.commands.exit_status import ExitStatus
from pfncache.commands.verify_series import series_errors

if TYPE_CHECKING:
    from pfncache.litmus.herd import Herd
    from pfncache.litmus.protocol import LitmusTest
    from pfncache.litmus.session import LitmusSession
    from pfncache.litmus.source import KernelSource

DEFAULT_KERNEL = "7.3"


@dataclass(frozen=True, kw_only=True)
class LitmusOptions:
    """The command line."""

    names: tuple[str, ...]
    kernel: str | None
    tree: Path | None
    series: Path | None
    verdicts: bool
    text: bool
    processes: int | None

    def check(self) -> None:
        """Raise a usage error for options that exclude each other, or a folder that does not exist."""
        if self.kernel is not None and self.tree is not None:
            raise click.UsageError("--kernel and --tree both choose the C; give one of them")
        if self.tree is not None and not self.tree.is_dir():
            raise click.UsageError(f"--tree {self.tree}: no such folder")


def run(options: LitmusOptions) -> ExitStatus:
    """Ask and show. Returns the exit status."""
    from pfncache.litmus.catalogue import NoSuchLitmusTest, named

    options.check()
    try:
        tests = named(options.names)
    except NoSuchLitmusTest as error:
        raise click.UsageError(str(error)) from None
    with series_errors():
        return _run(options, tests)


def _run(options: LitmusOptions, tests: list[LitmusTest]) -> ExitStatus:
    from pfncache.kernels.patch_mail import read
    from pfncache.litmus.source import KernelSource

    started = time.monotonic()
    kernel, tree = _tree(options)
    patches = read(options.series, _note) if options.series is not None else []
    if options.series is not None:
        kernel = f"{kernel} with {options.series.name}"
    with KernelSource(tree, patches) as source:
        if options.text:
            return _print_texts(tests, source)
        session = _session(options, tests, source, kernel)
    from pfncache.litmus.view import run_with_progress, show

    run_with_progress(session)
    show(session, time.monotonic() - started, by_name=bool(options.names))
    return _status(session)


def _note(text: str) -> None:
    click.echo(text, err=True)


def _tree(options: LitmusOptions) -> tuple[str, Path]:
    """Return the kernel in words, and its tree; a source that is not here is fetched."""
    if options.tree is not None:
        return f"the C of {options.tree}", options.tree
    from pfncache.kernels.debian import upstream
    from pfncache.kernels.session import source_of, working

    with working() as progress:
        found = source_of(options.kernel or DEFAULT_KERNEL, progress)
    return f"the C of Linux {upstream(found.release)}", found.tree


def _print_texts(tests: list[LitmusTest], source: KernelSource) -> ExitStatus:
    """Print the tests as the C has them."""
    from pfncache.litmus.fit import fit
    from pfncache.litmus.render import render

    status = ExitStatus.OK
    for fitted in (fit(test, source) for test in tests):
        for line in fitted.out_of_date:
            click.echo(f"{fitted.test.name} is out of date: {line}", err=True)
            status = ExitStatus.INCOMPLETE
        if not fitted.out_of_date:
            click.echo(render(fitted.test, fitted.threads))
    return status


def _session(options: LitmusOptions, tests: list[LitmusTest], source: KernelSource, kernel: str) -> LitmusSession:
    from pfncache.kernels.session import NotDone
    from pfncache.litmus.herd import HerdError
    from pfncache.litmus.observe import MODEL, MemoryModel
    from pfncache.litmus.session import LitmusSession

    try:
        model = MemoryModel(_herd(), source.tree / MODEL)
    except HerdError as error:
        raise NotDone(str(error)) from None
    return LitmusSession.plan(
        tests, source, model, kernel=kernel, processes=options.processes, with_variants=not options.verdicts
    )


def _herd() -> Herd:
    from pfncache.kernels.session import working
    from pfncache.litmus.herd import get

    with working() as progress:
        return get(progress, _note)


def _status(session: LitmusSession) -> ExitStatus:
    from pfncache.litmus.protocol import LitmusVerdict

    if session.interrupted is not None:
        return ending(session.interrupted)[0]
    order = list(LitmusVerdict)
    results = session.results
    unknown = (LitmusVerdict.OUT_OF_DATE, LitmusVerdict.UNKNOWN)
    if any(r.verdict not in unknown and order.index(r.verdict) > order.index(r.test.expected) for r in results):
        return ExitStatus.VIOLATED
    return ExitStatus.INCOMPLETE if any(r.verdict in unknown for r in results) else ExitStatus.OK
