# SPDX-License-Identifier: GPL-2.0-only
"""Run the kernel's make with a time bound, end it with all its children, and find its first error."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

TOOLS = {
    "make": "make", "gcc": "gcc", "ld": "binutils", "flex": "flex", "bison": "bison", "bc": "bc", "pahole": "dwarves",
    "xz": "xz-utils", "git": "git", "perl": "perl",
}  # fmt: skip
"""Packages by program. Without pahole the configuration, and so `struct module`, differs from Debian's."""
HEADERS = {"libelf.h": "libelf-dev", "openssl/ssl.h": "libssl-dev"}
KVM = "arch/x86/kvm"
_PROBE_SECONDS = 30.0
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "TERM")
_TIMED_OUT = 124
"""Exit status of timeout(1), which also forwards SIGTERM to all children."""
_COMPILER = re.compile(r"^(\S+?):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", re.MULTILINE)
_OTHERS = (
    re.compile(r"^ERROR: (modpost: .*)$", re.MULTILINE),
    re.compile(r"^ld: (.*)$", re.MULTILINE),
    re.compile(r"^make\S*: \*\*\* (.*?)(?:\. *Stop\.)?$", re.MULTILINE),
)


class BuildError(Exception):
    """A failed build; the message is the first error."""

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path
        """Source file of the compiler's error; empty for another error."""


def missing() -> list[str]:
    """Return the packages that a build requires and that are not installed."""
    packages = [package for program, package in TOOLS.items() if shutil.which(program) is None]
    if "gcc" not in packages:
        for header, package in HEADERS.items():
            command = ["gcc", "-E", "-xc", "-"]
            source = f"#include <{header}>\n".encode()
            done = subprocess.run(command, input=source, capture_output=True, timeout=_PROBE_SECONDS, check=False)
            if done.returncode != 0:
                packages.append(package)
    return packages


def make(tree: Path, *arguments: str, log: Path, seconds: float, progress: Callable[[str], None]) -> None:
    """Run make in a source tree. Its output goes to a log, the last line to `progress`.

    Raises BuildError with the first error, or at the time bound.
    """
    jobs = len(os.sched_getaffinity(0))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_DIE_WITH_PARENT, "timeout", "--kill-after=5", f"{seconds}", "make", f"-j{jobs}", *arguments],
            cwd=tree, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C", "LANG": "C", "MAKEFLAGS": "", "MAKELEVEL": "0"}, start_new_session=True,
        )  # fmt: skip
        try:
            while True:
                try:
                    code = process.wait(0.5)
                    break
                except subprocess.TimeoutExpired:
                    if text := _last(log):
                        progress(text)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
    if code == _TIMED_OUT:
        raise BuildError(f"make {arguments[-1]} is not done after {seconds:.0f} s: {log}")
    if code != 0:
        raise first_error(log.read_text(errors="replace"), log, tree)


def first_error(output: str, log: Path, tree: Path) -> BuildError:
    """Return the compiler's first error, or else the linker's or make's. Paths are relative to the tree."""
    found = _COMPILER.search(output)
    if found is not None:
        path = os.path.normpath(found[1])
        if not (tree / path).is_file():
            path = os.path.normpath(f"{KVM}/{path}")  # relative to the folder of M=
        return BuildError(f"{path}:{found[2]}: {found[3]}", path)
    for pattern in _OTHERS:
        if other := pattern.search(output):
            return BuildError(f"{other[1]} (see {log})")
    return BuildError(f"make has failed: {log}")


def _last(log: Path) -> str:
    """Return the last complete line of a log that is not blank; empty if there is none yet."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 500))
        lines = file.read().decode(errors="replace").split("\n")
    return next((" ".join(line.split()) for line in reversed(lines[:-1]) if line.strip()), "")
