# SPDX-License-Identifier: GPL-2.0-only
"""``pfncache kernel``: real kernels for the machine vm."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from pfncache import user_cache as cache
from pfncache.designs.advice import advise
from pfncache.kernels import debian, make, source, variant
from pfncache.kernels.apt import Apt, AptError
from pfncache.kernels.build import beyond_kvm, build
from pfncache.kernels.flavour import DEBUG, STOCK, Tell
from pfncache.kernels.image import Image
from pfncache.kernels.make import BuildError
from pfncache.kernels.modules import ModuleError
from pfncache.kernels.patch_mail import SeriesError, read


@click.group()
def kernel() -> None:
    """Get the kernels that `pfncache selftest --kernel` boots. They are unpacked into your cache, never installed."""


def _apt(tell: Tell, update: bool) -> Apt:
    apt = Apt()
    if update or not apt.updated:
        tell("getting Debian's lists of packages")
        apt.update()
    return apt


def _failed(error: Exception) -> click.ClickException:
    if isinstance(error, subprocess.CalledProcessError):
        said = error.stderr.decode(errors="replace").strip() or f"exit status {error.returncode}"
        return click.ClickException(f"{error.cmd[0]}: {said.splitlines()[0]}")
    return click.ClickException(str(error))


@contextmanager
def _work() -> Iterator[Tell]:
    """Long work: what it is at is shown, its failures are a line, and Ctrl-C ends it."""
    try:
        with Console(stderr=True, highlight=False).status("...") as status:
            yield lambda text: status.update(text[:100])
    except KeyboardInterrupt:
        sys.exit(130)
    except (AptError, BuildError, ModuleError, SeriesError, OSError, subprocess.SubprocessError) as error:
        raise _failed(error) from None


@kernel.command("list")
@click.option("--update", is_flag=True, help="Get Debian's lists anew.")
def list_kernels(update: bool) -> None:
    """List the kernels that Debian has, and those that are here."""
    here = {image.release: image for image in debian.fetched()}
    with _work() as tell:
        kernels = debian.available(_apt(tell, update))
    table = Table("kernel", "suite", "here")
    for found in kernels:
        path = cache.folder("kernels") / found.release
        table.add_row(found.release, found.suite, _mib(cache.size(path)) if found.release in here else "")
    for name in variant.names():
        table.add_row(name, f"built, {variant.load(name).release}", _mib(cache.size(variant.folder() / name)))
    Console().print(table)
    click.echo(f"{_mib(cache.size(cache.root()))} in {cache.root()}, with lists, sources and saved states of guests")


@kernel.command()
@click.argument("names", nargs=-1, required=True, metavar="VERSION|SUITE ...")
def fetch(names: tuple[str, ...]) -> None:
    """Get Debian's newest kernel of a version (7.3), an exact release, or the newest of a suite (trixie)."""
    with _work() as tell:
        apt = _apt(tell, False)
        for name in names:
            tell(f"looking for {name}")
            image = debian.fetch(apt, name, tell)
            click.echo(f"{image.release} ({_mib(cache.size(image.vmlinuz.parent))}): pfncache selftest --kernel {name}")


@kernel.command("build")
@click.option("--base", required=True, metavar="VERSION", help="Debian's kernel to build anew: 7.3.")
@click.option("--series", "path", type=click.Path(path_type=Path), help="A folder of git format-patch, or an mbox.")
@click.option("--name", help="What to call it. Default: the base's version and the series' name.")
@click.option("--debug", is_flag=True, help="A whole kernel, with KASAN, lockdep and KVM_PROVE_MMU.")
def build_kernel(base: str, path: Path | None, name: str | None, debug: bool) -> None:
    """Build KVM's modules of a Debian kernel with KVM_SW_PROTECTED_VM, and with a patch series of yours.

    Says which of the model's patches the series has, and what they rely on that the base has not.
    """
    try:
        series = read(path) if path is not None else []
    except SeriesError as error:
        raise click.UsageError(str(error)) from None
    if packages := make.missing():
        raise click.ClickException(f"to build kernels: apt-get install {' '.join(packages)}")
    started = time.monotonic()
    with _work() as tell:
        release = _release(base, tell)
        chosen = _name(name, release, path, debug)
        unpacked = source.get(lambda: _apt(tell, False), release, tell)
        stock = _stock(release, tell)
        if series:
            click.echo("\n".join(advise(series, stock.release)))
        if not debug and (others := beyond_kvm(series)):
            click.echo(f"not in KVM's modules, so built with --debug only: {', '.join(others)}", err=True)
        image = build(chosen, unpacked, stock, series, DEBUG if debug else STOCK, tell)
    click.echo(f"{image.name} ({time.monotonic() - started:.0f} s): pfncache selftest --kernel {image.name}")


def _release(base: str, tell: Tell) -> str:
    """The kernel to build anew: one that is here, or else the newest."""
    here = (image.release for image in debian.fetched() if debian.matches(image.release, base))
    return next(here, None) or debian.choose(_apt(tell, False), base).release


def _stock(release: str, tell: Tell) -> Image:
    """That kernel; it is fetched unless it is here."""
    here = (image for image in debian.fetched() if image.release == release)
    return next(here, None) or debian.fetch(_apt(tell, False), release, tell)


def _name(name: str | None, release: str, path: Path | None, debug: bool) -> str:
    """What to call a variant."""
    if name is None:
        version = release.split("+", 1)[0]
        parts = [version, path.resolve().stem if path is not None else "", "debug" if debug else ""]
        return "+".join(part for part in parts if part) if any(parts[1:]) else f"{version}+protected"
    if "/" in name or name.startswith(".") or name == "host" or name[:1].isspace():
        raise click.UsageError(f"{name!r} is no name for a kernel; wanted one like my-series")
    return name


@kernel.command()
def clear() -> None:
    """Remove every kernel, every saved guest and everything else from the cache."""
    click.echo(f"{_mib(cache.clear())} freed")


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
