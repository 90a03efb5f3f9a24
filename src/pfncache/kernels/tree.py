# SPDX-License-Identifier: GPL-2.0-only
"""A build tree that is reused for the variants of a kernel, so that each build is incremental."""

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
    """Hard links to a source. A file that a series changes replaces its link, so that the source is not changed."""

    def __init__(self, source: Source, flavour: str) -> None:
        self.source = source
        self.path = source.folder / flavour
        self.log = source.folder / f"{flavour}.log"
        self._ready = self.path / ".pfncache-ready"
        self._changed = self.path / ".pfncache-changed"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the tree for a build; it is created if it does not exist."""
        with self.path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BuildError(f"another process is building in {self.path}: try again later") from None
            if not self.path.exists():
                with cache.complete(self.path) as part:
                    command = ["cp", "-al", f"{self.source.tree}/.", str(part)]
                    subprocess.run(command, check=True, capture_output=True, timeout=_COPY_SECONDS)
            yield

    def ready(self, config: str) -> bool:
        """Whether it has this configuration, up to date with its Kconfig files, and its own programs are built."""
        return self._ready.exists() and self._ready.read_text() == config

    def set_ready(self, config: str) -> None:
        """Record that it is configured."""
        self._ready.write_text(config)

    def put(self, names: Sequence[str], changed: Path) -> None:
        """Restore the source's files, then take these files from the folder `changed`; a missing one is removed.

        Only files that differ are written, so that make rebuilds no more than what depends on them.
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
