# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache kernel``: real kernels for the machine vm."""

from __future__ import annotations

import subprocess
import sys

import click
from rich.console import Console
from rich.table import Table

from pfncache.images import cache, debian
from pfncache.images.apt import Apt, AptError
from pfncache.images.modules import ModuleError


@click.group()
def kernel() -> None:
    """Get the kernels that `pfncache selftest --kernel` boots. They are unpacked into your cache, never installed."""


def _apt(update: bool) -> Apt:
    apt = Apt()
    if update or not apt.updated:
        with Console(stderr=True).status("getting Debian's lists of packages ..."):
            apt.update()
    return apt


def _failed(error: Exception) -> click.ClickException:
    if isinstance(error, subprocess.CalledProcessError):
        return click.ClickException(f"{error.cmd[0]}: {error.stderr.decode(errors='replace').strip()}")
    return click.ClickException(str(error))


@kernel.command("list")
@click.option("--update", is_flag=True, help="Get Debian's lists anew.")
def list_kernels(update: bool) -> None:
    """List the kernels that Debian has, and those that are here."""
    here = {image.release: image for image in debian.fetched()}
    try:
        kernels = debian.available(_apt(update))
    except AptError as error:
        raise _failed(error) from None
    table = Table("kernel", "suite", "here")
    for found in kernels:
        path = cache.folder("kernels") / found.release
        table.add_row(found.release, found.suite, _mib(cache.size(path)) if found.release in here else "")
    Console().print(table)
    click.echo(f"{_mib(cache.size(cache.root()))} in {cache.root()}, with lists and saved states of guests")


@kernel.command()
@click.argument("names", nargs=-1, required=True, metavar="VERSION|SUITE ...")
def fetch(names: tuple[str, ...]) -> None:
    """Get Debian's newest kernel of a version (7.3), an exact release, or the newest of a suite (trixie)."""
    err = Console(stderr=True, highlight=False)
    try:
        apt = _apt(False)
        for name in names:
            with err.status(f"looking for {name} ...") as status:
                image = debian.fetch(apt, name, status.update)
            click.echo(f"{image.release} ({_mib(cache.size(image.vmlinuz.parent))}): pfncache selftest --kernel {name}")
    except KeyboardInterrupt:
        sys.exit(130)
    except (AptError, ModuleError, OSError, subprocess.SubprocessError) as error:
        raise _failed(error) from None


@kernel.command()
def clear() -> None:
    """Remove every kernel, every saved guest and everything else from the cache."""
    click.echo(f"{_mib(cache.clear())} freed")


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
