# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache footprint``: run a guest, and list the pages that KVM itself has touched of it."""

from __future__ import annotations

from pathlib import Path

import click

EXIT_INTERRUPTED = 130


@click.command()
@click.argument("guests", nargs=-1, metavar="[GUEST ...]")
@click.option("--machine", type=click.Choice(["model", "kvm", "vm"]), help="Default: vm with --kernel; else kvm if /dev/kvm is usable, else model.")  # fmt: skip # noqa: E501
@click.option("--kernel", "kernels", metavar="K[,K...]", help="Of the machine vm: see `pfncache kernel`.")
@click.option("--guest-kernel", metavar="K", help="Kernel that the guest `linux` boots. Default: as --kernel.")
@click.option("--append", default="quiet", show_default=True, help="Added to the command line of `linux`.")
@click.option("--memory", type=click.IntRange(min=32, max=2047), default=256, show_default=True, help="Of `linux`, in MiB.")  # fmt: skip # noqa: E501
@click.option("--seconds", type=click.FloatRange(min=0.1), default=240.0, show_default=True, help="Bound of `linux`.")
@click.option("--runs", type=click.IntRange(min=1), default=1, help="Number of runs of each guest, which are compared.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False, writable=True), help="Write a picture: memory over time.")  # fmt: skip # noqa: E501
@click.pass_context
def footprint(
    ctx: click.Context, guests: tuple[str, ...], machine: str | None, kernels: str | None, guest_kernel: str | None,
    append: str, memory: int, seconds: float, runs: int, as_json: bool, svg: Path | None,
) -> None:  # fmt: skip
    """Run guests in guest_memfd, and list the pages that KVM itself reaches through the user mapping.

    GUEST is one of the small ones, which are the default, or `linux`: a kernel that boots until it finds no root file
    system; see `pfncache list guests`. As root and with tracefs, each page is listed with order and path of accesses.

    Exit status: 0 done, 2 usage, 3 not measured, 130 interrupted.
    """
    from pfncache.commands.guests import images_named, running
    from pfncache.footprint.guests import GUESTS, SMALL

    for name in guests:
        if name not in GUESTS:
            from pfncache.commands.names import unknown

            raise unknown("guest", name, GUESTS)
    machine = machine or ("vm" if kernels is not None else None)
    if (kernels is None) == (machine == "vm"):
        raise click.UsageError("--machine vm and --kernel go together: --machine vm --kernel 7.3")
    images = images_named(kernels) if kernels is not None else []
    from pfncache.footprint import measure, view

    boot = measure.LinuxBoot(guest_kernel, memory, append, seconds)
    request = measure.FootprintRequest(guests or tuple(SMALL), runs, boot, images)
    try:
        machine = measure.check(request, machine, svg is not None)
        view.show_all(measure.footprints(request, machine, running), as_json, svg)
    except measure.BadRequest as error:
        raise click.UsageError(str(error)) from None
    except (measure.NotMeasured, view.NoPicture) as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        ctx.exit(EXIT_INTERRUPTED)
