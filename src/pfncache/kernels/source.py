# SPDX-License-Identifier: GPL-2.0-only
"""Debian's source of a kernel, with the configuration and the symbols of the kernel that Debian has built of it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pfncache import user_cache as cache
from pfncache.kernels.apt import Apt, AptError
from pfncache.kernels.debian import version_of

_UNUSED = (
    "*/drivers/gpu/*.[ch]", "*/drivers/media/*.[ch]", "*/drivers/net/ethernet/*.[ch]",
    "*/drivers/net/wireless/*.[ch]", "*/drivers/staging/*.[ch]", "*/sound/*.[ch]", "*/boot/dts/*.dts*",
)  # fmt: skip
"""Half of the tree, and nothing that KVM or a kernel for QEMU is built of. Kconfig files stay."""
_UNPACK_SECONDS = 900.0


@dataclass(frozen=True)
class Source:
    """A kernel's source, unpacked and never changed."""

    release: str
    """uname -r of the kernel that Debian has built of it."""
    folder: Path

    @property
    def tree(self) -> Path:
        """The source, with Debian's patches."""
        return self.folder / "source"

    @property
    def config(self) -> Path:
        """Debian's configuration of the kernel."""
        return self.folder / "config"

    @property
    def symbols(self) -> Path:
        """Module.symvers: what the kernel exports."""
        return self.folder / "Module.symvers"


def get(apt: Callable[[], Apt], release: str, progress: Callable[[str], None]) -> Source:
    """The source of one of Debian's kernels; it is fetched unless it is here.

    Raises AptError if Debian has it no more, which is so of kernels that have been superseded in backports.
    """
    source = Source(release, cache.folder("sources") / release)
    if source.tree.exists():
        return source
    debian = apt()
    names = _packages(debian, release)
    with tempfile.TemporaryDirectory(prefix=".packages-", dir=cache.folder("sources")) as temporary:
        packages = Path(temporary)
        progress(f"fetching the source of Linux {release} ({debian.size(names) >> 20} MiB)")
        progress(f"unpacking the source of Linux {release}")
        for path in debian.download(names, packages):
            _run("dpkg-deb", "-x", str(path), temporary)
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
    """The packages of a kernel's source and configuration, of one version."""
    headers = {p.version: p for p in apt.packages(rf"linux-headers-{_literal(release)}")}
    number = ".".join(map(str, version_of(release)[:2]))
    for package in apt.packages(rf"linux-source-{_literal(number)}"):
        if package.version in headers:
            return [f"{package.name}={package.version}", f"{headers[package.version].name}={package.version}"]
    has = ", ".join(dict.fromkeys(p.name.removeprefix("linux-source-") for p in apt.packages(r"linux-source-[0-9.]+")))
    raise AptError(f"Debian has no source of Linux {release} now; it has that of the newest {has or '(none)'}")


def _literal(text: str) -> str:
    """A regular expression for a text, as apt's and as Python's."""
    return text.replace(".", "[.]").replace("+", "[+]")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_UNPACK_SECONDS)
