# SPDX-License-Identifier: GPL-2.0-only
"""The user's cache folder: kernels, builds, snapshots of booted guests, and compiled systems."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def root() -> Path:
    """Return the folder: $XDG_CACHE_HOME/pfncache, or ~/.cache/pfncache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pfncache"


def folder(name: str) -> Path:
    """Return one of its folders, which is made if it does not exist."""
    path = root() / name
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def complete(path: Path) -> Iterator[Path]:
    """Yield a folder to fill. It replaces `path` when the block ends, and is removed if the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield part
        part.chmod(0o755)
        shutil.rmtree(path, ignore_errors=True)
        part.replace(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def size(path: Path) -> int:
    """Return the bytes on disk of a file, or of a folder with everything in it."""
    if not path.is_dir():
        return path.stat().st_blocks * 512 if path.exists() else 0
    return sum(size(child) for child in path.iterdir())


def clear() -> int:
    """Remove everything. Returns the number of bytes."""
    freed = size(root())
    shutil.rmtree(root(), ignore_errors=True)
    return freed
