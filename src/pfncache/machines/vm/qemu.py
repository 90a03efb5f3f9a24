# SPDX-License-Identifier: GPL-2.0-only
"""One QEMU process: a kernel, an initramfs, a console in a file, and a port to the agent.

Closing it ends the process and removes its files. The death of its parent ends the process, and a later run removes
the files.
"""

from __future__ import annotations

import functools
import shutil
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from pfncache import user_cache
from pfncache.machines.resource import Closing
from pfncache.machines.vm.monitor import Monitor, MonitorError

PROGRAM = "qemu-system-x86_64"
_NESTED = ("/sys/module/kvm_amd/parameters/nested", "/sys/module/kvm_intel/parameters/nested")
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
_STARTS_WITHIN = 20.0
_ENDS_WITHIN = 10.0
_EXIT_SECONDS = 1.0
"""Time for a QEMU that has failed to exit, before its standard error is read."""
_CONSOLE_TAIL_LINES = 15
_PANIC = "Kernel panic"


class QemuError(Exception):
    """QEMU is not installed, does not start, or has ended."""


@dataclass(frozen=True)
class Hardware:
    """Hardware of a guest."""

    cpus: int = 2
    megabytes: int = 3072
    accelerated: bool = False
    """Whether by KVM, which requires nested virtualisation on this host."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """Arguments for QEMU."""
        accelerator = (
            ("-accel", "kvm", "-cpu", "host") if self.accelerated else ("-accel", "tcg,thread=multi", "-cpu", "max")
        )
        return (*accelerator, "-machine", "q35", "-smp", str(self.cpus), "-m", str(self.megabytes))

    @staticmethod
    def here() -> Hardware:
        """The fastest hardware that this host supports."""
        return Hardware(accelerated=any(_reads_yes(Path(path)) for path in _NESTED))


def _reads_yes(path: Path) -> bool:
    return path.exists() and path.read_text().strip() in ("1", "Y")


@functools.cache
def program() -> str:
    """Return QEMU's path."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise QemuError(f"no {PROGRAM} here: install qemu-system-x86")
    return found


@functools.cache
def version() -> str:
    """Return the first line of QEMU's version."""
    done = subprocess.run([program(), "--version"], capture_output=True, text=True, timeout=_STARTS_WITHIN, check=True)
    return done.stdout.splitlines()[0]


class Qemu(Closing):
    """A running QEMU."""

    def __init__(
        self, hardware: Hardware, kernel: Path, initramfs: Path, append: str, state: Path | None = None
    ) -> None:
        """Boot, or restore a saved state."""
        self._files = ExitStack()
        self._folder = self._files.enter_context(user_cache.scratch())
        self._console = self._folder / "console"
        self._console.touch()
        self._process: subprocess.Popen[str] | None = None
        self.agent: Connection | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(_STARTS_WITHIN)
        self._listener.bind(str(self._folder / "agent"))
        self._listener.listen(1)
        self.monitor = Monitor(self._folder / "monitor")
        try:
            self._start([*self._arguments(hardware, append), "-kernel", str(kernel), "-initrd", str(initramfs)], state)
        except BaseException:
            self.close()
            raise

    def _arguments(self, hardware: Hardware, append: str) -> list[str]:
        return [
            *_DIE_WITH_PARENT, program(), *hardware.arguments,
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-chardev", f"file,id=console,path={self._console}", "-serial", "chardev:console",
            "-qmp", f"unix:{self._folder / 'monitor'}",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=agent,path={self._folder / 'agent'}",
            "-device", "virtserialport,chardev=agent,name=pfncache.agent", "-append", append,
        ]  # fmt: skip

    def _start(self, arguments: list[str], state: Path | None) -> None:
        with open(state or "/dev/null", "rb") as incoming:
            if state is not None:
                arguments += ["-incoming", f"fd:{incoming.fileno()}"]
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                pass_fds=(incoming.fileno(),), start_new_session=True,
            )  # fmt: skip
        try:
            self.monitor.accept(_STARTS_WITHIN)
            self.agent = Connection(self._listener.accept()[0].detach())
            if state is not None:
                self.monitor.restored(_STARTS_WITHIN)
        except (MonitorError, TimeoutError) as error:
            raise QemuError(f"QEMU does not start: {self._stderr_on_exit() or error}") from None

    def _stderr_on_exit(self) -> str:
        """Standard error of a QEMU that exits; empty if it does not exit."""
        assert self._process is not None and self._process.stderr is not None
        try:
            self._process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            return ""
        return " ".join(self._process.stderr.read().split())

    def console(self) -> list[str]:
        """Lines of the console since the boot or the saved state."""
        return self._console.read_text(errors="replace").splitlines()

    def console_tail(self) -> str:
        """The console's last lines; after a panic, those before it."""
        lines = self.console()
        end = next((number + 1 for number, line in enumerate(lines) if _PANIC in line), len(lines))
        return "\n".join(lines[max(end - _CONSOLE_TAIL_LINES, 0) : end])

    def close(self) -> None:
        """End QEMU, and remove its files."""
        self.monitor.close()
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=_ENDS_WITHIN)
            self._process = None
        if self.agent is not None:
            self.agent.close()
            self.agent = None
        self._listener.close()
        self._files.close()
