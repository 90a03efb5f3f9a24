# SPDX-License-Identifier: GPL-2.0-only
"""herd7, the simulator of memory models: an installed one that is new enough, or Debian's, unpacked in the cache."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pfncache import user_cache as cache
from pfncache.kernels.apt import Apt, AptError

OLDEST = (7, 58)
"""The oldest version that reads the memory model of the newest kernel (the variant lkmmv2)."""
PACKAGES = ("herdtools7", "libc6", "libgmp10")
"""herd7 and the libraries that it is linked to, which are newer than those of a stable Debian."""
_PROGRAM = "herd7"
_FOLDER = "herd7"
"""Of the cache."""
_LIBRARIES = ("ld-linux*", "libc.so.*", "libm.so.*", "libgmp.so.*")
_VERSION_SECONDS = 20.0
_UNPACK_SECONDS = 300.0
_VERSION = re.compile(r"\d+(?:\.\d+)+")


class HerdError(Exception):
    """No herd7 that can be used, or one that fails. The message is one line."""


@dataclass(frozen=True)
class Herd:
    """A herd7 that can be run."""

    command: tuple[str, ...]
    """The program with the arguments that it always needs."""
    version: str
    path: Path

    def __str__(self) -> str:
        return f"herd7 {self.version}"


def find() -> Herd | None:
    """Return an installed herd7 that is new enough, or else the newest in the cache; None if there is neither."""
    return _installed() or next(iter(fetched()), None)


def _installed() -> Herd | None:
    path = shutil.which(_PROGRAM)
    if path is None:
        return None
    version = _version_of((path,))
    return Herd((path,), version, Path(path)) if numbers(version) >= OLDEST else None


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, (7, 58) of 7.58-2; nothing of a text that has none."""
    found = _VERSION.search(version)
    return tuple(map(int, found.group().split("."))) if found is not None else ()


def _version_of(command: tuple[str, ...]) -> str:
    """Return what a herd7 says its version is; empty if it does not run."""
    try:
        done = subprocess.run(
            [*command, "-version"], capture_output=True, text=True, timeout=_VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout)
    return found.group() if done.returncode == 0 and found is not None else ""


def fetched() -> list[Herd]:
    """Return those in the cache, the newest first."""
    return [_unpacked(path) for path in sorted(cache.entries(_FOLDER), key=lambda p: numbers(p.name), reverse=True)]


def _unpacked(folder: Path) -> Herd:
    """Return the herd7 of a folder: run by the loader that came with it, with the libraries beside it."""
    libraries = folder / "lib"
    loader = next(libraries.glob("ld-linux*"))
    program = folder / _PROGRAM
    command = (str(loader), "--library-path", str(libraries), str(program), "-I", str(folder / "share"))
    return Herd(command, folder.name, program)


def get(progress: Callable[[str], None], waiting: Callable[[str], object]) -> Herd:
    """Return a herd7; it is fetched if there is none. Raises HerdError if it cannot be fetched, or does not run."""
    if herd := find():
        return herd
    try:
        with Apt().exclusive(waiting):
            return find() or _fetch(progress)
    except AptError as error:
        oldest = ".".join(map(str, OLDEST))
        raise HerdError(f"there is no herd7 {oldest} or newer here, and it cannot be fetched: {error}") from None


def _fetch(progress: Callable[[str], None]) -> Herd:
    apt = Apt()
    if not apt.updated:
        progress("getting Debian's lists of packages")
        apt.update()
    progress(f"fetching herd7 ({apt.size(PACKAGES) >> 20} MiB)")
    with cache.scratch(cache.folder(_FOLDER)) as packages:
        paths = apt.download(PACKAGES, packages)
        for path in paths:
            command = ["dpkg-deb", "-x", str(path), str(packages / "unpacked")]
            subprocess.run(command, check=True, capture_output=True, timeout=_UNPACK_SECONDS)
        version = next(path for path in paths if path.name.startswith(PACKAGES[0])).name.split("_")[1]
        if numbers(version) < OLDEST:
            raise AptError(f"the newest herdtools7 of Debian is {version}")
        with cache.complete(cache.root() / _FOLDER / version) as part:
            _keep(packages / "unpacked", part)
    herd = _unpacked(cache.root() / _FOLDER / version)
    if not _version_of(herd.command):
        raise HerdError(f"{herd.path} was fetched, but does not run here")
    return herd


def _keep(unpacked: Path, into: Path) -> None:
    """Copy the program, its own models and the libraries: a tenth of what the packages have."""
    shutil.copy(unpacked / "usr" / "bin" / _PROGRAM, into / _PROGRAM)
    shutil.copytree(unpacked / "usr" / "share" / "herdtools7" / "herd", into / "share")
    (into / "lib").mkdir()
    for pattern in _LIBRARIES:
        for path in unpacked.glob(f"usr/lib/*-linux-gnu/{pattern}"):
            shutil.copy(path, into / "lib" / path.name)
