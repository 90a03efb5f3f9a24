# SPDX-License-Identifier: GPL-2.0-only
"""Numba's cache directory, one per version of the sources, and the typed decorators of native functions.

Numba invalidates the native code of a function when the function's own file changes. But a function has functions and
constants of other files compiled into it. Without a directory per version, an engine of new sources could run beside
liveness checks of old ones.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

from pfncache.user_cache import root

GENERATIONS = 3
"""Versions of the sources whose native code is kept."""

Function = TypeVar("Function", bound=Callable[..., Any])


def digest(folder: Path) -> str:
    """Hash over the names and contents of the Python files of a folder: 16 hexadecimal digits."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def place(base: Path, folder: Path) -> Path:
    """Create and return the directory below `base` for the sources in `folder`; remove all but the newest few."""
    path = base / digest(folder)
    path.mkdir(parents=True, exist_ok=True)
    path.touch()
    for old in sorted(base.iterdir(), key=lambda p: p.stat().st_mtime)[:-GENERATIONS]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def _set_cache_directory() -> None:
    """Set Numba's cache directory; leave the choice to Numba if it is not writable."""
    config: Any = numba.config
    base = Path(config.CACHE_DIR) if config.CACHE_DIR else root() / "engine"
    try:
        config.CACHE_DIR = str(place(base, Path(__file__).parent.parent))
    except OSError:
        config.CACHE_DIR = ""


_set_cache_directory()


_numba: Any = numba  # whose own types do not describe what the decorators return, nor that uint64() converts
uint64: Callable[[Any], Any] = _numba.uint64
"""Conversion to an unsigned word. Native code is faster with unsigned indices: no test for negative ones."""


def njit(function: Function) -> Function:
    """Compile a function to cached native code that releases the GIL. Its type is that of the Python function."""
    native: Function = _numba.njit(cache=True, nogil=True)(function)
    return native


def inline_njit(function: Function) -> Function:
    """As njit(), and inline the function into its native callers."""
    native: Function = _numba.njit(cache=True, nogil=True, inline="always")(function)
    return native
