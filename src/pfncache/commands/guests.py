# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that a user names with --kernel, booted in QEMU. Shared by the verbs that run on the machine vm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from pfncache.commands.exit_status import ExitStatus

if TYPE_CHECKING:
    from rich.console import Console

    from pfncache.kernels.image import Image
    from pfncache.machines.vm.guest import Guest
    from pfncache.machines.vm.qemu import Hardware


def images_named(kernels: str) -> list[Image]:
    """Find the kernels of a list with commas; a usage error for an unknown one, before any is booted."""
    from pfncache.kernels.find import NoSuchKernel, bootable

    try:
        return [bootable(name) for name in dict.fromkeys(_split(kernels))]
    except NoSuchKernel as error:
        raise click.UsageError(str(error)) from None


def _split(kernels: str) -> list[str]:
    """Return the names of a list with commas; a usage error if one of them is empty."""
    names = [name.strip() for name in kernels.split(",")]
    if not all(names):
        raise click.UsageError(f"--kernel {kernels!r} has an empty name; write it as 7.3,6.18")
    return names


class BootFailed(click.ClickException):
    """A kernel does not boot, or its guest has ended: nothing is known of it, so that the run is incomplete."""

    exit_code = ExitStatus.INCOMPLETE


def _started(image: Image, hardware: Hardware | None, err: Console) -> Guest:
    """Start a guest: with a changing line on a terminal, with a line now and then in a pipe."""
    from pfncache.machines.vm.guest import Guest

    text = f"starting Linux {image.release} in QEMU ..."
    if err.is_terminal:
        with err.status(text):
            return Guest(image, hardware)
    err.print(text, markup=False)
    return Guest(image, hardware, lambda line: err.print(line, markup=False))


@contextmanager
def running(image: Image, hardware: Hardware | None = None) -> Iterator[Guest]:
    """Boot a kernel in QEMU, show the progress on standard error, and close it whatever happens."""
    from rich.console import Console

    from pfncache.kernels.modules import ModuleError
    from pfncache.machines.vm import qemu
    from pfncache.machines.vm.guest import GuestError
    from pfncache.machines.vm.monitor import MonitorError

    err = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        qemu.program()
        guest = _started(image, hardware, err)
        with guest:
            if guest.unsaved:
                err.print(f"the next start will boot again: {guest.unsaved}")
            yield guest
    except (GuestError, MonitorError, qemu.QemuError, ModuleError, OSError) as error:
        raise BootFailed(str(error)) from None
