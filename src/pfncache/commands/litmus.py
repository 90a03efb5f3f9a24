# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache litmus``: what each barrier is for, by the kernel's memory model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfncache.commands import options
from pfncache.commands.documented import DocumentedCommand

if TYPE_CHECKING:
    from pfncache.verify.run_record import RunRecord

PATH = click.Path(path_type=Path)


class LitmusCommand(DocumentedCommand):
    """The command."""

    def print_nothing(self, record: RunRecord) -> None:
        """Print the document of a run that has not begun."""
        from pfncache.litmus.document import LitmusFindings, print_document

        print_document(LitmusFindings(), record)


@click.command(cls=LitmusCommand)
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--kernel", metavar="VERSION", help="A kernel of Debian, whose source is fetched. Default: 7.3.")
@click.option("--tree", type=PATH, metavar="DIR", help="A kernel tree in C, instead.")
@click.option("--series", type=PATH, metavar="MBOX|DIR", help="Patches on top of it.")
@click.option("--changed", is_flag=True, help="Only the tests whose C the series changes, before and after it.")
@options.scenarios
@click.option("--verdicts", is_flag=True, help="The verdicts alone, without removing each barrier in turn.")
@click.option("--text", is_flag=True, help="Print the tests for herd7, and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@options.processes
@click.pass_context
def litmus(ctx: click.Context, /, **given: Any) -> None:
    """Ask the kernel's memory model what the barriers of KVM's lockless protocols are for.

    A test abstracts functions of the kernel. Its accesses are checked against the C, and its order, barriers, locks and
    marks are those of the C, so that a patch changes the result without a change of the test; a test whose accesses are
    not those of the C any more is out of date. NAME is a test, or the beginning of one's name. herd7 and the kernel's
    source are fetched if they are not here.

    With -s, tests are generated: of what a scenario's actors access without a lock, each cycle of accesses. If all are
    ordered, a search of the scenario, in which each step is a full barrier, misses nothing for that.

    Exit status: 0 as expected of 7.3.4, 1 worse, or not ordered, 2 usage, 3 incomplete: out of date, or herd7 has not
    answered; 130 interrupted, 143 terminated.
    """
    from pfncache.commands.litmus_run import LitmusOptions, run

    ctx.exit(run(LitmusOptions(**given)))
