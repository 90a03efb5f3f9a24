# SPDX-License-Identifier: GPL-2.0-only
"""The guest's init, which calls functions of this package on behalf of the host, through a virtio port.

Standard library only. Standard output and error are the console.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from pfncache.machines.host.devkvm import DEVICE
from pfncache.machines.host.libc import SYS_INIT_MODULE, ioctl
from pfncache.machines.isolate import IsolatedResult, isolated

PORT = "/dev/vport0p1"
MOUNTS = (
    ("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/tmp"),
    ("debugfs", "/sys/kernel/debug"), ("tracefs", "/sys/kernel/tracing"),
)  # fmt: skip
PRELOADED = ("pfncache.selftests.inside", "pfncache.selftests.identify")
"""Modules that are imported before the snapshot: emulated, an import takes longer than a test."""
_PORT_SECONDS = 30.0
_RETRY = 0.02
_libc = ctypes.CDLL(None, use_errno=True)


def main() -> NoReturn:
    """PID 1. An exception ends it, which panics the kernel; the traceback is on the console."""
    for kind, where in MOUNTS:
        _mount(kind, where)
    os.environ["PATH"] = "/usr/bin:/bin"
    for path in sorted(Path("/modules").iterdir()):
        init_module(path.read_bytes())
    for name in PRELOADED:
        importlib.import_module(name)
    serve(_port())


def _mount(kind: str, where: str) -> None:
    """mount(2). A failure is printed and ignored: the kernel may lack the file system."""
    if _libc.mount(kind.encode(), where.encode(), kind.encode(), 0, None) < 0:
        sys.stderr.write(f"agent: mount {kind} at {where}: {os.strerror(ctypes.get_errno())}\n")


def init_module(data: bytes) -> str:
    """init_module(2). Returns the error; empty for success."""
    if _libc.syscall(SYS_INIT_MODULE, data, len(data), b"") < 0:
        return os.strerror(ctypes.get_errno())
    return ""


def load_modules(modules: list[tuple[str, bytes]]) -> str:
    """Load modules in order. Returns the first module that fails, and its error; empty for success."""
    for name, data in modules:
        if why := init_module(data):
            return f"{name}: {why}"
    return ""


def hold_kvm() -> str:
    """Keep a vCPU open until the guest ends, then start the other processors. Returns the error; empty for success.

    The first VM makes KVM patch schedule() (preempt_notifier_key), the first vCPU without an APIC patches KVM itself,
    and closing the last ones reverts that. QEMU's emulator may execute old code once more on another processor, which
    then hits a breakpoint that no longer exists. So code is patched once, while there is no other processor.
    """
    try:
        vm = ioctl(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC), "KVM_CREATE_VM")
        ioctl(vm, "KVM_CREATE_VCPU")
    except OSError as error:
        return f"{DEVICE}: {os.strerror(error.errno or 0)}"
    for switch in sorted(Path("/sys/devices/system/cpu").glob("cpu[0-9]*/online")):
        if switch.read_text().strip() == "0":
            switch.write_text("1")
    return ""


def _port() -> Connection:
    """Open the port, which appears when its driver has probed it."""
    deadline = time.monotonic() + _PORT_SECONDS
    while not os.path.exists(PORT):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {PORT}: the kernel lacks virtio_pci or virtio_console")
        time.sleep(_RETRY)
    return Connection(os.open(PORT, os.O_RDWR | os.O_CLOEXEC))


def serve(connection: Connection) -> NoReturn:
    """Receive calls and send results, forever."""
    connection.send("ready")
    while True:
        try:
            function, arguments, seconds = connection.recv()
        except EOFError:  # the host has not connected yet
            time.sleep(_RETRY)
            continue
        connection.send(_call(function, arguments, seconds))
        _reap()


def _call(function: Callable[..., Any], arguments: tuple[Any, ...], seconds: float | None) -> IsolatedResult[Any]:
    """Call a function in a child process with a time bound, or in this process without one."""
    if seconds is None:
        return IsolatedResult(function(*arguments))
    return isolated(lambda: function(*arguments), seconds)


def _reap() -> None:
    """Reap orphaned children, which are reparented to init."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return
