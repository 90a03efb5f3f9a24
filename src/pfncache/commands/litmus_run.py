# SPDX-License-Identifier: GPL-2.0-only
"""A run of ``pfncache litmus``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfncache import __version__
from pfncache.commands.documented import documented, ending
from pfncache.commands.exit_status import ExitStatus
from pfncache.commands.names import usage_errors
from pfncache.commands.output import users_output_on_stderr
from pfncache.commands.verify_series import series_errors
from pfncache.verify.run_record import RunRecord

if TYPE_CHECKING:
    from pfncache.kernels.patch_mail import PatchMail
    from pfncache.litmus.document import LitmusFindings
    from pfncache.litmus.herd import Herd
    from pfncache.litmus.observe import MemoryModel
    from pfncache.litmus.protocol import LitmusTest
    from pfncache.litmus.source import KernelSource

DEFAULT_KERNEL = "7.3"


@dataclass(frozen=True, kw_only=True)
class LitmusOptions:
    """The command line."""

    names: tuple[str, ...]
    kernel: str | None
    tree: Path | None
    series: Path | None
    changed: bool
    scenarios: tuple[str, ...]
    verdicts: bool
    text: bool
    as_json: bool
    processes: int | None

    def check(self) -> None:
        """Raise a usage error for options that exclude each other, or a folder that does not exist."""
        if self.kernel is not None and self.tree is not None:
            raise click.UsageError("--kernel and --tree both choose the C; give one of them")
        if self.tree is not None and not self.tree.is_dir():
            raise click.UsageError(f"--tree {self.tree}: no such folder")
        if self.changed and self.series is None:
            raise click.UsageError("--changed compares with a series; give it as --series")
        if self.scenarios and (self.names or self.changed or self.verdicts or self.text):
            raise click.UsageError("-s generates tests; NAME, --changed, --verdicts and --text are for those by hand")
        if self.text and (self.changed or self.as_json):
            raise click.UsageError("--text prints tests alone; leave out --changed and --json")

    def as_json_options(self) -> dict[str, Any]:
        """Return the options that a result depends on."""
        shown = {field.name: getattr(self, field.name) for field in fields(self)}
        del shown["as_json"], shown["text"]
        default = DEFAULT_KERNEL if self.tree is None else None
        paths = {name: str(shown[name]) if shown[name] is not None else None for name in ("tree", "series")}
        lists = {name: list(shown[name]) for name in ("names", "scenarios")}
        jobs = shown.pop("processes")
        return {**shown, **paths, **lists, "kernel": self.kernel or default, "jobs": jobs}


def run(options: LitmusOptions) -> ExitStatus:
    """Ask and show. Returns the exit status."""
    from pfncache.litmus.document import LitmusFindings, print_document

    record = RunRecord(version=__version__, options=options.as_json_options())
    found = LitmusFindings()
    with documented(record, options.as_json, lambda: print_document(found, record)) as stop:
        with users_output_on_stderr(), usage_errors(), series_errors():
            options.check()
            tests = _tests(options.names)
        if options.text:
            with series_errors():
                return _print_texts(tests, options)
        with users_output_on_stderr(), usage_errors(), series_errors():
            _ask(options, tests, found)
        stop()
        record.status = _status(found)
        if options.as_json:
            print_document(found, record)
        else:
            _show(found, record.seconds, by_name=bool(options.names))
        return ExitStatus(record.status)


def _tests(names: tuple[str, ...]) -> list[LitmusTest]:
    from pfncache.litmus.catalogue import NoSuchLitmusTest, named

    try:
        return named(names)
    except NoSuchLitmusTest as error:
        raise click.UsageError(str(error)) from None


def _ask(options: LitmusOptions, tests: list[LitmusTest], found: LitmusFindings) -> None:
    """Ask what the command line asks for."""
    from pfncache.litmus.affected import affected
    from pfncache.litmus.session import LitmusSession
    from pfncache.litmus.source import KernelSource
    from pfncache.litmus.view import run_with_progress
    from pfncache.progress import progress

    found.kernel, tree = _tree(options)
    patches = _patches(options, found)
    if options.scenarios:
        from pfncache.commands.litmus_scenarios import KernelChoice, ask

        kernel = KernelChoice(found.kernel, tree, patches, _memory_model(tree))
        found.scenarios = ask(options.scenarios, kernel, options.processes)
        return
    with KernelSource(tree) as before, KernelSource(tree, patches) as source:
        model = _memory_model(tree)
        if options.changed:
            with progress("litmus", 0, work="asked") as advance:
                found.changed = affected(
                    before, source, model, tests=tests, processes=options.processes,
                    on_done=lambda result: advance(result.test.name, ""),
                )  # fmt: skip
            return
        found.tests = LitmusSession.plan(
            tests, source, model, kernel=found.kernel, processes=options.processes, with_variants=not options.verdicts
        )
    run_with_progress(found.tests)


def _patches(options: LitmusOptions, found: LitmusFindings | None = None) -> list[PatchMail]:
    from pfncache.kernels.patch_mail import read

    if options.series is None:
        return []
    patches = read(options.series, _note)
    if found is not None:
        found.kernel = f"{found.kernel} with {options.series.name}"
    return patches


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


def _print_texts(tests: list[LitmusTest], options: LitmusOptions) -> ExitStatus:
    """Print the tests as the C has them."""
    from pfncache.litmus.source import KernelSource

    tree = _tree(options)[1]
    with KernelSource(tree, _patches(options)) as source:
        return _print_fitted(tests, source)


def _print_fitted(tests: list[LitmusTest], source: KernelSource) -> ExitStatus:
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


def _memory_model(tree: Path) -> MemoryModel:
    from pfncache.kernels.session import NotDone
    from pfncache.litmus.herd import HerdError
    from pfncache.litmus.observe import MODEL, MemoryModel

    try:
        return MemoryModel(_herd(), tree / MODEL)
    except HerdError as error:
        raise NotDone(str(error)) from None


def _herd() -> Herd:
    from pfncache.kernels.session import working
    from pfncache.litmus.herd import get

    with working() as progress:
        return get(progress, _note)


def _show(found: LitmusFindings, seconds: float, *, by_name: bool) -> None:
    from pfncache.litmus.generated.view import show as show_scenarios
    from pfncache.litmus.view import show, show_changes

    if found.tests is not None:
        show(found.tests, seconds, by_name=by_name)
    if found.changed is not None:
        show_changes(found.changed, found.kernel, seconds)
    if found.scenarios is not None:
        show_scenarios(found.scenarios, seconds)


def _status(found: LitmusFindings) -> ExitStatus:
    for run_ in (found.tests, found.changed, found.scenarios):
        if run_ is not None and run_.interrupted is not None:
            return ending(run_.interrupted)[0]
    if found.changed is not None:
        return _worst(found.changed.is_broken, found.changed.is_incomplete)
    if found.scenarios is not None:
        return _worst(found.scenarios.is_unordered, found.scenarios.is_incomplete)
    assert found.tests is not None
    return _worst(found.tests.is_worse, found.tests.is_incomplete)


def _worst(is_violated: bool, is_incomplete: bool) -> ExitStatus:
    if is_violated:
        return ExitStatus.VIOLATED
    return ExitStatus.INCOMPLETE if is_incomplete else ExitStatus.OK
