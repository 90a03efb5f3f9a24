# SPDX-License-Identifier: GPL-2.0-only
"""A run of ``pfncache fidelity``: whatever happens, what was found is shown, as one document with --json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pfncache import __version__
from pfncache.commands.documented import documented, ending
from pfncache.commands.exit_status import ExitStatus
from pfncache.commands.names import usage_errors
from pfncache.commands.output import users_output_on_stderr
from pfncache.commands.verify_series import series_errors
from pfncache.verify.run_record import RunRecord

if TYPE_CHECKING:
    from pfncache.fidelity.session import FidelitySession

DEFAULT_KERNEL = "7.3"


@dataclass(frozen=True, kw_only=True)
class FidelityOptions:
    """The command line."""

    kernel: str | None
    tree: Path | None
    scenarios: tuple[str, ...]
    as_json: bool
    max_states: int
    processes: int | None

    def check(self) -> None:
        """Raise a usage error for options that exclude each other, or a folder that does not exist."""
        if self.kernel is not None and self.tree is not None:
            raise click.UsageError("--kernel and --tree both say what is compared; choose one")
        if self.tree is not None and not self.tree.is_dir():
            raise click.UsageError(f"--tree {self.tree}: no such folder")

    def as_json_options(self) -> dict[str, object]:
        """Return the options that a result depends on."""
        return {
            "kernel": self.kernel or (DEFAULT_KERNEL if self.tree is None else None),
            "tree": str(self.tree) if self.tree is not None else None,
            "scenarios": list(self.scenarios),
            "max_states": self.max_states,
            "jobs": self.processes,
        }


def run(options: FidelityOptions) -> ExitStatus:
    """Compare and show. Returns the exit status."""
    from pfncache.fidelity.document import print_document

    record = RunRecord(version=__version__, options=options.as_json_options())
    session: FidelitySession | None = None

    def print_partial() -> None:
        print_document(session, record)

    with documented(record, options.as_json, print_partial) as stop:
        with users_output_on_stderr(), usage_errors(), series_errors():
            options.check()
            session = _plan(options)
            from pfncache.fidelity.view import run_with_progress

            run_with_progress(session)
        stop()
        record.status = _status(session)
        if options.as_json:
            print_document(session, record)
        else:
            from pfncache.fidelity.view import show

            show(session, record.seconds, every=bool(options.scenarios))
        return ExitStatus(record.status)


def _plan(options: FidelityOptions) -> FidelitySession:
    from pfncache.fidelity.kernel_pair import pair_of
    from pfncache.fidelity.session import FidelitySession
    from pfncache.verify.selection import Selection

    scenarios = Selection(()).scenarios_named(options.scenarios)
    tree = options.tree or _fetched(options.kernel or DEFAULT_KERNEL)
    pair = pair_of(tree, _known_source)
    return FidelitySession.plan(pair, scenarios, max_states=options.max_states, processes=options.processes)


def _fetched(kernel: str) -> Path:
    """Return Debian's source of a kernel; it is fetched unless it is in the cache."""
    from pfncache.kernels.session import NotDone, source_of, working

    try:
        with working() as progress:
            return source_of(kernel, progress).tree
    except NotDone as error:
        raise NotDone(f"{error.format_message()}; --tree DIR compares a source that is here") from None


def _known_source(version: str) -> Path | None:
    """Return the source of a version that the model has, if it is in the cache."""
    from pfncache.kernels.source import find

    found = find(version)
    return found.tree if found is not None else None


def _status(session: FidelitySession) -> ExitStatus:
    from pfncache.fidelity.result import Agreement

    if session.interrupted is not None:
        return ending(session.interrupted)[0]
    return {Agreement.DIFFERENT: ExitStatus.VIOLATED, Agreement.INCOMPLETE: ExitStatus.INCOMPLETE}.get(
        session.agreement, ExitStatus.OK
    )
