# SPDX-License-Identifier: GPL-2.0-only
"""One QEMU process: a kernel, an initramfs, a console in a file, and a port to the agent.

Nothing is left of it when it is closed, nor when we are killed.
"""

from __future__ import annotations

import functools
import shutil
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from pfncache.machines.machine import Closing
from pfncache.machines.vm.monitor import Monitor, MonitorError

PROGRAM = "qemu-system-x86_64"
_NESTED = ("/sys/module/kvm_amd/parameters/nested", "/sys/module/kvm_intel/parameters/nested")
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
_STARTS_WITHIN = 20.0
_ENDS_WITHIN = 10.0
_LAST_WORDS_SECONDS = 1.0
_CONSOLE_TAIL = 15
_PANIC = "Kernel panic"


class QemuError(Exception):
    """There is no QEMU, or it does not start, or it has ended."""


@dataclass(frozen=True)
class Hardware:
    """What the guest's hardware is."""

    cpus: int = 2
    megabytes: int = 3072
    accelerated: bool = False
    """By this host's KVM, which then has to offer nested virtualisation."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """For QEMU."""
        accelerator = (
            ("-accel", "kvm", "-cpu", "host") if self.accelerated else ("-accel", "tcg,thread=multi", "-cpu", "max")
        )
        return (*accelerator, "-machine", "q35", "-smp", str(self.cpus), "-m", str(self.megabytes))

    @staticmethod
    def here() -> Hardware:
        """The best that this host can do."""
        return Hardware(accelerated=any(_reads_yes(Path(path)) for path in _NESTED))


def _reads_yes(path: Path) -> bool:
    return path.exists() and path.read_text().strip() in ("1", "Y")


@functools.cache
def program() -> str:
    """QEMU's path."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise QemuError(f"no {PROGRAM} here: install qemu-system-x86")
    return found


@functools.cache
def version() -> str:
    """QEMU's first line about itself."""
    done = subprocess.run([program(), "--version"], capture_output=True, text=True, timeout=_STARTS_WITHIN, check=True)
    return done.stdout.splitlines()[0]


class Qemu(Closing):
    """A running QEMU."""

    def __init__(
        self, hardware: Hardware, kernel: Path, initramfs: Path, append: str, state: Path | None = None
    ) -> None:
        """Boot, or go on from a saved state."""
        self._folder = Path(tempfile.mkdtemp(prefix="pfncache-"))
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
            raise QemuError(f"QEMU does not start: {self._last_words() or error}") from None

    def _last_words(self) -> str:
        """What a QEMU that is about to end says on its standard error; nothing if it goes on."""
        assert self._process is not None and self._process.stderr is not None
        try:
            self._process.wait(_LAST_WORDS_SECONDS)
        except subprocess.TimeoutExpired:
            return ""
        return " ".join(self._process.stderr.read().split())

    def console(self) -> list[str]:
        """What the kernel has printed since it was booted, or since its saved state."""
        return self._console.read_text(errors="replace").splitlines()

    def epitaph(self) -> str:
        """The console's last lines, for an error; of a panic, what came before it."""
        lines = self.console()
        end = next((number + 1 for number, line in enumerate(lines) if _PANIC in line), len(lines))
        return "\n".join(lines[max(end - _CONSOLE_TAIL, 0) : end])

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
        shutil.rmtree(self._folder, ignore_errors=True)
