# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache matrix``: which memory must stay mapped for KVM to reach it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import click
from rich.console import Console

from pfncache.commands.guests import running
from pfncache.commands.names import designs_named
from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.design import Design
from pfncache.matrix.probes import Cells, run_all, run_all_inside
from pfncache.matrix.table import SCHEMA, Mark, Matrix, compute
from pfncache.matrix.view import explain, show
from pfncache.selftests.guest_kernel import GuestKernel
from pfncache.selftests.identify import Host, probe

EXIT_DIFFERS, EXIT_SKIPPED, EXIT_INTERRUPTED = 1, 4, 130
GUEST_SECONDS = 180.0


@click.command()
@click.option("--design", "name", metavar="DESIGN|FILE.py", help="Default: mainline-7.3; of a kernel: what models it.")
@click.option("--machine", type=click.Choice(["model", "kvm", "vm"]), help="Default: vm with --kernel, else model.")
@click.option("--kernel", "kernels", metavar="K[,K...]", help="Of the machine vm: see `pfncache kernel`.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def matrix(ctx: click.Context, name: str | None, machine: str | None, kernels: str | None, as_json: bool) -> None:
    """Take every access path of KVM to every kind of guest memory, and say what comes of it.

    The cells are computed by running the model of a design. A kernel, of this host or in QEMU, runs the same probes,
    and each cell that it can show is marked.
    Exit status: 0, 1 a kernel differs from its model, 2 usage, 4 no usable KVM, 130 interrupted.
    """
    if (kernels is None) != (machine != "vm") and machine is not None:
        raise click.UsageError("--machine vm and --kernel go together: --machine vm --kernel 7.3")
    design = designs_named([name])[0] if name is not None else None
    found: list[Matrix] = []
    try:
        for result in _matrices(ctx, design, machine, kernels):
            found.append(result)
            if not as_json:
                show(result, sys.stdout)
    except KeyboardInterrupt:
        ctx.exit(EXIT_INTERRUPTED)
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, "matrices": [result.as_json() for result in found]}, indent=1))
    else:
        explain(found, sys.stdout)
    if any(cell.mark is Mark.DIFFERS for result in found for cell in result.cells.values()):
        ctx.exit(EXIT_DIFFERS)


def _matrices(ctx: click.Context, design: Design | None, machine: str | None, kernels: str | None) -> Iterator[Matrix]:
    if kernels is not None:
        for name in kernels.split(","):
            with running(name) as guest:
                where = f"Linux {guest.image.release} in QEMU"
                host = GuestKernel(guest).probe()
                _usable(ctx, host, where)
                with Console(stderr=True, highlight=False).status(f"asking {where} ..."):
                    ended = guest.call(run_all_inside, seconds=GUEST_SECONDS)
            if ended.value is None:
                raise click.ClickException(f"{where}: {ended.trouble}")
            yield _beside(host, design, ended.value, where)
    elif machine == "kvm":
        host = probe()
        _usable(ctx, host, "this host")
        yield _beside(host, design, run_all(), "this host's kernel")
    else:
        yield compute(design or DESIGNS["mainline-7.3"])


def _usable(ctx: click.Context, host: Host, where: str) -> None:
    if host.capabilities is None:
        click.echo(f"no usable KVM of {where}: {host.reason}", err=True)
        ctx.exit(EXIT_SKIPPED)


def _beside(host: Host, told: Design | None, real: Cells, where: str) -> Matrix:
    """A kernel's cells beside those of the design that models it."""
    return compute(told or host.design, real, where)
