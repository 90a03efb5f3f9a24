# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache fidelity``: the kernel's own C beside the hand-written model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pfncache.commands import options
from pfncache.commands.documented import DocumentedCommand
from pfncache.verify import MAX_STATES

if TYPE_CHECKING:
    from pfncache.verify.run_record import RunRecord

STATES = click.IntRange(min=1000)
PATH = click.Path(path_type=Path)


class FidelityCommand(DocumentedCommand):
    """The command."""

    def print_nothing(self, record: RunRecord) -> None:
        """Print the document of a run that has not begun."""
        from pfncache.fidelity.document import print_document

        print_document(None, record)


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
