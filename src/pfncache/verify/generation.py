# SPDX-License-Identifier: GPL-2.0-only
"""The folder of what the present sources of the package determine: compiled systems, and outcomes of searches."""

from __future__ import annotations

import functools
import hashlib
import shutil
import sys
from importlib.metadata import version
from pathlib import Path

from pfncache import user_cache

SOURCES = ("check", "csource", "designs", "lang", "linux", "properties", "scenarios", "verify")
"""Rooms of the package whose sources determine a compiled system, and the outcome of its search."""
GENERATIONS = 3
"""Versions of the sources whose folders stay in the cache."""


@functools.cache
def generation() -> str:
    """Return a hash of the sources, their folder (events contain it), and the versions of Python and NumPy."""
    home = Path(__file__).parents[1]
    whole = hashlib.sha256(f"{sys.version} {version('numpy')} {home}".encode())
    for room in SOURCES:
        for file in sorted((home / room).rglob("*.py")):
            content = file.read_bytes()
            whole.update(f"\n{file.relative_to(home)} {len(content)}\n".encode() + content)
    return whole.hexdigest()[:16]


def newest_folder() -> Path | None:
    """Return the folder of the present sources; None if there is no private one."""
    return user_cache.private(user_cache.root() / "systems" / generation())


@functools.cache
def remove_old(newest: Path) -> None:
    """Remove the folders of all but the last GENERATIONS versions of the sources, once in each process."""
    others = [path for path in newest.parent.iterdir() if path != newest]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for old in others[GENERATIONS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
