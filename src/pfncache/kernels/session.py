# SPDX-License-Identifier: GPL-2.0-only
"""Long work on kernels that a user has asked for: fetching and building, with progress and errors in a line."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console

from pfncache import user_cache as cache
from pfncache.kernels import debian, make, source
from pfncache.kernels.apt import Apt, AptError
from pfncache.kernels.build import beyond_kvm, build
from pfncache.kernels.flavour import DEBUG, STOCK, Progress
from pfncache.kernels.image import Image
from pfncache.kernels.make import BuildError
from pfncache.kernels.modules import ModuleError
from pfncache.kernels.patch_mail import PatchMail, SeriesError, read
from pfncache.kernels.view import mib

EXIT_INTERRUPTED = 130
_STATUS_WIDTH = 100
"""Maximum length of a progress line."""


@contextmanager
def working() -> Iterator[Progress]:
    """Show the progress of long work; turn its failures into an error of one line, and Ctrl-C into an exit status."""
    try:
        with Console(stderr=True, highlight=False).status("...") as status:
            yield lambda text: status.update(text[:_STATUS_WIDTH])
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except subprocess.CalledProcessError as error:
        output = error.stderr.decode(errors="replace").strip() or f"exit status {error.returncode}"
        raise click.ClickException(f"{error.cmd[0]}: {output.splitlines()[0]}") from None
    except (AptError, BuildError, ModuleError, SeriesError, OSError, subprocess.SubprocessError) as error:
        raise click.ClickException(str(error)) from None


def _apt(update: bool, progress: Progress) -> Apt:
    apt = Apt()
    if update or not apt.updated:
        progress("getting Debian's lists of packages")
        apt.update()
    return apt


def available(update: bool, progress: Progress) -> list[debian.Release]:
    """Return the kernels that Debian has, after an update of its lists if asked for."""
    try:
        apt = _apt(update, progress)
    except OSError as error:
        notice = f"Debian's kernels are not listed, as there is no place for its lists: {cache.explain(error)}"
        cache.notify(cache.Notice.UNUSABLE, notice)
        return []
    return debian.available(apt)


def fetch_named(names: Sequence[str], progress: Progress) -> Iterator[str]:
    """Fetch kernels by version, release or suite. Yields a line for each."""
    apt = _apt(False, progress)
    for name in names:
        progress(f"looking for {name}")
        image = debian.fetch(apt, name, progress)
        yield f"{image.release} ({mib(cache.size(image.vmlinuz.parent))}): pfncache selftest --kernel {name}"


@dataclass(frozen=True)
class BuildRequest:
    """A variant of a Debian kernel to build."""

    base: str
    """Beginning of a release."""
    path: Path | None
    """Where the series is; None without one."""
    name: str | None
    debug: bool
    """Whether to build a whole kernel that checks itself."""

    def name_for(self, release: str) -> str:
        """Return the name of the variant. Raises a usage error for one that cannot be used."""
        name, path = self.name, self.path
        if name is None:
            version = release.split("+", 1)[0]
            parts = [version, path.resolve().stem if path is not None else "", "debug" if self.debug else ""]
            return "+".join(part for part in parts if part) if any(parts[1:]) else f"{version}+protected"
        if "/" in name or name.startswith(".") or name == "host" or name[:1].isspace():
            raise click.UsageError(f"{name!r} is no name for a kernel; use one like my-series")
        return name


Advise = Callable[[Sequence[PatchMail], str], Iterable[str]]
"""Returns lines of advice on a series and the release that it is applied to."""


def build_variant(request: BuildRequest, progress: Progress, advise: Advise) -> str:
    """Build a variant, and print advice on its series before. Returns the line that says how to run it."""
    try:
        series = read(request.path) if request.path is not None else []
    except SeriesError as error:
        raise click.UsageError(str(error)) from None
    if packages := make.missing():
        raise click.ClickException(f"to build kernels: apt-get install {' '.join(packages)}")
    started = time.monotonic()
    release = _release(request.base, progress)
    name = request.name_for(release)
    unpacked = source.get(lambda: _apt(False, progress), release, progress)
    stock = _stock(release, progress)
    if series:
        click.echo("\n".join(advise(series, stock.release)))
    if not request.debug and (others := beyond_kvm(series)):
        click.echo(f"not in KVM's modules, so built with --debug only: {', '.join(others)}", err=True)
    image = build(name, unpacked, stock, series, DEBUG if request.debug else STOCK, progress)
    return f"{image.name} ({time.monotonic() - started:.0f} s): pfncache selftest --kernel {image.name}"


def _release(base: str, progress: Progress) -> str:
    """Return the release to rebuild: one in the cache, or else Debian's newest."""
    here = (image.release for image in debian.fetched() if debian.matches(image.release, base))
    return next(here, None) or debian.choose(_apt(False, progress), base).release


def _stock(release: str, progress: Progress) -> Image:
    """Return Debian's own kernel of a release; it is fetched unless it is in the cache."""
    here = (image for image in debian.fetched() if image.release == release)
    return next(here, None) or debian.fetch(_apt(False, progress), release, progress)
