# SPDX-License-Identifier: GPL-2.0-only
"""The user's cache folder: kernels, builds, snapshots of booted guests, compiled systems and native code.

Everything is written to a temporary file or folder, synced and renamed. A temporary is locked by flock() for as long as
its writer lives, so that a later run removes what a killed run has left. Files that are read back are used only if no
user but this one and root can have written them.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import mmap
import os
import pwd
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum, auto
from pathlib import Path

PART = ".part-"
"""Prefix of temporary files and folders in the cache."""
SCRATCH = "pfncache-"
"""Prefix of temporary folders in $TMPDIR."""
NOWHERE = Path("/dev/null")
"""The cache's parent if this user has no home folder: nothing can be created there, not even by root."""
SYNC_FILES = 1_000
"""Files of a folder that are synced one by one; a larger folder is synced with everything else."""
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

# What is said on standard error


class Notice(IntEnum):
    """Kinds of a notice; each is given once in a run, whichever of its processes finds the first reason."""

    RELATIVE = 0
    UNUSABLE = auto()
    FOREIGN = auto()
    UNWRITABLE = auto()
    PROGRAM = auto()
    ENGINE = auto()
    GUEST = auto()


_given = mmap.mmap(-1, len(Notice))
"""By kind: 1 if the notice was given. Workers that are forked share it."""


def notify(kind: Notice, text: str) -> None:
    """Write a line to standard error, unless this run has had one of its kind."""
    if _given[kind]:
        return
    _given[kind] = 1
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # a full disk behind it, or closed
            sys.stderr.write(f"pfncache: {text}\n")
            sys.stderr.flush()


def explain(error: OSError) -> str:
    """Return an error of the operating system in words, with its file."""
    reason = str(error.strerror or error)
    return f"{reason}: {error.filename}" if error.filename else reason


# Places


def root() -> Path:
    """Return the folder: $XDG_CACHE_HOME/pfncache, or ~/.cache/pfncache. It need not exist."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    if given and not os.path.isabs(given):
        notify(Notice.RELATIVE, f"XDG_CACHE_HOME is ignored, as {given!r} is not an absolute path")
    elif given:
        return Path(given) / "pfncache"
    home = _home()
    return home / ".cache" / "pfncache" if home is not None else NOWHERE / "pfncache"


def _home() -> Path | None:
    """Return the user's home folder: $HOME, or that of the password database; None if there is neither."""
    given = os.environ.get("HOME", "")
    if os.path.isabs(given):
        return Path(given)
    with contextlib.suppress(KeyError):
        return Path(pwd.getpwuid(os.geteuid()).pw_dir)
    return None


def folder(name: str) -> Path:
    """Return one of its folders, which is made if it does not exist. Raises OSError if it cannot be made."""
    path = root() / name
    make(path)
    return path


def entries(name: str) -> list[Path]:
    """Return what is in one of its folders, without temporaries; nothing if there is no such folder."""
    try:
        return [path for path in (root() / name).iterdir() if not path.name.startswith(".")]
    except OSError:
        return []


def make(path: Path) -> None:
    """Make a folder and its parents, for this user alone; but never the home folder. Raises OSError."""
    _require_home(path)
    if path.is_dir():
        return
    if path.parent != path:
        make(path.parent)
    with contextlib.suppress(FileExistsError):
        path.mkdir(0o700)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def _require_home(path: Path) -> None:
    """Raise OSError if `path` would be in a home folder that there is not."""
    home = _home()
    if path.is_relative_to(NOWHERE):
        raise OSError(errno.ENOENT, "this user has no home folder; set HOME or XDG_CACHE_HOME")
    if home is not None and path.is_relative_to(home) and not home.is_dir():
        raise OSError(errno.ENOENT, "the home folder does not exist; set HOME or XDG_CACHE_HOME", str(home))


_found_private: dict[Path, Path] = {}
"""Results of private() in this process."""


def private(path: Path) -> Path | None:
    """Return a folder for files that are trusted, made if necessary, without symbolic links in its path.

    Returns None, and says why once, if it cannot be made or another user may write there.
    """
    if path in _found_private and path.is_dir():
        return _found_private[path]
    real = Path(os.path.realpath(path))
    try:
        _require_home(path)
        existing = next(p for p in (real, *real.parents) if p.exists())
        if why := _why_untrusted(existing, sticky=existing != real):
            notify(Notice.FOREIGN, f"the cache in {real} is not used: {why}")
            return None
        make(real)
        remove_leftovers(real, PART)
    except OSError as error:
        notify(Notice.UNUSABLE, f"nothing is cached: {explain(error)}")
        return None
    _found_private[path] = real
    return real


# Ownership


def _why_untrusted(path: Path, sticky: bool = False) -> str:
    """Return why others than this user and root may replace what is at `path`; empty if none may.

    As for ssh's files, that concerns the path itself and each of its parents. In a sticky folder, as /tmp, others may
    create files but not replace this user's: it will do for a parent, or for `path` if something is still to be made.
    """
    for place in (path, *path.parents):
        if why := why_foreign(place.lstat(), sticky_allowed=sticky or place != path):
            return f"{place} {why}"
    return ""


def why_foreign(found: os.stat_result, sticky_allowed: bool = False) -> str:
    """Return why others than this user and root may change a file or folder; empty if none may."""
    if found.st_uid not in (0, os.geteuid()):
        return f"belongs to user {found.st_uid}"
    writers = found.st_mode & OTHERS_WRITE
    if writers == stat.S_IWGRP and _is_alone_in(found.st_gid):
        writers = 0
    if sticky_allowed and stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX:
        writers = 0
    return "can be written by others; chmod go-w it" if writers else ""


def _is_alone_in(group: int) -> bool:
    """Whether a group is this user's private one, as with a umask of 002."""
    try:
        user, found = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    return user.pw_gid == group and found.gr_name == user.pw_name and set(found.gr_mem) <= {user.pw_name}


def read(path: Path) -> bytes | None:
    """Return the content of a file in a private folder; None if there is none, or if it is another user's."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        if why := why_foreign(found):
            notify(Notice.FOREIGN, f"{path} is not used: it {why}")
            return None
        try:
            return file.read()
        except OSError:
            return None


# Temporaries


def _lock(path: Path) -> int:
    """Open and lock a temporary. Returns -1 if a cleaner of another process has removed it in the meantime."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # a file system without locks
        fcntl.flock(handle, fcntl.LOCK_EX)
    if path.exists():
        return handle
    os.close(handle)
    return -1


@contextmanager
def _temporary(parent: Path, prefix: str, is_folder: bool) -> Iterator[Path]:
    """Yield an empty file or folder that is locked while the block runs, and removed after it."""
    handle = -1
    while handle < 0:
        if is_folder:
            part = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        else:
            made, name = tempfile.mkstemp(prefix=prefix, dir=parent)
            os.close(made)
            part = Path(name)
        with contextlib.suppress(FileNotFoundError):
            handle = _lock(part)
    try:
        yield part
    finally:
        _remove(part)
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


_cleaned: set[tuple[Path, str]] = set()
"""Folders and prefixes that this process has looked through."""


def remove_leftovers(parent: Path, prefix: str = PART) -> None:
    """Remove this user's temporaries whose writers are gone: those that are not locked. Looks once in each process."""
    if (parent, prefix) in _cleaned:
        return
    _cleaned.add((parent, prefix))
    with contextlib.suppress(OSError):
        for path in [found for found in parent.iterdir() if found.name.startswith(prefix)]:
            with contextlib.suppress(OSError):  # BlockingIOError: its writer lives
                _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if os.fstat(handle).st_uid == os.geteuid():
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(path)
    finally:
        os.close(handle)


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """Yield a temporary folder, in `parent` or in $TMPDIR. A later run removes it if this one is killed."""
    prefix = SCRATCH if parent is None else PART
    parent = parent or Path(tempfile.gettempdir())
    remove_leftovers(parent, prefix)
    with _temporary(parent, prefix, is_folder=True) as path:
        yield path


# Writing


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield an empty file to write. Synced, it replaces `path` when the block ends, unless the block raises."""
    remove_leftovers(path.parent)
    with _temporary(path.parent, PART, is_folder=False) as part:
        yield part
        move(part, path)


def move(part: Path, path: Path) -> None:
    """Sync a file, and let it replace another on the same file system."""
    _sync(part)
    part.replace(path)
    _sync(path.parent)


def write(path: Path, content: bytes) -> None:
    """Write a file, atomically for readers, other writers and a power failure."""
    with replacing(path) as part:
        part.write_bytes(content)


@contextmanager
def complete(path: Path) -> Iterator[Path]:
    """Yield a folder to fill. Synced, it replaces `path` when the block ends, and is removed if the block raises."""
    make(path.parent)
    remove_leftovers(path.parent)
    with _temporary(path.parent, f"{PART}{path.name}-", is_folder=True) as part:
        yield part
        part.chmod(0o755)
        _sync_tree(part)
        with _temporary(path.parent, PART, is_folder=True) as aside:
            with contextlib.suppress(FileNotFoundError):
                path.replace(aside / path.name)
            part.replace(path)
        _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_tree(path: Path) -> None:
    """Write a folder and everything in it to the disk."""
    inside = [child for child in path.rglob("*") if not child.is_symlink()]
    if len(inside) > SYNC_FILES:
        os.sync()
        return
    for child in (*inside, path):
        if child.is_file() or child.is_dir():
            _sync(child)


def size(path: Path) -> int:
    """Return the bytes on disk of a file, or of a folder with everything in it; 0 for what cannot be read."""
    try:
        if not path.is_dir():
            return path.stat().st_blocks * 512
        return sum(size(child) for child in path.iterdir())
    except OSError:
        return 0


def clear() -> int:
    """Remove everything. Returns the number of bytes."""
    freed = size(root())
    shutil.rmtree(root(), ignore_errors=True)
    return freed
