# SPDX-License-Identifier: GPL-2.0-only
"""A real kernel in QEMU, in which functions of this package are called."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pfncache import user_cache
from pfncache.kernels import modules
from pfncache.kernels.image import Image
from pfncache.machines.host import pace
from pfncache.machines.isolate import IsolatedResult
from pfncache.machines.resource import Closing
from pfncache.machines.vm import agent, initramfs
from pfncache.machines.vm.qemu import Hardware, Qemu, QemuError
from pfncache.machines.vm.snapshot import Snapshot

T = TypeVar("T")
KVM = ("kvm_amd", "kvm_intel")
"""Modules of which one provides /dev/kvm; the other fails to load on this processor."""
APPEND = "console=ttyS0 panic=-1 loglevel=5 tsc=reliable maxcpus=1"
BOOT_SECONDS = 150.0
LOAD_SECONDS = 60.0
_PROGRESS_SECONDS = 15.0
"""Time between lines of progress."""
_GRACE = 30.0
"""Time that the agent may take beyond the bound of a call."""


class GuestError(Exception):
    """The guest has ended or does not answer; the message has the console's last lines."""


def _silent(text: str) -> None:
    """Report no progress."""


class Boot(Protocol):
    """Boots a kernel in QEMU, on given or the fastest hardware, for the time of a ``with`` block."""

    def __call__(self, image: Image, hardware: Hardware | None = None) -> AbstractContextManager[Guest]:
        """Return the context manager of the running guest."""


class Guest(Closing):
    """A kernel in QEMU, with the agent as its only process."""

    def __init__(
        self, image: Image, hardware: Hardware | None = None, progress: Callable[[str], object] = _silent
    ) -> None:
        """Boot the image, or restore a saved state of it. `progress` gets a line now and then while it boots."""
        self.image = image
        self._progress = progress
        self._hardware = hardware or Hardware.here()
        self._initramfs = initramfs.build(image)
        self._kvm = modules.load(image, KVM)
        # Variants of one kernel differ in KVM alone: they share a saved state without KVM.
        self._late = image.replaced is not None
        self._append = f"{APPEND} {image.append}".rstrip()
        loaded = () if self._late else self._kvm
        self._snapshot = Snapshot.of(image, self._initramfs, self._append, self._hardware, loaded)
        self._qemu: Qemu | None = None
        self.restored = False
        """Whether there was a saved state."""
        self.unsaved = ""
        """Why the state could not be saved; empty if it was. The next start boots again."""
        self.start()

    def __repr__(self) -> str:
        return f"<{self.image.release} in QEMU>"

    def start(self) -> None:
        """Start a fresh guest; the previous one is closed. A saved state that QEMU does not take is made anew."""
        self.close()
        saved = self._snapshot.find()
        try:
            self._start(saved)
        except QemuError as error:
            if saved is None:
                raise
            self._snapshot.discard(saved, str(error))
            self._start(None)

    def _start(self, saved: Path | None) -> None:
        """Restore a saved state, or boot and save the state."""
        self.restored = saved is not None
        with user_cache.scratch() as folder:
            root = folder / "initramfs.cpio"
            root.write_bytes(self._initramfs if saved is None else b"")  # QEMU opens it in any case
            self._qemu = Qemu(self._hardware, self.image.vmlinuz, root, self._append, saved)
            try:
                if saved is None:
                    self._receive(pace.bound(BOOT_SECONDS), "does not boot", self._progress)
                    if not self._late:
                        self._load_kvm()
                    self.unsaved = self._snapshot.save(self._qemu.monitor)
                if self._late:
                    self._load_kvm()
            except BaseException:
                self.close()
                raise

    def _load_kvm(self) -> None:
        """Load kvm.ko, then kvm-amd.ko or kvm-intel.ko, whichever loads on this processor."""
        shared = [(m.name, m.data) for m in self._kvm if m.name not in KVM]
        vendors = [[(m.name, m.data)] for m in self._kvm if m.name in KVM]
        refused = [why for which in [shared, *vendors] if (why := self._agent(agent.load_modules, which))]
        if trouble := self._agent(agent.hold_kvm):
            raise GuestError(f"{self.image.name}: the guest has no KVM: {'; '.join([*refused, trouble])}")

    def _agent(self, function: Callable[..., str], *arguments: object) -> str:
        """Call a function in the agent itself."""
        assert self._qemu is not None and self._qemu.agent is not None
        self._qemu.agent.send((function, arguments, None))
        ended: IsolatedResult[str] = self._receive(LOAD_SECONDS, "does not load KVM")
        return ended.value or ""

    def call(self, function: Callable[..., T], *arguments: Any, seconds: float = 10.0) -> IsolatedResult[T]:
        """Call a module-level function in the guest, in a process of its own that is killed after `seconds`.

        Raises GuestError if the kernel or the agent does not survive it; :meth:`start` then starts a fresh guest.
        """
        if self._qemu is None or self._qemu.agent is None:
            raise GuestError(f"{self.image.name}: the guest has ended")
        try:
            self._qemu.agent.send((function, arguments, seconds))
        except OSError:
            raise self._lost("has ended") from None
        ended: IsolatedResult[T] = self._receive(seconds + _GRACE, "does not answer")
        return ended

    def _receive(self, seconds: float, failure: str, progress: Callable[[str], object] = _silent) -> Any:
        assert self._qemu is not None and self._qemu.agent is not None
        started = time.monotonic()
        try:
            while (passed := time.monotonic() - started) < seconds:
                if self._qemu.agent.poll(min(_PROGRESS_SECONDS, seconds - passed)):
                    return self._qemu.agent.recv()
                console = len(self._qemu.console())
                waited = f"{time.monotonic() - started:.0f} s of at most {seconds:.0f} s"
                progress(f"Linux {self.image.release}: no answer after {waited}; {console} lines on its console")
        except (EOFError, OSError):
            raise self._lost("has panicked or powered off") from None
        raise self._lost(f"{failure} within {seconds:.0f} s")

    def _lost(self, what: str) -> GuestError:
        last = self._qemu.console_tail() if self._qemu is not None else ""
        self.close()
        return GuestError(f"{self.image.name}: the guest {what}; the console's last lines:\n{last or '(none)'}")

    def console(self) -> list[str]:
        """Lines of the console since the boot or the saved state."""
        return self._qemu.console() if self._qemu is not None else []

    def close(self) -> None:
        """End QEMU."""
        if self._qemu is not None:
            self._qemu.close()
            self._qemu = None
