# SPDX-License-Identifier: GPL-2.0-only
"""Debian's kernels: those that are available, and those in the cache."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pfncache import user_cache as cache
from pfncache.kernels.apt import SUITES, Apt, NoSuchRelease
from pfncache.kernels.image import Image
from pfncache.kernels.modules import closure

_NAME = r"linux-image-([0-9]+\.[0-9]+\.[0-9][^ ]*)-amd64"
_WANTED = re.compile(r"[0-9]+(\.[0-9]+)*([-+~.][A-Za-z0-9][A-Za-z0-9.+~-]*)?")
"""The beginning of a release, or a whole one."""
_OTHER = ("-cloud", "-rt", "-dbg")
_PARTS = ("linux-image-{}", "linux-binary-{}", "linux-modules-{}", "linux-base-{}")
"""Packages of a kernel; older kernels have everything in the first."""
KEPT = ("kvm", "kvm_amd", "kvm_intel", "virtio_pci", "virtio_console", "hwpoison_inject")
"""Modules that are kept, with their dependencies."""
_UNPACK_SECONDS = 300.0
_SUITE = "suite"


@dataclass(frozen=True)
class Release:
    """An available kernel of Debian."""

    release: str
    """uname -r."""
    suite: str


def version_of(release: str) -> tuple[int, ...]:
    """Return the leading numbers of a release."""
    return tuple(int(number) for number in re.match(r"[0-9.]*", release)[0].strip(".").split("."))  # type: ignore[index]


def upstream(release: str) -> str:
    """Return the version of Linux that a release is: 7.3.4 of 7.3.4+deb13-amd64."""
    return ".".join(map(str, version_of(release)))


def age(release: str) -> list[int]:
    """Return a sort key by age: all numbers, since 6.1.0-50 is newer than 6.1.0-47."""
    return [int(number) for number in re.findall(r"[0-9]+", release)]


def matches(release: str, wanted: str) -> bool:
    """Whether a release is meant by its beginning: 7.3 means 7.3.4, but not 7.30."""
    return release == wanted or (release.startswith(wanted) and not release[len(wanted)].isdigit())


def available(apt: Apt) -> list[Release]:
    """Return Debian's kernels, the newest first, each with the first suite that has it."""
    found: dict[str, Release] = {}
    for package in apt.packages(_NAME):
        release = package.name.removeprefix("linux-image-")
        if not any(other in release for other in _OTHER):
            found.setdefault(release, Release(release, package.suite))
    return sorted(found.values(), key=lambda found: age(found.release), reverse=True)


def fetched() -> list[Image]:
    """Return the kernels in the cache, the newest first."""
    folders = cache.entries("kernels")
    return [_image(path) for path in sorted(folders, key=lambda path: age(path.name), reverse=True)]


def _image(folder: Path) -> Image:
    return Image(folder.name.split("+")[0], folder.name, folder / "vmlinuz", folder / "modules")


def suite_of(image: Image) -> str:
    """Return the suite of a fetched kernel; empty if it is not recorded."""
    path = image.vmlinuz.parent / _SUITE
    return path.read_text() if path.is_file() else ""


def packages_of(apt: Apt, release: str) -> list[str]:
    """Return the packages of a kernel."""
    pattern = "|".join(re.escape(part.format(release)) for part in _PARTS)
    return sorted({package.name for package in apt.packages(pattern)})


def check_wanted(wanted: str) -> None:
    """Raise NoSuchRelease for what is neither the beginning of a release nor a suite."""
    if wanted not in SUITES and not _WANTED.fullmatch(wanted):
        raise NoSuchRelease(f"{wanted!r} is no version, such as 7.3, and none of Debian's suites {', '.join(SUITES)}")


def choose(apt: Apt, wanted: str) -> Release:
    """Return the newest kernel that matches, or of a suite. Raises NoSuchRelease without one."""
    check_wanted(wanted)
    kernels = available(apt)
    chosen = next((k for k in kernels if matches(k.release, wanted) or k.suite == wanted), None)
    if chosen is None:
        nearest = ", ".join(dict.fromkeys(".".join(k.release.split(".")[:2]) for k in kernels))
        raise NoSuchRelease(
            f"Debian has no kernel {wanted!r}; it has {nearest or 'none'}, by the lists that are here;"
            " `pfncache kernel list --update` gets new ones"
        )
    return chosen


def fetch(apt: Apt, wanted: str, progress: Callable[[str], None]) -> Image:
    """Fetch the newest kernel that matches, or of a suite, unless it is in the cache."""
    chosen = choose(apt, wanted)
    where = cache.root() / "kernels" / chosen.release
    if not where.exists():
        names = packages_of(apt, chosen.release)
        progress(f"fetching Linux {chosen.release} from {chosen.suite} ({apt.size(names) >> 20} MiB)")
        with cache.scratch(cache.folder("kernels")) as unpacked:
            for path in apt.download(names, unpacked):
                command = ["dpkg-deb", "-x", str(path), str(unpacked)]
                subprocess.run(command, check=True, capture_output=True, timeout=_UNPACK_SECONDS)
            with cache.complete(where) as part:
                _keep(unpacked, chosen.release, part)
                (part / _SUITE).write_text(chosen.suite)
    return _image(where)


def _keep(unpacked: Path, release: str, into: Path) -> None:
    """Copy the kernel, its configuration and the modules of KEPT."""
    modules = next(path for path in unpacked.glob(f"**/lib/modules/{release}") if path.is_dir())
    for name in ("vmlinuz", "config", "System.map"):
        source = next(p for p in (unpacked / "boot" / f"{name}-{release}", modules / name) if p.exists())
        shutil.copy(source, into / name)
    (into / "modules").mkdir()
    for path in closure(modules, KEPT):
        shutil.copy(path, into / "modules")
