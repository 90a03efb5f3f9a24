# SPDX-License-Identifier: GPL-2.0-only
"""Where Numba keeps native code: a folder for each version of the sources. Imported before any function is compiled.

Numba asks whether the file of a function has changed, but a function has functions and constants of other files
compiled into it. Without this, an engine that was brought up to date could run beside liveness checks of before.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numba

from pfncache.user_cache import root

GENERATIONS = 3
"""Versions of the sources whose native code is kept."""


def digest(folder: Path) -> str:
    """What the Python files of a folder are, in a word."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def place(base: Path, folder: Path) -> Path:
    """The folder below `base` for the sources as they are, the newest of a few."""
    path = base / digest(folder)
    path.mkdir(parents=True, exist_ok=True)
    path.touch()
    for old in sorted(base.iterdir(), key=lambda p: p.stat().st_mtime)[:-GENERATIONS]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def _settle() -> None:
    """Tell Numba, unless nothing can be written there: it then looks for a place of its own."""
    config: Any = numba.config
    base = Path(config.CACHE_DIR) if config.CACHE_DIR else root() / "engine"
    try:
        config.CACHE_DIR = str(place(base, Path(__file__).parent.parent))
    except OSError:
        config.CACHE_DIR = ""


_settle()
