# SPDX-License-Identifier: GPL-2.0-only
"""A booted guest's state in the user's cache folder, found again by all that it depends on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pfncache.kernels.image import Image
from pfncache.kernels.modules import Module
from pfncache.machines.vm import qemu
from pfncache.machines.vm.monitor import Monitor, MonitorError
from pfncache.user_cache import folder

_SAVE_SECONDS = 60.0
_KEPT = 2


@dataclass(frozen=True)
class Snapshot:
    """Where a state is, or will be."""

    path: Path

    @staticmethod
    def of(image: Image, initramfs: bytes, append: str, hardware: qemu.Hardware, loaded: Iterable[Module]) -> Snapshot:
        """The state of a kernel that was booted with an initramfs on some hardware, and has loaded modules."""
        digest = hashlib.sha256(f"{qemu.version()} {hardware.arguments} {append}".encode())
        digest.update(image.vmlinuz.read_bytes())
        digest.update(initramfs)
        for module in loaded:
            digest.update(module.data)
        return Snapshot(folder("snapshots") / f"{image.release}-{digest.hexdigest()[:16]}")

    @property
    def exists(self) -> bool:
        """Whether it was saved."""
        return self.path.exists()

    def save(self, monitor: Monitor) -> str:
        """Write the state of a guest, which then goes on: empty, or why it could not be written, such as no space."""
        part = self.path.with_suffix(f".{os.getpid()}")
        trouble = ""
        try:
            monitor.save(part, _SAVE_SECONDS)
            part.replace(self.path)
            self._forget_older()
        except (MonitorError, OSError) as error:
            trouble = str(error)
        finally:
            part.unlink(missing_ok=True)
        monitor.resume()
        return trouble

    def _forget_older(self) -> None:
        """Of each kernel, only a few states are of use: that of the code as it is now."""
        release = self.path.name.rsplit("-", 1)[0]
        states = sorted(self.path.parent.glob(f"{release}-*"), key=lambda path: path.stat().st_mtime)
        for path in states[:-_KEPT]:
            path.unlink(missing_ok=True)
