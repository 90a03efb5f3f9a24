# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache matrix``: which memory must stay mapped for KVM to reach it."""

from __future__ import annotations

import sys

import click

from pfncache.commands.exit_status import ExitStatus


@click.command()
@click.option("--design", "name", metavar="DESIGN|FILE.py", help="Default: mainline-7.3; of a kernel: the one that its probes identify.")  # fmt: skip # noqa: E501
@click.option("--machine", type=click.Choice(["model", "kvm", "vm"]), help="Default: vm with --kernel, else model.")
@click.option("--kernel", "kernels", metavar="K[,K...]", help="Of the machine vm: see `pfncache kernel`.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def matrix(ctx: click.Context, name: str | None, machine: str | None, kernels: str | None, as_json: bool) -> None:
    """Try every access path of KVM on every kind of guest memory.

    The cells are computed by running the model of a design. With --machine kvm or --kernel, a kernel runs the same
    probes, and each cell is marked: confirmed, or different.

    Exit status: 0, 1 a kernel differs from its model, 2 usage, 3 not probed, 4 no usable KVM, 130 interrupted.
    """
    from pfncache.commands.guests import images_named, running

    if (kernels is None) != (machine != "vm") and machine is not None:
        raise click.UsageError("--machine vm and --kernel go together: --machine vm --kernel 7.3")
    images = images_named(kernels) if kernels is not None else []
    from pfncache.commands.names import design_named
    from pfncache.matrix import measure, view

    design = design_named(name) if name is not None else None
    options = {"design": name, "machine": machine, "kernel": kernels}
    try:
        found = view.show_all(measure.matrices(design, machine, images, running), as_json, sys.stdout, options)
    except measure.NoUsableKvm as error:
        click.echo(str(error), err=True)
        ctx.exit(ExitStatus.SKIPPED)
    except measure.MeasurementFailed as error:
        click.echo(f"Error: {error}", err=True)
        ctx.exit(ExitStatus.INCOMPLETE)
    except KeyboardInterrupt:
        ctx.exit(ExitStatus.INTERRUPTED)
    if any(result.differs for result in found):
        ctx.exit(ExitStatus.VIOLATED)
