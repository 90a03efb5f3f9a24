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
from pfncache.kernels import debian, make, source, variant
from pfncache.kernels.apt import Apt, AptError, NoSuchRelease
from pfncache.kernels.build import beyond_kvm, build
from pfncache.kernels.flavour import DEBUG, STOCK, Progress
from pfncache.kernels.image import Image
from pfncache.kernels.make import BuildError
from pfncache.kernels.modules import ModuleError
from pfncache.kernels.patch_mail import PatchMail, SeriesError, read
from pfncache.kernels.view import mib

_INTERRUPTED = 130
_PROGRESS_SECONDS = 20.0
"""Time between lines of progress of one part."""
_STATUS_WIDTH = 100
"""Maximum length of a progress line."""


class NotDone(click.ClickException):
    """Something that this host or the network lacks has kept the work from being done."""

    exit_code = 3
    """INCOMPLETE: nothing is known of the kernel or the series."""


@contextmanager
def working() -> Iterator[Progress]:
    """Show the progress of long work; turn its failures into an error of one line, and Ctrl-C into an exit status.

    A terminal gets a line that changes; a pipe gets a line for each part of the work, by its first word, such as make's
    CC and LD, and one now and then.
    """
    err = Console(stderr=True, highlight=False, soft_wrap=True)
    shown: dict[str, float] = {}

    def print_some(text: str) -> None:
        part, now = text.split(maxsplit=1)[0], time.monotonic()
        if part not in shown or now - max(shown.values()) >= _PROGRESS_SECONDS:
            shown[part] = now
            err.print(text[:_STATUS_WIDTH], markup=False)

    try:
        if err.is_terminal:
            with err.status("...") as status:
                yield lambda text: status.update(text[:_STATUS_WIDTH])
        else:
            yield print_some
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except NoSuchRelease as error:
        raise click.UsageError(str(error)) from None
    except (BuildError, SeriesError) as error:
        raise click.ClickException(str(error)) from None
    except subprocess.CalledProcessError as error:
        output = error.stderr.decode(errors="replace").strip() or f"exit status {error.returncode}"
        raise NotDone(f"{error.cmd[0]}: {output.splitlines()[0]}") from None
    except (AptError, ModuleError, OSError, subprocess.SubprocessError) as error:
        raise NotDone(str(error)) from None


def _apt(update: bool, progress: Progress) -> Apt:
    apt = Apt()
    if update or not apt.updated:
        progress("getting Debian's lists of packages")
        apt.update()
    return apt


def available(update: bool, progress: Progress) -> list[debian.Release]:
    """Return the kernels that Debian has, after an update of its lists if asked for."""
    try:
        with Apt().exclusive(_say):
            return debian.available(_apt(update, progress))
    except OSError as error:
        notice = f"Debian's kernels are not listed, as there is no place for its lists: {cache.explain(error)}"
        cache.notify(cache.Notice.UNUSABLE, notice)
        return []


def fetch_named(names: Sequence[str], progress: Progress) -> Iterator[str]:
    """Fetch kernels by version, release or suite. Yields a line for each. All names are checked before."""
    for name in names:
        debian.check_wanted(name)
    with Apt().exclusive(_say):
        apt = _apt(False, progress)
        images = [(name, debian.choose(apt, name).release) for name in names]
    for name, release in images:
        progress(f"looking for {name}")
        with apt.exclusive(_say):
            image = debian.fetch(apt, release, progress)
        yield f"{image.release} ({mib(cache.size(image.vmlinuz.parent))}): pfncache selftest --kernel {name}"


def fetch_sources(names: Sequence[str], progress: Progress) -> Iterator[str]:
    """Fetch the sources of kernels by version, release or suite. Yields the path of each. All are checked before."""
    for name in names:
        debian.check_wanted(name)
    for found in [source_of(name, progress) for name in names]:
        yield str(found.tree)


def _say(text: str) -> None:
    click.echo(text, err=True)


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
        """Return the name of the variant."""
        series = self.path.resolve().stem if self.path is not None else ""
        return variant.default_name(release, series, self.debug) if self.name is None else self.name


Advise = Callable[[Sequence[PatchMail], str], Iterable[str]]
"""Returns lines of advice on a series and the release that it is applied to."""


def build_variant(request: BuildRequest, progress: Progress, advise: Advise) -> str:
    """Build a variant, and print advice on its series before. Returns the line that says how to run it."""
    try:
        if request.name is not None:
            variant.check_name(request.name)
        series = read(request.path, _say) if request.path is not None else []
    except (SeriesError, variant.BadName) as error:
        raise click.UsageError(str(error)) from None
    if packages := make.missing():
        raise NotDone(f"to build kernels: apt-get install {' '.join(packages)}")
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
    debian.check_wanted(base)
    if release := next(here, None):
        return release
    with Apt().exclusive(_say):
        return debian.choose(_apt(False, progress), base).release


def source_of(base: str, progress: Progress) -> source.Source:
    """Return the source of a kernel by the beginning of its release: one in the cache, or else Debian's newest."""
    if found := source.find(base):
        return found
    return source.get(lambda: _apt(False, progress), _release(base, progress), progress)


def _stock(release: str, progress: Progress) -> Image:
    """Return Debian's own kernel of a release; it is fetched unless it is in the cache."""
    here = (image for image in debian.fetched() if image.release == release)
    if image := next(here, None):
        return image
    with Apt().exclusive(_say):
        return debian.fetch(_apt(False, progress), release, progress)
