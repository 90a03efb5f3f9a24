# SPDX-License-Identifier: GPL-2.0-only
"""A run of ``pfncache verify``: whatever happens, what was found is shown, as one document with --json."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfncache import __version__
from pfncache.commands.documented import documented, ending
from pfncache.commands.exit_status import ExitStatus
from pfncache.commands.names import usage_errors
from pfncache.commands.output import users_output_on_stderr
from pfncache.commands.verify_series import check_options, steps
from pfncache.verify.document import print_document
from pfncache.verify.run_record import RunRecord

if TYPE_CHECKING:
    from pfncache.designs.design import Design
    from pfncache.series.step import SeriesStep
    from pfncache.verify.design_outcome import DesignOutcome
    from pfncache.verify.selection import Extent
    from pfncache.verify.session import Session


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """The command line."""

    designs: tuple[str, ...]
    scenarios: tuple[str, ...]
    series: Path | None
    base: str | None
    tree: Path | None
    range: str | None
    everything: bool
    coverage: bool
    each_patch: bool
    absolute: bool
    as_json: bool
    as_ktap: bool
    junit: Path | None
    html: Path | None
    width: int
    max_states: int
    no_reduction: bool
    first: bool
    processes: int | None
    watch: bool = False
    thorough: bool = False
    minimise: bool = False
    budget: float = 0.0

    def check(self) -> None:
        """Raise a usage error for options that exclude each other."""
        if self.everything and self.designs:
            raise click.UsageError("--all is every design; leave out the names, or --all")
        if self.from_c and (self.designs or self.everything):
            raise click.UsageError("--series and --tree are designs of their own; leave out the names")
        check_options(self.series, self.base, self.tree, self.range)
        if self.as_json and self.as_ktap:
            raise click.UsageError("--json and --ktap are both for standard output; choose one")
        for option, file in (("--junit", self.junit), ("--html", self.html)):
            if file is not None and not file.absolute().parent.is_dir():
                raise click.UsageError(f"{option} {file}: there is no folder {file.absolute().parent}")

        if self.watch:
            self._check_watch()

    def _check_watch(self) -> None:
        """Raise a usage error for what is not to be watched."""
        from pfncache.verify.loader import is_file

        if not any(is_file(name) for name in self.designs):
            raise click.UsageError("--watch is for a file of your own; give FILE.py, too")
        others = {"--json": self.as_json, "--ktap": self.as_ktap, "--junit": self.junit, "--coverage": self.coverage}
        others |= {"--minimise": self.minimise, "--html": self.html}
        for option, given in others.items():
            if given:
                raise click.UsageError(f"--watch shows what differs as text; leave out {option}, or --watch")

    @property
    def extent(self) -> Extent:
        """How much of the space is searched by default: with --watch, nothing of it."""
        from pfncache.verify.selection import Extent

        if self.thorough:
            return Extent.THOROUGH
        return Extent.NAMED if self.watch else Extent.COVERING

    def command(self, design: Design) -> str:
        """Return the command that checks one of the designs again."""
        from pfncache.designs.catalogue import DESIGNS

        given: dict[str, object] = {"--series": self.series, "--base": self.base, "--tree": self.tree}
        given["--range"] = self.range
        words = [word for option, value in given.items() if value is not None for word in (option, str(value))]
        named = [design.name] if design.name in DESIGNS else [name for name in self.designs if name not in DESIGNS]
        return shlex.join(["pfncache", "verify", *(words or named)])

    @property
    def from_c(self) -> bool:
        """Whether the kernel's own C is checked."""
        return self.series is not None or self.tree is not None

    def as_json_options(self) -> dict[str, object]:
        """Return the options that a result depends on."""
        names = {"everything": "all", "processes": "jobs"}
        left_out = ("as_json", "as_ktap", "junit", "html", "width", "watch")
        return {
            names.get(name, name): str(value) if isinstance(value, Path) else value
            for name, value in asdict(self).items()
            if name not in left_out
        }


def run(options: VerifyOptions) -> ExitStatus:
    """Search and show. Returns the exit status."""
    if options.watch:
        options.check()
        from pfncache.commands.verify_watch import watch

        watch(options.designs, lambda: _plan(options), options.width, by_name=bool(options.scenarios))
    record = RunRecord(version=__version__, options=options.as_json_options())
    session: Session | None = None

    def print_partial() -> None:
        print_document(session.outcomes if session is not None else [], record)

    with documented(record, options.as_json, print_partial) as stop:
        with users_output_on_stderr(), usage_errors():
            options.check()
            session = _plan(options)
            from pfncache.verify.view import minimise_with_progress, run_with_progress

            run_with_progress(session)
            if options.minimise and session.interrupted is None:
                minimise_with_progress(session)
        stop()
        record.status = _status(session, session.outcomes)
        _show(options, session, record)
        return ExitStatus(record.status)


def _plan(options: VerifyOptions) -> Session:
    from pfncache.designs.catalogue import DEFAULT_DESIGNS, DESIGNS
    from pfncache.designs.design import Design
    from pfncache.verify.selection import Selection

    named = Selection.of(options.designs, rename=True)
    scenarios = named.scenarios_named(options.scenarios, options.extent)
    chosen: list[Design | SeriesStep] = list(named.designs) or [
        DESIGNS[n] for n in (DESIGNS if options.everything else DEFAULT_DESIGNS)
    ]
    if options.from_c:
        chosen = list(steps(options.series, options.base, options.tree, options.range, options.each_patch))
    elif options.each_patch:
        chosen = [step for design in chosen if isinstance(design, Design) for step in design.prefixes()]
    from pfncache.verify.session import SearchOptions, Session

    search = SearchOptions(
        max_states=options.max_states, reduction=not options.no_reduction, first=options.first, budget=options.budget,
        processes=options.processes, absolute=options.absolute, coverage=options.coverage, kept=True,
    )  # fmt: skip
    return Session.plan(chosen, scenarios, wanted=options.scenarios, options=search, space=named.space)


def _status(session: Session, designs: Sequence[DesignOutcome]) -> ExitStatus:
    from pfncache.verify.design_outcome import DesignVerdict
    from pfncache.verify.session import verdict_of

    if session.interrupted is not None:
        return ending(session.interrupted)[0]
    return {
        DesignVerdict.HOLDS: ExitStatus.OK,
        DesignVerdict.INCOMPLETE: ExitStatus.INCOMPLETE,
        DesignVerdict.VIOLATED: ExitStatus.VIOLATED,
    }[verdict_of(designs)]


def _show(options: VerifyOptions, session: Session, record: RunRecord) -> None:
    """Write the files and standard output."""
    designs = session.outcomes
    if options.as_json:
        print_document(designs, record)
    elif options.as_ktap:
        from pfncache.commands.formats import ktap

        click.echo(ktap(designs))
    else:
        from pfncache.verify.view import show

        show(designs, record.seconds, by_name=bool(options.scenarios), width=options.width)
    if options.junit is not None:
        from pfncache.commands.formats import write_junit

        write_junit(designs, options.junit)
    if options.html is not None:
        from pfncache.commands.verify_page import write

        write(session, options.html, options.command)
