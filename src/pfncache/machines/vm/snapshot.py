# SPDX-License-Identifier: GPL-2.0-only
"""Saved states of booted guests in the user's cache folder, keyed by a hash of everything that they depend on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pfncache.kernels.image import Image
from pfncache.kernels.modules import KernelModule
from pfncache.machines.vm import qemu
from pfncache.machines.vm.monitor import Monitor, MonitorError
from pfncache.user_cache import folder

_SAVE_SECONDS = 60.0
_KEPT = 2
"""States that are kept of each kernel."""


@dataclass(frozen=True)
class Snapshot:
    """Path of a saved state, which need not exist."""

    path: Path

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
        return Snapshot(folder("snapshots") / f"{image.release}-{digest.hexdigest()[:16]}")

    @property
    def exists(self) -> bool:
        """Whether the state was saved."""
        return self.path.exists()

    def save(self, monitor: Monitor) -> str:
        """Save the state of a guest, and resume it. Returns the error, such as no space; empty for success."""
        part = self.path.with_suffix(f".{os.getpid()}")
        trouble = ""
        try:
            monitor.save(part, _SAVE_SECONDS)
            part.replace(self.path)
            self._delete_older()
        except (MonitorError, OSError) as error:
            trouble = str(error)
        finally:
            part.unlink(missing_ok=True)
        monitor.resume()
        return trouble

    def _delete_older(self) -> None:
        """Delete all but the newest states of this kernel."""
        release = self.path.name.rsplit("-", 1)[0]
        states = sorted(self.path.parent.glob(f"{release}-*"), key=lambda path: path.stat().st_mtime)
        for path in states[:-_KEPT]:
            path.unlink(missing_ok=True)
