# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache footprint``: run a guest, and list the pages that KVM itself has touched of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import click
from rich.console import Console

from pfncache.commands.guests import running
from pfncache.commands.names import unknown
from pfncache.designs.catalogue import DESIGNS
from pfncache.footprint import run
from pfncache.footprint import view as report
from pfncache.footprint.footprint import Footprint
from pfncache.footprint.guests import GUESTS, LINUX, SMALL
from pfncache.footprint.picture import draw
from pfncache.footprint.vmm.bzimage import BadImage, BzImage
from pfncache.footprint.vmm.linux import NotEnough, needed
from pfncache.kernels.find import NoSuchKernel, find
from pfncache.machines.host.devkvm import DEVICE
from pfncache.machines.machine import SyscallError
from pfncache.machines.model.machine import ModelMachine
from pfncache.machines.vm.qemu import Hardware

EXIT_INTERRUPTED = 130
_SMALL_SECONDS, _LINUX_BEYOND = 60.0, 180.0
"""Bounds of a call in the vm; of Linux, beyond the guest's own: what it takes to read the trace, emulated."""

_CANNOT = f"{run.CannotMeasure.__module__}.{run.CannotMeasure.__qualname__}: "

Measure = Callable[[str], Footprint]


@click.command()
@click.argument("guests", nargs=-1, metavar="[GUEST ...]")
@click.option("--machine", type=click.Choice(["model", "kvm", "vm"]), help="Default: kvm where /dev/kvm can be used.")
@click.option("--kernel", "kernels", metavar="K[,K...]", help="Of the machine vm: see `pfncache kernel`.")
@click.option("--guest-kernel", metavar="K", help="What the guest `linux` boots. Default: as --kernel.")
@click.option("--append", default="quiet", show_default=True, help="Added to the command line of `linux`.")
@click.option("--memory", type=click.IntRange(min=32, max=2047), default=256, show_default=True, help="Of `linux`, in MiB.")  # fmt: skip # noqa: E501
@click.option("--seconds", type=click.FloatRange(min=0.1), default=240.0, show_default=True, help="Bound of `linux`.")
@click.option("--runs", type=click.IntRange(min=1), default=1, help="Run each guest so often, and compare.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
@click.option("--svg", type=click.Path(path_type=Path, dir_okay=False, writable=True), help="A picture: memory over time.")  # fmt: skip # noqa: E501
@click.pass_context
def footprint(
    ctx: click.Context, guests: tuple[str, ...], machine: str | None, kernels: str | None, guest_kernel: str | None,
    append: str, memory: int, seconds: float, runs: int, as_json: bool, svg: Path | None,
) -> None:  # fmt: skip
    """Run guests in guest_memfd, and list the pages that KVM itself reaches through the user mapping.

    GUEST is one of the small ones, which are the default, or `linux`: a kernel that boots until it has no root to
    mount; `pfncache list guests` says what each does. Where we are root and there is tracefs, each page comes with the
    order and the path.
    Exit status: 0 done, 1 not measured, 2 usage, 130 interrupted.
    """
    names = guests or tuple(SMALL)
    for name in names:
        if name not in GUESTS:
            raise unknown("guest", name, GUESTS)
    if kernels is not None and machine is None:
        machine = "vm"
    if (kernels is None) == (machine == "vm"):
        raise click.UsageError("--machine vm and --kernel go together: --machine vm --kernel 7.3")
    machine = machine or ("kvm" if os.access(DEVICE, os.R_OK | os.W_OK) else "model")
    if LINUX in names and machine == "model":
        raise click.UsageError("the model runs the small guests only; linux needs --machine kvm or vm")
    if svg is not None and len(names) * runs != 1:
        raise click.UsageError("--svg draws one run of one guest: name it")
    boot = _Boot(guest_kernel, memory, append, seconds)
    err = Console(stderr=True, highlight=False)
    found: list[Footprint] = []
    try:
        for kernel in kernels.split(",") if kernels else [None]:
            with _measuring(machine, kernel, boot) as measure:
                for name in names:
                    for number in range(runs):
                        with err.status(f"running {name}{f', run {number + 1} of {runs}' if runs > 1 else ''} ..."):
                            found.append(measure(name))
                        if not as_json:
                            _show(found[-1])
    except KeyboardInterrupt:
        ctx.exit(EXIT_INTERRUPTED)
    if as_json:
        click.echo(json.dumps(report.document(found), indent=1))
    elif len(found) > len(names):
        _compare(found)
    if svg is not None:
        _draw(found[0], svg)


class _Boot:
    """How Linux is to be booted."""

    def __init__(self, kernel: str | None, megabytes: int, append: str, seconds: float) -> None:
        self.kernel, self.megabytes, self.append, self.seconds = kernel, megabytes, append, seconds

    def image(self, usual: str) -> bytes:
        """The bzImage. Raises a usage error if it cannot be booted so."""
        try:
            path = find(self.kernel or usual).vmlinuz
            data = path.read_bytes()
            image = BzImage.parse(data)
        except NoSuchKernel as error:
            raise click.UsageError(f"the guest's kernel: {error}") from None
        except BadImage as error:
            raise click.UsageError(f"{path}: {error}") from None
        try:
            needed(image, self.megabytes)
        except NotEnough as error:
            raise click.UsageError(f"--memory {self.megabytes}: {error}") from None
        return data


@contextmanager
def _measuring(machine: str, kernel: str | None, boot: _Boot) -> Iterator[Measure]:
    """What measures one guest on a machine."""
    try:
        if machine == "model":
            yield _modelled
        elif kernel is None:
            yield lambda name: _here(name, boot)
        else:
            with running(kernel, replace(Hardware.here(), cpus=1)) as guest:  # one order of all events

                def inside(name: str) -> Footprint:
                    if name == LINUX:
                        data = boot.image(kernel)
                        ended = guest.call(
                            run.linux_on_this_host, data, boot.megabytes, boot.append, boot.seconds,
                            seconds=boot.seconds + _LINUX_BEYOND,
                        )  # fmt: skip
                    else:
                        ended = guest.call(run.on_this_host, name, seconds=_SMALL_SECONDS)
                    if ended.value is None:
                        why = ended.trouble.splitlines()[-1].removeprefix(_CANNOT)
                        raise click.ClickException(f"cannot measure {name} on Linux {kernel}: {why}")
                    return ended.value

                yield inside
    except (run.CannotMeasure, SyscallError) as error:
        raise click.ClickException(f"cannot measure on --machine {machine}: {error}") from None


def _modelled(name: str) -> Footprint:
    with ModelMachine(DESIGNS["mainline-7.3"]) as model:
        return run.small(model, SMALL[name], name)


def _here(name: str, boot: _Boot) -> Footprint:
    if name == LINUX:
        return run.linux_on_this_host(boot.image("host"), boot.megabytes, boot.append, boot.seconds)
    return run.on_this_host(name)


def _show(found: Footprint) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for line in report.heading(found):
        console.print(line, markup=False)
    if not found.touched:
        return
    if found.guest == LINUX and found.accesses:
        console.print(report.paths(found))
    console.print(report.pages(found))


def _compare(found: list[Footprint]) -> None:
    for _, group in groupby(sorted(found, key=lambda f: f.guest), lambda f: f.guest):
        same = list(group)
        if len(same) > 1:
            for line in report.agreement(same):
                click.echo(line)


def _draw(found: Footprint, svg: Path) -> None:
    if not found.accesses:
        raise click.ClickException(f"no picture without times: {found.unprobed or 'KVM has touched nothing'}")
    try:
        draw(found, svg)
    except ImportError:
        raise click.ClickException("a picture needs Matplotlib: pip install 'pfncache[plot]'") from None
    except OSError as error:
        raise click.ClickException(f"{svg}: {error.strerror}") from None
