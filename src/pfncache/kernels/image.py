# SPDX-License-Identifier: GPL-2.0-only
"""A bootable kernel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Changes:
    """Files of a source that a series has changed."""

    release: str
    """Of the kernel whose source it is."""
    folder: Path
    """The files after the series; one that is not there was removed."""
    names: tuple[str, ...]
    """Paths in the kernel's tree."""


@dataclass(frozen=True)
class Image:
    """A kernel with its modules, as files."""

    name: str
    """Name in commands and tables: 6.12, 7.3.4+my-series."""
    release: str
    """uname -r."""
    vmlinuz: Path
    modules: Path | None
    """Folder lib/modules/RELEASE; None if everything is built in."""
    replaced: Path | None = None
    """Folder with modules that replace those of the same name, such as kvm.ko; None without one."""
    append: str = ""
    """Additional command line of this kernel."""
    changes: Changes | None = None
    """What a series has changed in its source; None without one."""
