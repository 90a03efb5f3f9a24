# SPDX-License-Identifier: GPL-2.0-only
"""A tree in which variants of a kernel are built one after another, each by what differs from the one before."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pfncache import user_cache as cache
from pfncache.kernels.make import BuildError
from pfncache.kernels.source import Source

_COPY_SECONDS = 600.0


class Tree:
    """Hard links to a source: a file that a series changes takes the place of its link, so that the source stays."""

    def __init__(self, source: Source, flavour: str) -> None:
        self.source = source
        self.path = source.folder / flavour
        self.log = source.folder / f"{flavour}.log"
        self._ready = self.path / ".pfncache-ready"
        self._changed = self.path / ".pfncache-changed"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who builds here; the tree is made if it is not there."""
        with self.path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BuildError(f"somebody is building in {self.path} right now: wait, and try again") from None
            if not self.path.exists():
                with cache.complete(self.path) as part:
                    command = ["cp", "-al", f"{self.source.tree}/.", str(part)]
                    subprocess.run(command, check=True, capture_output=True, timeout=_COPY_SECONDS)
            yield

    def ready(self, config: str) -> bool:
        """Whether it is configured so, as its Kconfig files are now, and the build's own programs are built."""
        return self._ready.exists() and self._ready.read_text() == config

    def set_ready(self, config: str) -> None:
        """Note that it is."""
        self._ready.write_text(config)

    def put(self, names: Sequence[str], changed: Path) -> None:
        """Have what the source has, but for these files, which are as in a folder: changed, new, or not there.

        Only files that differ from what is here are written, so that make rebuilds what depends on them.
        """
        before = self._changed.read_text().splitlines() if self._changed.exists() else []
        concerned = sorted({*before, *names})
        self._changed.write_text("\n".join(concerned))
        for name in concerned:
            origin = changed / name if name in names else self.source.tree / name
            wanted = origin.read_bytes() if origin.is_file() else None
            if wanted != _read(self.path / name):
                if Path(name).name.startswith("Kconfig"):
                    self._ready.unlink(missing_ok=True)
                _write(self.path / name, wanted)
        self._changed.write_text("\n".join(names))


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _write(path: Path, data: bytes | None) -> None:
    if data is None:
        path.unlink()
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
