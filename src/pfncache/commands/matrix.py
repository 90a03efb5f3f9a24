# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache matrix``: which memory must stay mapped for KVM to reach it."""

from __future__ import annotations

import json

import click
from rich.console import Console

from pfncache.commands.names import designs_named
from pfncache.matrix.probes import run_all
from pfncache.matrix.table import Mark, compute
from pfncache.report.matrix import WIDTH, show
from pfncache.selftests.host import probe
from pfncache.series import DESIGNS

EXIT_DIFFERS, EXIT_SKIPPED, EXIT_INTERRUPTED = 1, 4, 130


@click.command()
@click.option("--design", "name", metavar="DESIGN|FILE.py", help="Default: mainline-7.3; of a kernel: what models it.")
@click.option("--machine", type=click.Choice(["model", "kvm"]), default="model", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def matrix(ctx: click.Context, name: str | None, machine: str, as_json: bool) -> None:
    """Run every access path of KVM on every kind of guest memory, and say what comes of it.

    The cells are computed by running the model of a design. With --machine kvm, this host's kernel runs the same
    probes, and each cell that it can show is marked.
    Exit status: 0, 1 a kernel differs from its model, 2 usage, 4 this host has no usable KVM, 130 interrupted.
    """
    design = designs_named([name])[0] if name is not None else None
    try:
        real, kernel = None, ""
        if machine == "kvm":
            host = probe()
            if host.capabilities is None:
                click.echo(f"no usable KVM on this host: {host.reason}", err=True)
                ctx.exit(EXIT_SKIPPED)
            design = design or host.design
            real, kernel = run_all(), "this host's KVM"
        result = compute(design or DESIGNS["mainline-7.3"], real, kernel)
    except KeyboardInterrupt:
        ctx.exit(EXIT_INTERRUPTED)
    if as_json:
        click.echo(json.dumps(result.as_json(), indent=1))
    else:
        console = Console(highlight=False)
        show(result, console if console.is_terminal else Console(highlight=False, width=WIDTH))
    if any(cell.mark is Mark.DIFFERS for cell in result.cells.values()):
        ctx.exit(EXIT_DIFFERS)
