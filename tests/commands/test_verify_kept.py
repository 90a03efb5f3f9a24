# SPDX-License-Identifier: GPL-2.0-only
"""A run of which everything is known prints the same as the one before, and imports neither Numba nor NumPy."""

from __future__ import annotations

import re
import subprocess
import sys

COMMAND = (
    "-m",
    "pfncache",
    "verify",
    "mainline-7.3",
    "rfc-v4",
    "-s",
    "clock/anon/munmap",
    "-s",
    "xen/halt",
    "--jobs",
    "1",
)
HEAVY = {"numba", "llvmlite", "numpy"}


def run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, *COMMAND], capture_output=True, text=True, check=False, timeout=300
    )


def without_seconds(text: str) -> str:
    return re.sub(r" in [\d.]+ s$", "", text, flags=re.MULTILINE)


def test_the_same_run_again() -> None:
    first, again = run(), run("-X", "importtime")
    assert without_seconds(first.stdout) == without_seconds(again.stdout)
    assert first.returncode == again.returncode == 1
    assert "outcomes are of earlier searches of the same functions; 0 are left" in again.stderr
    imported = {name.strip().partition(".")[0] for name in re.findall(r"\|([^|\n]*)$", again.stderr, re.MULTILINE)}
    assert "pfncache" in imported
    assert not imported & HEAVY
