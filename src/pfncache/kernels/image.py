# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that can be booted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Image:
    """A kernel with its modules, as files."""

    name: str
    """What the user calls it, and a column's head: 6.12, 7.3.4+my-series."""
    release: str
    """uname -r."""
    vmlinuz: Path
    modules: Path | None
    """The folder lib/modules/RELEASE; None if everything is built in."""
    replaced: Path | None = None
    """A folder with *.ko that are loaded instead of those of the same name: kvm.ko, kvm-amd.ko."""
    append: str = ""
    """What this kernel needs on its command line besides."""
