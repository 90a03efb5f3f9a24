# SPDX-License-Identifier: GPL-2.0-only
"""Debian's source of a kernel, with the configuration and the exported symbols of Debian's build."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pfncache import user_cache as cache
from pfncache.kernels.apt import Apt, AptError
from pfncache.kernels.debian import age, matches, version_of

_UNUSED = (
    "*/drivers/gpu/*.[ch]", "*/drivers/media/*.[ch]", "*/drivers/net/ethernet/*.[ch]",
    "*/drivers/net/wireless/*.[ch]", "*/drivers/staging/*.[ch]", "*/sound/*.[ch]", "*/boot/dts/*.dts*",
)  # fmt: skip
"""Half of the tree, not needed to build KVM or a kernel for QEMU. Kconfig files are kept."""
_UNPACK_SECONDS = 900.0


@dataclass(frozen=True)
class Source:
    """A kernel's unpacked source, which is never changed."""

    release: str
    """uname -r of Debian's kernel."""
    folder: Path

    @property
    def tree(self) -> Path:
        """Source with Debian's patches."""
        return self.folder / "source"

    @property
    def config(self) -> Path:
        """Debian's configuration."""
        return self.folder / "config"

    @property
    def symbols(self) -> Path:
        """Module.symvers: symbols that the kernel exports."""
        return self.folder / "Module.symvers"


def fetched() -> list[Source]:
    """Return the sources in the cache, the newest first."""
    folders = sorted(cache.entries("sources"), key=lambda path: age(path.name), reverse=True)
    return [Source(path.name, path) for path in folders if (path / "source").is_dir()]


def find(wanted: str) -> Source | None:
    """Return the newest source in the cache that is meant by the beginning of its release; None if there is none."""
    return next((source for source in fetched() if matches(source.release, wanted)), None)


def get(apt: Callable[[], Apt], release: str, progress: Callable[[str], None]) -> Source:
    """Return the source of a kernel of Debian; it is fetched unless it is in the cache.

    Raises AptError if Debian no longer has it, such as for kernels that were superseded in backports.
    """
    source = Source(release, cache.root() / "sources" / release)
    if source.tree.exists():
        return source
    debian = apt()
    names = _packages(debian, release)
    with cache.scratch(cache.folder("sources")) as packages:
        progress(f"fetching the source of Linux {release} ({debian.size(names) >> 20} MiB)")
        paths = list(debian.download(names, packages))
        progress(f"unpacking the source of Linux {release}")
        for path in paths:
            _run("dpkg-deb", "-x", str(path), str(packages))
        with cache.complete(source.folder) as part:
            (part / "source").mkdir()
            archive = next(packages.glob("usr/src/linux-source-*.tar.xz"))
            without = [f"--exclude={pattern}" for pattern in _UNUSED]
            _run("tar", "-C", str(part / "source"), "--strip-components=1", *without, "-xf", str(archive))
            built = packages / "usr" / "src" / f"linux-headers-{release}"
            shutil.copy(built / ".config", part / "config")
            shutil.copy(built / "Module.symvers", part / "Module.symvers")
    return source


def _packages(apt: Apt, release: str) -> list[str]:
    """Return the packages of a kernel's source and headers, of equal versions."""
    headers = {p.version: p for p in apt.packages(rf"linux-headers-{_literal(release)}")}
    number = ".".join(map(str, version_of(release)[:2]))
    for package in apt.packages(rf"linux-source-{_literal(number)}"):
        if package.version in headers:
            return [f"{package.name}={package.version}", f"{headers[package.version].name}={package.version}"]
    has = ", ".join(dict.fromkeys(p.name.removeprefix("linux-source-") for p in apt.packages(r"linux-source-[0-9.]+")))
    raise AptError(f"Debian no longer has the source of Linux {release}; it has that of the newest {has or '(none)'}")


def _literal(text: str) -> str:
    """Escape a text in a regular expression of both apt and Python."""
    return text.replace(".", "[.]").replace("+", "[+]")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_UNPACK_SECONDS)
