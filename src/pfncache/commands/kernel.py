# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache kernel``: real kernels for the machine vm."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def kernel() -> None:
    """Get the kernels that `pfncache selftest --kernel` boots. They are unpacked into your cache, never installed."""


@kernel.command("list")
@click.option("--update", is_flag=True, help="Update Debian's package lists.")
def list_kernels(update: bool) -> None:
    """List the kernels that Debian has, and those in your cache."""
    from pfncache.kernels import session, view

    with session.working() as progress:
        kernels = session.available(update, progress)
    view.show_kernels(kernels)


@kernel.command()
@click.argument("names", nargs=-1, required=True, metavar="VERSION|SUITE ...")
@click.option("--source", is_flag=True, help="Get its source instead, for verify --series and --tree.")
def fetch(names: tuple[str, ...], source: bool) -> None:
    """Get Debian's newest kernel of a version (7.3), an exact release, or the newest of a suite (trixie)."""
    from pfncache.kernels.session import fetch_named, fetch_sources, working

    with working() as progress:
        for line in (fetch_sources if source else fetch_named)(names, progress):
            click.echo(line)


@kernel.command("build")
@click.option("--base", required=True, metavar="VERSION", help="Debian's kernel to rebuild: 7.3.")
@click.option("--series", "path", type=click.Path(path_type=Path), help="A folder of git format-patch, or an mbox.")
@click.option("--name", help="Name of the result. Default: the base's version and the series' name.")
@click.option("--debug", is_flag=True, help="A whole kernel, with KASAN, lockdep and KVM_PROVE_MMU.")
def build_kernel(base: str, path: Path | None, name: str | None, debug: bool) -> None:
    """Build KVM's modules of a Debian kernel with KVM_SW_PROTECTED_VM, and with a patch series of yours.

    Prints which of the model's patches the series has, and what they require that the base does not provide.
    """
    from pfncache.designs.advice import advise
    from pfncache.kernels import session

    with session.working() as progress:
        click.echo(session.build_variant(session.BuildRequest(base, path, name, debug), progress, advise))


@kernel.command()
def clear() -> None:
    """Remove every kernel, every saved guest and everything else from the cache."""
    from pfncache.kernels.view import clear_cache

    click.echo(clear_cache())
