# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache verify``: every interleaving of every scenario, for one design or for all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfncache.commands import options
from pfncache.commands.documented import DocumentedCommand
from pfncache.verify import MAX_STATES

if TYPE_CHECKING:
    from pfncache.verify.run_record import RunRecord

STATES, WIDTH = click.IntRange(min=1000), click.IntRange(min=20)
PATH = click.Path(path_type=Path)


class VerifyCommand(DocumentedCommand):
    """The command."""

    def print_nothing(self, record: RunRecord) -> None:
        """Print the document of a run that has not begun."""
        from pfncache.verify.document import print_document

        print_document([], record)


@click.command(cls=VerifyCommand)
@options.designs
@options.scenarios
@click.option("--series", type=PATH, metavar="MBOX|DIR", help="A patch series in C: an mbox, or git format-patch's.")
@click.option("--base", metavar="VERSION", help="The kernel that the series applies to. Default: 7.3.")
@click.option("--tree", type=PATH, metavar="DIR", help="A kernel tree in C: as it is, or as the base of --series.")
@click.option("--range", metavar="A..B", help="The commits in --tree to check, beside A.")
@click.option("--thorough", is_flag=True, help="Search the larger array of the space of scenarios.")
@click.option("--all", "everything", is_flag=True, help="Every design, older kernels and reverted fixes too.")
@click.option("--coverage", is_flag=True, help="List the lines of each design that no scenario reaches.")
@click.option("--minimise", is_flag=True, help="Show each violation in the smallest world that still has it.")
@click.option("--each-patch", is_flag=True, help="Check a series patch by patch, as it would be bisected.")
@click.option("--absolute", is_flag=True, help="Count what the mainline version below a design violates, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--ktap", "as_ktap", is_flag=True, help="KTAP on standard output.")
@click.option("--junit", type=options.FILE, help="Write JUnit's XML there, too.")
@click.option("--html", type=options.FILE, help="Write a page there on which to step through each interleaving.")
@click.option("--width", type=WIDTH, default=None, help="Columns of a trace. Default: 75, or 37 for each of many CPUs.")
@click.option("--max-states", type=STATES, default=MAX_STATES, show_default=True, help="Per scenario.")
@click.option("--budget", type=options.Duration(), default=0.0, help="Guided search where --max-states ends one.")
@click.option("--no-reduction", is_flag=True, help="Expand every actor in every state, not a persistent set of them.")
@options.first
@options.processes
@click.option(
    "--watch", is_flag=True, help="Run again whenever FILE.py is saved, and show what differs. Ctrl-C ends it."
)
@click.pass_context
def verify(ctx: click.Context, /, **given: Any) -> None:
    """Check designs: does any interleaving of any scenario violate a property?

    Without a design: the newest mainline and every series. FILE.py has designs and scenarios of your own, which are
    checked beside the catalogue's; if it has scenarios alone, these are checked under the other designs.

    A design is compared with the mainline version below it: what that violates too is counted, not shown, and no
    failure. A mainline version itself is not compared.

    The newest mainline, the series and designs of your own are searched in an array of scenarios that covers the
    space of them, too (`pfncache list dimensions`); with --watch, only if -s or --thorough asks for it.

    --series and --tree check the kernel's own C, and say of each changed function whether it was checked.

    Exit status: 0 everything was searched and holds, 1 violated, 2 usage, 3 incomplete: something was bounded,
    vacuous, not applicable, or lost; 130 interrupted, 143 terminated.
    """
    from pfncache.commands.verify_run import VerifyOptions, run

    ctx.exit(run(VerifyOptions(**given)))
