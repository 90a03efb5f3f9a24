# SPDX-License-Identifier: GPL-2.0-only
"""The user's cache folder: kernels, what was built of them, and the states of guests that have booted them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def root() -> Path:
    """Where it is: $XDG_CACHE_HOME/pfncache, or ~/.cache/pfncache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pfncache"


def folder(name: str) -> Path:
    """One of its folders, which is made if it is not there."""
    path = root() / name
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def complete(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `path` when the block ends well, and is removed when it does not."""
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
    """The bytes on disk of a file, or of a folder with everything in it."""
    if not path.is_dir():
        return path.stat().st_blocks * 512 if path.exists() else 0
    return sum(size(child) for child in path.iterdir())


def clear() -> int:
    """Remove everything: how many bytes that were."""
    freed = size(root())
    shutil.rmtree(root(), ignore_errors=True)
    return freed
