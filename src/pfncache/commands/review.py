# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache review``: a posted series, as a careful reviewer would answer it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfncache.commands import options
from pfncache.commands.documented import DocumentedCommand
from pfncache.commands.names import DesignName
from pfncache.verify import MAX_STATES

if TYPE_CHECKING:
    from pfncache.verify.run_record import RunRecord

STATES = click.IntRange(min=1000)
PATH = click.Path(path_type=Path)


class ReviewCommand(DocumentedCommand):
    """The command."""

    def print_nothing(self, record: RunRecord) -> None:
        """Print the document of a run that has not begun."""
        from pfncache.review.document import print_document

        print_document(None, record)


@click.command(cls=ReviewCommand)
@click.argument("series", required=False, type=DesignName(), metavar="[MBOX|DIR|A..B|DESIGN]")
@click.option("--base", metavar="VERSION", help="The kernel that the series applies to. Default: 7.3.")
@click.option("--tree", type=PATH, metavar="DIR", help="A kernel tree: the base, or what has the commits A..B.")
@click.option("--range", "span", metavar="A..B", help="The same as A..B, as verify has it.")
@options.scenarios
@click.option("--thorough", is_flag=True, help="Search the whole catalogue and the array of the space of scenarios.")
@click.option("--kernel/--no-kernel", default=True, help="Build the kernel, boot it, and run the selftests on it.")
@click.option("--debug", is_flag=True, help="Build it with KASAN and lockdep.")
@click.option("--selftest", "tests", multiple=True, metavar="NAME", help="Only this selftest, or those that start so.")
@click.option("--since", type=options.FILE, metavar="FILE", help="Count only what an earlier review's --json lacks.")
@click.option("--all-traces", is_flag=True, help="Show each interleaving, not the shortest one of each patch.")
@click.option("--html", type=options.FILE, metavar="FILE", help="Write a page on which to step through each violation.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--ktap", "as_ktap", is_flag=True, help="KTAP on standard output.")
@click.option("--junit", type=options.FILE, metavar="FILE", help="Write JUnit's XML there, too.")
@click.option("--max-states", type=STATES, default=MAX_STATES, show_default=True, help="Per scenario.")
@options.processes
@click.pass_context
def review(ctx: click.Context, /, **given: Any) -> None:
    """Review a series: an mbox, a folder of git format-patch, commits of a tree, or the patches of a design.

    The report is text to be pasted into an answer: which patch breaks what, with the lines of the patch and the
    shortest interleaving, what could not be checked, and what each stage took. By default the scenarios are a short
    list for the files that the series changes.

    Exit status: 0 nothing was found, 1 the series is wrong, 2 usage, 3 incomplete: something could not be checked;
    130 interrupted, 143 terminated, both with the report of what was done.
    """
    from pfncache.commands.review_run import ReviewOptions, run

    ctx.exit(run(ReviewOptions.of(given)))
