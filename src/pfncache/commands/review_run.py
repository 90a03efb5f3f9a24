# SPDX-License-Identifier: GPL-2.0-only
"""A run of ``pfncache review``: whatever happens, what was found is shown, as one document with --json."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfncache import __version__, user_cache
from pfncache.commands.documented import documented, ending
from pfncache.commands.ending import describe, save
from pfncache.commands.exit_status import ExitStatus
from pfncache.commands.names import design_named, usage_errors
from pfncache.commands.output import users_output_on_stderr
from pfncache.commands.verify_series import DEFAULT_BASE, fetched, series_errors
from pfncache.verify.run_record import RunRecord

if TYPE_CHECKING:
    from pfncache.review.kernel import KernelRun
    from pfncache.review.patches import PatchStep
    from pfncache.review.report import ReviewReport
    from pfncache.review.session import ReviewSession
    from pfncache.review.submission import Submission
    from pfncache.review.verdicts import Plan

MAILS = (".mbox", ".patch", ".eml")
"""Suffixes of files with mails: what ends so and does not exist is no design's name."""


@dataclass(frozen=True, kw_only=True)
class ReviewOptions:
    """The command line."""

    series: str | None
    base: str | None
    tree: Path | None
    span: str | None
    scenarios: tuple[str, ...]
    thorough: bool
    kernel: bool
    debug: bool
    tests: tuple[str, ...]
    since: Path | None
    all_traces: bool
    html: Path | None
    as_json: bool
    as_ktap: bool
    junit: Path | None
    max_states: int
    processes: int | None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> ReviewOptions:
        """Return the options of a command line. Beside --tree, A..B in the place of a series is a range of commits."""
        series, tree = given["series"], given["tree"]
        is_range = series is not None and tree is not None and given["span"] is None and ".." in series
        if is_range and not Path(series).exists():
            return cls(**{**given, "series": None, "span": series})
        return cls(**given)

    def check(self) -> None:
        """Raise a usage error for options that do not go together, or paths that do not exist."""
        if (self.series is None) == (self.span is None):
            raise click.UsageError("review takes a series, an mbox or a folder, or else --tree DIR A..B")
        if self.span is not None and self.tree is None:
            raise click.UsageError("--range is of commits in a tree; give --tree DIR, too")
        if self.base is not None and self.tree is not None:
            raise click.UsageError("--base and --tree both say what the series applies to; choose one")
        if self.tree is not None and not self.tree.is_dir():
            raise click.UsageError(f"--tree {self.tree}: no such folder")
        if self.as_json and self.as_ktap:
            raise click.UsageError("--json and --ktap are both for standard output; choose one")
        if not self.kernel and (self.debug or self.tests):
            raise click.UsageError("--debug and --selftest are of the kernel; leave out --no-kernel")
        for name, path in (("junit", self.junit), ("html", self.html)):
            if path is not None and not path.absolute().parent.is_dir():
                raise click.UsageError(f"--{name} {path}: there is no folder {path.absolute().parent}")

    @property
    def is_design(self) -> bool:
        """Whether the series is the name of a design, or a file with designs."""
        from pfncache.verify.loader import is_file

        if self.series is None or is_file(self.series):
            return self.series is not None
        path = Path(self.series)
        return not path.exists() and path.name == self.series and path.suffix not in MAILS

    @property
    def command(self) -> str:
        """The command line of the same review without the kernel."""
        given = {"--base": self.base, "--tree": self.tree, "--range": self.span}
        words = [*([self.series] if self.series else []), *(w for n, v in given.items() if v for w in (n, str(v)))]
        return shlex.join(["pfncache", "review", *words, "--no-kernel"])

    def as_json_options(self) -> dict[str, object]:
        """Return the options that a result depends on."""
        names = {"span": "range", "processes": "jobs", "tests": "selftests"}
        left_out = ("as_json", "as_ktap", "junit", "html", "all_traces")
        return {
            names.get(name, name): str(value) if isinstance(value, Path) else value
            for name, value in asdict(self).items()
            if name not in left_out
        }


def run(options: ReviewOptions) -> ExitStatus:
    """Review and show. Returns the exit status."""
    from pfncache.review.document import print_document
    from pfncache.review.since import Earlier

    record = RunRecord(version=__version__, options=options.as_json_options())
    session: ReviewSession | None = None
    earlier = Earlier()

    def report() -> ReviewReport | None:
        return earlier.compared(session.report) if session is not None else None

    with documented(record, options.as_json, lambda: print_document(report(), record)) as stop:
        with users_output_on_stderr(), usage_errors(), series_errors():
            options.check()
            earlier = Earlier.read(options.since) if options.since is not None else earlier
            with _submission(options) as submission:
                session = _session(options, submission)
                session.run()
        stop()
        found = report()
        assert found is not None
        record.status = _status(session, found)
        _show(options, found, record)
        if options.html is not None:
            from pfncache.commands.review_page import write

            write(session, found, options.html, options.command)
        return ExitStatus(record.status)


@contextmanager
def _submission(options: ReviewOptions) -> Iterator[Submission]:
    """Yield what is to be reviewed; commits are mails in a temporary folder meanwhile."""
    from pfncache.review.submission import of_design, of_mails, of_range, read_mails
    from pfncache.series.trees import tree_at, version_of

    if options.span is not None:
        assert options.tree is not None
        with user_cache.scratch() as folder:
            yield of_range(options.tree, options.span, folder)
    elif options.is_design:
        assert options.series is not None
        yield of_design(design_named(options.series))
    else:
        path = Path(options.series or "")
        mails, notes = read_mails(path)
        touched = [name for mail in mails for name in mail.files]
        if options.tree is not None:
            tree = tree_at(options.tree, version_of(options.tree), touched)
        else:
            tree = fetched(options.base or DEFAULT_BASE, touched)
        yield of_mails(path, mails, notes, tree)


def _session(options: ReviewOptions, submission: Submission) -> ReviewSession:
    from pfncache.review.session import Hooks, ReviewSession
    from pfncache.verify.view import run_with_progress

    def note(text: str) -> None:
        click.echo(text, err=True)

    def explain(error: BaseException) -> str:
        return f"{describe(error)}; {save(error)}"

    kernel, why = _kernel(options, submission)
    hooks = Hooks(note=note, search=run_with_progress, explain=explain)
    return ReviewSession(submission, lambda steps: _plan(options, steps), hooks, kernel, why)


def _kernel(options: ReviewOptions, submission: Submission) -> tuple[KernelRun | None, str]:
    """Return the run of the real kernel, or why there is none."""
    if not options.kernel:
        return None, "--no-kernel"
    if submission.path is None or submission.tree is None:
        return None, "a design in Python is no kernel"
    from pfncache.review.kernel import KernelRun

    version = submission.tree.version
    kernel = KernelRun(
        base=version, series=submission.path, mails=submission.mails, debug=options.debug, tests=options.tests
    )
    return kernel, ""


def _plan(options: ReviewOptions, steps: Sequence[PatchStep]) -> Plan:
    """Return what is searched: the scenarios that were asked for, all, or the short list of what is changed."""
    from pfncache.review.shortlist import shortlist
    from pfncache.review.verdicts import Plan
    from pfncache.verify.selection import Extent, Selection
    from pfncache.verify.session import SearchOptions

    named = Selection.of([options.series] if options.is_design and options.series is not None else [])
    search = SearchOptions(max_states=options.max_states, processes=options.processes, kept=True)
    files = dict.fromkeys(name for step in steps for name in step.patch.files)
    wanted = options.scenarios or (() if options.thorough else shortlist(files))
    scenarios = named.scenarios_named(wanted, Extent.COVERING if options.thorough else Extent.NAMED)
    return Plan(scenarios=scenarios, wanted=options.scenarios, search=search)


def _status(session: ReviewSession | None, report: ReviewReport) -> ExitStatus:
    from pfncache.review.report import ReviewVerdict

    if session is not None and session.stages.interrupted is not None:
        return ending(session.stages.interrupted)[0]
    return {
        ReviewVerdict.HOLDS: ExitStatus.OK,
        ReviewVerdict.INCOMPLETE: ExitStatus.INCOMPLETE,
        ReviewVerdict.FAULTY: ExitStatus.VIOLATED,
    }[report.verdict]


def _show(options: ReviewOptions, report: ReviewReport, record: RunRecord) -> None:
    """Write the files and standard output."""
    if options.as_json:
        from pfncache.review.document import print_document

        print_document(report, record)
    elif options.as_ktap:
        from pfncache.review.ktap import ktap

        click.echo(ktap(report))
    else:
        from pfncache.review.reply import render_reply

        click.echo(render_reply(report, command=options.command, all_traces=options.all_traces), nl=False)
    if options.junit is not None:
        from pfncache.review.junit import write_junit

        write_junit(report, options.junit)
