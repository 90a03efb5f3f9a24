# SPDX-License-Identifier: GPL-2.0-only
"""Saved states of booted guests in the user's cache folder, keyed by a hash of everything that they depend on.

A file's name has the release, the key, and a digest of its content: a damaged state is not restored, but made anew.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pfncache import user_cache
from pfncache.kernels.image import Image
from pfncache.kernels.modules import KernelModule
from pfncache.machines.vm import qemu
from pfncache.machines.vm.monitor import Monitor, MonitorError
from pfncache.user_cache import Notice, notify

_SAVE_SECONDS = 60.0
_KEPT = 2
"""States that are kept of each kernel."""


DIGITS = 16
"""Hexadecimal digits of the key and of the digest in a name."""


@dataclass(frozen=True)
class Snapshot:
    """A saved state, which need not exist."""

    stem: Path
    """Its path, without the digest of the content."""

    @staticmethod
    def of(
        image: Image, initramfs: bytes, append: str, hardware: qemu.Hardware, loaded: Iterable[KernelModule]
    ) -> Snapshot:
        """The state of a kernel with an initramfs, hardware and loaded modules."""
        digest = hashlib.sha256(f"{qemu.version()} {hardware.arguments} {append}".encode())
        digest.update(image.vmlinuz.read_bytes())
        digest.update(initramfs)
        for module in loaded:
            digest.update(module.data)
        return Snapshot(user_cache.root() / "snapshots" / f"{image.release}-{digest.hexdigest()[:DIGITS]}")

    def find(self) -> Path | None:
        """Return the file of the state, undamaged; None without one. A damaged one is deleted, with a notice."""
        folder = user_cache.private(self.stem.parent)
        if folder is None:
            return None
        for path in sorted(folder.glob(f"{glob.escape(self.stem.name)}-*")):
            if _is_whole(path):
                return path
            self.discard(path, "it is damaged")
        return None

    def discard(self, path: Path, reason: str) -> None:
        """Delete a state that cannot be restored, with a notice."""
        notify(Notice.GUEST, f"the saved guest {path.name} is made anew: {reason}")
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)

    def save(self, monitor: Monitor) -> str:
        """Save the state of a guest, and resume it. Returns the error, such as no space; empty for success."""
        trouble = ""
        folder = user_cache.private(self.stem.parent)
        try:
            if folder is None:
                trouble = f"the guest's state cannot be saved: there is no folder {self.stem.parent}"
            else:
                with user_cache.scratch(folder) as part:
                    monitor.save(part / "state", _SAVE_SECONDS)
                    whole = folder / f"{self.stem.name}-{_digest(part / 'state')}"
                    user_cache.move(part / "state", whole)
                self._delete_older(folder)
        except (MonitorError, OSError) as error:
            trouble = str(error)
        monitor.resume()
        return trouble

    def _delete_older(self, folder: Path) -> None:
        """Delete all but the newest states of this kernel."""
        release = self.stem.name.rsplit("-", 1)[0]
        states = sorted(folder.glob(f"{glob.escape(release)}-*"), key=lambda path: path.stat().st_mtime)
        for path in states[:-_KEPT]:
            path.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    """Whether a state has the content that its name says, and no other user can have written it."""
    with contextlib.suppress(OSError):
        return not user_cache.why_foreign(path.lstat()) and path.name.endswith(f"-{_digest(path)}")
    return False


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]
