# SPDX-License-Identifier: GPL-2.0-only
"""Native code in the user's cache folder, one directory per version of the sources, and typed decorators of functions.

Numba invalidates the native code of a function when the function's own file changes. But a function has functions and
constants of other files compiled into it. Without a directory per version, an engine of new sources could run beside
liveness checks of old ones.

Numba unpickles what it finds in its files. So a file is read only if no other user can have written it, and if it has
the digest that it was written with; otherwise the function is compiled anew. Without a folder to write to, functions
are compiled in each run.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numba
import numba.core.caching

from pfncache import user_cache
from pfncache.check.engine.numba_linked import linked
from pfncache.user_cache import Notice, notify

GENERATIONS = 3
"""Versions of the sources whose native code is kept."""
DIGEST_BYTES = hashlib.sha256().digest_size
"""Bytes of the digest before the content of a file."""

_caching: Any = numba.core.caching  # which has no types
Function = TypeVar("Function", bound=Callable[..., Any])


def digest(folder: Path) -> str:
    """Hash over the names and contents of the Python files of a folder: 16 hexadecimal digits."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        found.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]


def place(base: Path, folder: Path) -> Path | None:
    """Return the directory below `base` for the sources in `folder`; remove all but the newest few.

    Returns None, with a notice, if it cannot be made or another user may write there.
    """
    path = user_cache.private(base / digest(folder))
    if path is not None:
        with contextlib.suppress(OSError):  # a read-only file system: what is there can be used
            path.touch()
            for old in sorted(path.parent.iterdir(), key=lambda p: p.stat().st_mtime)[:-GENERATIONS]:
                shutil.rmtree(old, ignore_errors=True)
    return path


def _directory() -> Path | None:
    """Return the directory of native code, below $NUMBA_CACHE_DIR or in the user's cache folder; None without one."""
    config: Any = numba.config
    base = Path(config.CACHE_DIR).absolute() if config.CACHE_DIR else user_cache.root() / "engine"
    found = place(base, Path(__file__).parent.parent)
    config.CACHE_DIR = str(found) if found is not None else ""
    return found


DIRECTORY = _directory()


class _Locator(_caching.UserProvidedCacheLocator):  # type: ignore[misc]
    """Finds the files of a function below DIRECTORY, which need not be writable."""

    def ensure_cache_path(self) -> None:
        """Make the directory; a failure shows when a file is written."""
        with contextlib.suppress(OSError):
            user_cache.make(Path(self.get_cache_path()))


class _CacheImpl(_caching.CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = [_Locator]


class _Files(_caching.IndexDataCacheFile):  # type: ignore[misc]
    """The index and the data files of a function, each behind a digest of its name and content."""

    def _load_index(self) -> Any:
        content = self._content(self._index_path)
        if content is None:
            return {}
        file = io.BytesIO(content)
        if pickle.load(file) != self._version:
            return {}
        stamp, overloads = pickle.load(file)
        return overloads if stamp == self._source_stamp else {}

    def _load_data(self, name: str) -> Any:
        content = self._content(self._data_path(name))
        if content is None:
            raise FileNotFoundError  # which load() takes for: not cached
        return pickle.loads(content)

    @contextlib.contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[io.BytesIO]:
        buffer = io.BytesIO()
        yield buffer
        user_cache.write(Path(filepath), _digest(filepath, buffer.getvalue()) + buffer.getvalue())

    def _content(self, name: str) -> bytes | None:
        """Return the content of a file; None if there is none that can be trusted."""
        file = user_cache.read(Path(name))
        if file is None:
            return None
        content = file[DIGEST_BYTES:]
        if file[:DIGEST_BYTES] != _digest(name, content):
            notify(Notice.ENGINE, f"{name} is damaged: the search engine is compiled anew")
            return None
        return content


def _digest(name: str, content: bytes) -> bytes:
    return hashlib.sha256(Path(name).name.encode() + b"\0" + content).digest()


class _Cache(_caching.FunctionCache):  # type: ignore[misc]
    """Numba's cache of a function, in files that are checked. A failure costs time alone."""

    _impl_class = _CacheImpl

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file = _Files(self._cache_path, self._impl.filename_base, self._impl.locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the native code for a signature; None if it is not cached."""
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # whatever Numba makes of a file of its own that it cannot load
            notify(Notice.ENGINE, f"the search engine is compiled anew: {type(error).__name__}: {error}")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write native code. Without space for it, it is compiled again in the next run."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            notify(Notice.UNWRITABLE, f"the compiled search engine is not kept: {user_cache.explain(error)}")

    @property
    def is_filled(self) -> bool:
        """Whether there is native code for this machine that can be read."""
        try:
            index = self._cache_file._load_index()
            return any(self._cache_file.load(key) is not None for key in index)
        except Exception:  # as load_overload()
            return False


_numba: Any = numba  # whose own types do not describe what the decorators return, nor that uint64() converts
uint64: Callable[[Any], Any] = _numba.uint64
"""Conversion to an unsigned word. Native code is faster with unsigned indices: no test for negative ones."""
int64: Callable[[Any], Any] = _numba.int64
"""Conversion to a number. Of a constant, Numba would compile a version of each function that it is an argument of."""


def _cached(function: Any, **options: Any) -> Any:
    native = linked(function, nogil=True, **options)
    if DIRECTORY is not None:
        native._cache = _Cache(function)
    return native


def njit(function: Function) -> Function:
    """Compile a function to cached native code that releases the GIL. Its type is that of the Python function.

    Arrays have no reference counts in it, which are atomic, and would cost as much as the steps of a search. So it can
    create none: its caller owns them all.
    """
    native: Function = _cached(function, _nrt=False)
    return native


def allocating_njit(function: Function) -> Function:
    """As njit(), for a function that creates arrays."""
    native: Function = _cached(function, _nrt=True)
    return native


def inline_njit(function: Function) -> Function:
    """As njit(), and inline the function into its native callers; it may create arrays if they may."""
    native: Function = _numba.njit(nogil=True, inline="always")(function)
    return native


@inline_njit
def copy(source: Any, target: Any) -> None:
    """Copy an array. Of an assignment to a slice, Numba also compiles the text of the error for another length."""
    for i in range(uint64(len(source))):
        target[i] = source[i]


def is_cached(function: Any) -> bool:
    """Whether the native code of a function is in the cache, undamaged."""
    return isinstance(function._cache, _Cache) and function._cache.is_filled
