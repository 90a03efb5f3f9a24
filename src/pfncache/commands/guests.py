# SPDX-License-Identifier: GPL-2.0-only
"""Guests for commands: started with a word of what is going on, ended whatever happens, their failures in a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console

from pfncache.kernels.find import NoSuchKernel, find
from pfncache.kernels.modules import ModuleError
from pfncache.machines.vm.guest import Guest, GuestError
from pfncache.machines.vm.monitor import MonitorError
from pfncache.machines.vm.qemu import Hardware, QemuError


@contextmanager
def running(name: str, hardware: Hardware | None = None) -> Iterator[Guest]:
    """The kernel that a user has named, in QEMU, on some hardware or on the usual."""
    try:
        image = find(name)
        err = Console(stderr=True, highlight=False)
        with err.status(f"starting Linux {image.release} in QEMU ..."):
            guest = Guest(image, hardware)
        with guest:
            if guest.unsaved:
                err.print(f"the next start will boot again: {guest.unsaved}")
            yield guest
    except NoSuchKernel as error:
        raise click.UsageError(str(error)) from None
    except (GuestError, MonitorError, QemuError, ModuleError, OSError) as error:
        raise click.ClickException(str(error)) from None
