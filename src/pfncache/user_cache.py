# SPDX-License-Identifier: GPL-2.0-only
"""The user's cache folder: kernels, builds, snapshots of booted guests, and compiled systems."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PART = ".part-"
"""Prefix of temporary files and folders in the cache."""
SCRATCH = "pfncache-"
"""Prefix of temporary folders in $TMPDIR."""


def root() -> Path:
    """Return the folder: $XDG_CACHE_HOME/pfncache, or ~/.cache/pfncache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pfncache"


def folder(name: str) -> Path:
    """Return one of its folders, which is made if it does not exist."""
    path = root() / name
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """Yield a temporary folder, in `parent` or in $TMPDIR. A later run removes it if this one is killed.

    It is locked by flock() while the block runs.
    """
    prefix = SCRATCH if parent is None else PART
    parent = parent or Path(tempfile.gettempdir())
    remove_leftovers(parent, prefix)
    part = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    handle = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        os.close(handle)


def remove_leftovers(parent: Path, prefix: str = PART) -> None:
    """Remove this user's temporaries whose writers are gone: those that nobody locks."""
    for path in parent.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # BlockingIOError: its writer lives
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                if os.fstat(handle).st_uid == os.geteuid():
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
            finally:
                os.close(handle)


@contextmanager
def complete(path: Path) -> Iterator[Path]:
    """Yield a folder to fill. It replaces `path` when the block ends, and is removed if the block raises."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield part
        part.chmod(0o755)
        with scratch(path.parent) as aside:  # the old one is whole until the new one is
            with contextlib.suppress(FileNotFoundError):
                path.replace(aside / path.name)
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
