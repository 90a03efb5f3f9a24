# SPDX-License-Identifier: GPL-2.0-only
"""Debian's packages of any suite, by the system's apt with separate lists: nothing is installed or changed.

The mirror is that of the system's apt; only the suite differs. Packages are verified as by apt, by the signature of
their suite.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pfncache import user_cache as cache

SUITES = ("bookworm", "trixie", "trixie-backports", "sid")
"""Suites with kernels since 6.1."""
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SECONDS = 600.0
_POLICY_NAME = re.compile(r"^(\S+):$")
_POLICY_VERSION = re.compile(r"^ (?:\*{3}|   ) (\S+) -?\d+$")
_POLICY_SUITE = re.compile(r"^ +-?\d+ \S+ ([^/\s]+)/\S+ \S+ Packages$")
"""Lines of apt-cache policy: a package, one of its versions, and a list that has the version."""
_ERROR = re.compile(r"^[EW]: (.*)$", re.MULTILINE)


class AptError(Exception):
    """No apt, Debian mirror, network or package. The message is one line."""


class NoSuchRelease(AptError):
    """A version or a suite that is none, or that Debian does not have."""


@dataclass(frozen=True)
class Package:
    """One version of a package."""

    name: str
    version: str
    suite: str


class Apt:
    """apt with its own package lists."""

    def __init__(self) -> None:
        self._folder = cache.folder("apt")
        (self._folder / "sources").mkdir(exist_ok=True)
        (self._folder / "lists").mkdir(exist_ok=True)

    @property
    def updated(self) -> bool:
        """Whether the lists were downloaded."""
        return any((self._folder / "lists").glob("*Packages*"))

    @contextmanager
    def exclusive(self, waiting: Callable[[str], object]) -> Iterator[None]:
        """Keep other processes from the lists and the downloads; reports that it waits for one that has them."""
        with (self._folder / "pfncache.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting("another pfncache is fetching; waiting until it has ended")
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def update(self) -> None:
        """Download the lists of every suite."""
        if not _KEYRING.exists():
            raise AptError(f"no {_KEYRING}: install debian-archive-keyring")
        (self._folder / "sources" / "debian.sources").write_text(
            f"Types: deb deb-src\nURIs: {_mirror()}\nSuites: {' '.join(SUITES)}\n"
            f"Components: main\nSigned-By: {_KEYRING}\n"
        )
        self._run("apt-get", "update", "--error-on=any")

    def packages(self, pattern: str) -> Iterator[Package]:
        """Yield the packages whose full names match a regular expression, in every available version."""
        names = [line.split(" ")[0] for line in self._run("apt-cache", "search", "--names-only", pattern).splitlines()]
        wanted = [name for name in names if re.fullmatch(pattern, name)]
        if not wanted:
            return
        name = version = ""
        # Not madison, which reads every record of every list.
        for line in self._run("apt-cache", "policy", *wanted).splitlines():
            if match := _POLICY_NAME.match(line):
                name = match[1]
            elif match := _POLICY_VERSION.match(line):
                version = match[1]
            elif match := _POLICY_SUITE.match(line):
                yield Package(name, version, match[1])

    def download(self, names: Iterable[str], into: Path) -> list[Path]:
        """Download the newest versions of packages. Returns their files."""
        self._run("apt-get", "download", *names, cwd=into)
        return sorted(into.glob("*.deb"))

    def size(self, names: Iterable[str]) -> int:
        """Return the download size of packages in bytes."""
        shown = self._run("apt-cache", "show", "--no-all-versions", *names)
        return sum(int(size) for size in re.findall(r"^Size: (\d+)$", shown, re.MULTILINE))

    def _run(self, program: str, *arguments: str, cwd: Path | None = None) -> str:
        """Run one of apt's programs."""
        if shutil.which(program) is None:
            raise AptError(f"{program} is not installed: Debian's kernels can only be fetched on a Debian")
        options = {
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": str(self._folder / "sources"),
            "Dir::State::Lists": str(self._folder / "lists"),
            "Dir::State::Status": "/dev/null",
            "Dir::Cache": str(self._folder),
            "Dir::Cache::pkgcache": "pkgcache.bin",  # Debian's container images turn it off
            "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
            "APT::Sandbox::User": "",
            "APT::Get::List-Cleanup": "0",
        }
        command = [program, *(f"-o{key}={value}" for key, value in options.items()), *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env={**os.environ, "LC_ALL": "C"},
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            raise AptError(f"{program} {arguments[0]} is not done after {_SECONDS:.0f} s") from None
        if done.returncode != 0:
            output = _ERROR.findall(done.stderr) or [done.stderr.strip()]
            raise AptError(f"{program} {arguments[0]}: {output[0]}")
        return done.stdout


def _mirror() -> str:
    """Return the mirror of the system's own packages."""
    fields = "$(ORIGIN)|$(COMPONENT)|$(LABEL)|$(REPO_URI)"
    try:
        command = ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise AptError(f"apt does not report its mirror: {error}") from None
    for line in done.stdout.splitlines():
        origin, component, label, uri = line.split("|", 3)
        if (origin, component, label) == ("Debian", "main", "Debian"):
            return uri
    raise AptError("apt has no list of Debian's main suite: run `apt-get update`, on a Debian")
