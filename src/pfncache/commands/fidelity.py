# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache fidelity``: the kernel's own C beside the hand-written model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pfncache.commands import options
from pfncache.verify import MAX_STATES

STATES = click.IntRange(min=1000)
PATH = click.Path(path_type=Path)


class FidelityCommand(click.Command):
    """The command; with --json, a wrong option or argument gets a document too."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments."""
        as_json = "--json" in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if as_json:
                from pfncache import __version__
                from pfncache.fidelity.document import print_document
                from pfncache.verify.document import RunRecord

                record = RunRecord(version=__version__, status=error.exit_code, error=error.format_message())
                print_document(None, record)
            raise


@click.command(cls=FidelityCommand)
@click.option("--kernel", metavar="VERSION", help="A kernel of Debian, whose source is fetched. Default: 7.3.")
@click.option("--tree", type=PATH, metavar="DIR", help="A kernel tree in C, instead.")
@options.scenarios
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--max-states", type=STATES, default=MAX_STATES, show_default=True, help="Per scenario.")
@options.processes
@click.pass_context
def fidelity(ctx: click.Context, /, **given: Any) -> None:
    """Compare the kernel's own C with the hand-written model.

    For every scenario: the verdict, the violated properties, and every state in which a run can end, with what each
    operation has returned. A kernel that the model does not have is compared with the C of the nearest one that it
    has, and the functions that have changed are listed.

    Exit status: 0 the same, or different for a reason that is written down; 1 different, 2 usage, 3 incomplete:
    something was bounded or lost, or a function cannot be translated; 130 interrupted, 143 terminated.
    """
    from pfncache.commands.fidelity_run import FidelityOptions, run

    ctx.exit(run(FidelityOptions(**given)))
