# SPDX-License-Identifier: GPL-2.0-only
"""Kernels as a table, and sizes in the cache."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from pfncache import user_cache as cache
from pfncache.kernels import debian, variant
from pfncache.kernels.find import NoSuchKernel, find


def mib(size: int) -> str:
    """A size in bytes as text."""
    return f"{size / 2**20:,.0f} MiB"


def show_kernels(available: list[debian.Release]) -> None:
    """Print the kernels that Debian has, and the sizes of those in the cache."""
    fetched = {image.release for image in debian.fetched()}
    table = Table("kernel", "suite", "here")
    for found in available:
        path = cache.root() / "kernels" / found.release
        table.add_row(found.release, found.suite, mib(cache.size(path)) if found.release in fetched else "")
    for name in variant.names():
        try:
            about = f"built, {find(name).release}"
        except NoSuchKernel:
            about = "built, but damaged: build it again"
        table.add_row(name, about, mib(cache.size(variant.folder() / name)))
    Console().print(table)
    click.echo(f"{mib(cache.size(cache.root()))} in {cache.root()}, with lists, sources and saved states of guests")


def clear_cache() -> str:
    """Remove everything from the cache. Returns a line with the size."""
    return f"{mib(cache.clear())} freed"
