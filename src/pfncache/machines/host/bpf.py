# SPDX-License-Identifier: GPL-2.0-only
"""Widen a race window of an unmodified kernel: an eBPF program on a kprobe spends time where a function is entered, or
returns.

Uses bpf(2) and perf_event_open(2) directly: no libbpf, no BTF, no module. Only one thread is delayed.
include/uapi/linux/bpf.h, perf_event.h; Documentation/trace/kprobes.rst.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import re
import struct
import threading
from collections.abc import Callable
from ctypes import Structure, addressof, c_uint32, c_uint64, create_string_buffer, sizeof
from pathlib import Path
from typing import TypeVar

from pfncache.linux.include.uapi.linux.bpf import (
    BPF_ALU64,
    BPF_CALL,
    BPF_DW,
    BPF_EXIT,
    BPF_JLT,
    BPF_JMP32,
    BPF_JNE,
    BPF_MAP_CREATE,
    BPF_MAP_TYPE_PROG_ARRAY,
    BPF_MAP_UPDATE_ELEM,
    BPF_MOV,
    BPF_PROG_LOAD,
    BPF_PROG_TYPE_KPROBE,
    BPF_PSEUDO_MAP_FD,
    BPF_REG_10,
    BPF_FUNC_get_current_pid_tgid,
    BPF_FUNC_get_stack,
    BPF_FUNC_tail_call,
)
from pfncache.linux.include.uapi.linux.bpf_common import BPF_ADD, BPF_IMM, BPF_JMP, BPF_K, BPF_LD, BPF_X
from pfncache.linux.include.uapi.linux.perf_event import (
    PERF_EVENT_IOC_ENABLE,
    PERF_EVENT_IOC_SET_BPF,
    PERF_FLAG_FD_CLOEXEC,
)
from pfncache.machines.host.libc import SYS_BPF, SYS_PERF_EVENT_OPEN, check
from pfncache.machines.host.task import ThreadTask
from pfncache.machines.resource import Closing, Delayed, StopPoint

T = TypeVar("T")
KPROBE_TYPE = Path("/sys/bus/event_source/devices/kprobe/type")
KALLSYMS = Path("/proc/kallsyms")
ROUNDS = 1000
"""Iterations of the program's loop. The verifier follows each of them, which takes longer than running it."""
COPIES = 2
"""How often the program is attached. Each copy tail-calls itself up to the kernel's limit of 33 times."""
STOPPED_SECONDS = 0.05
"""A call that has not returned after this time counts as stopped."""
_STACK = 512
"""Size of a program's stack in bytes."""
_RETPROBE = 1
"""Bit of a kprobe event's config: probe the return (/sys/bus/event_source/devices/kprobe/format/retprobe)."""
_MOV, _MOV_REGISTER, _ADD = BPF_ALU64 | BPF_MOV | BPF_K, BPF_ALU64 | BPF_MOV | BPF_X, BPF_ALU64 | BPF_ADD | BPF_K
_JUMP_LESS, _JUMP_UNEQUAL_32 = BPF_JMP | BPF_JLT | BPF_K, BPF_JMP32 | BPF_JNE | BPF_K
_CALL, _EXIT, _LOAD_IMMEDIATE = BPF_JMP | BPF_CALL, BPF_JMP | BPF_EXIT, BPF_LD | BPF_DW | BPF_IMM
_libc = ctypes.CDLL(None, use_errno=True)


class ProgLoad(Structure):
    """The fields of union bpf_attr for BPF_PROG_LOAD that are used here."""

    _fields_ = [
        *((name, c_uint32) for name in ["prog_type", "insn_cnt"]),
        *((name, c_uint64) for name in ["insns", "license"]),
        *((name, c_uint32) for name in ["log_level", "log_size"]),
        ("log_buf", c_uint64),
        *((name, c_uint32) for name in ["kern_version", "prog_flags"]),
    ]


class MapCreate(Structure):
    """The fields of union bpf_attr for BPF_MAP_CREATE that are used here."""

    _fields_ = [(name, c_uint32) for name in ["map_type", "key_size", "value_size", "max_entries", "map_flags"]]


class MapUpdate(Structure):
    """The fields of union bpf_attr for BPF_MAP_UPDATE_ELEM."""

    _fields_ = [("map_fd", c_uint32), *((name, c_uint64) for name in ["key", "value", "flags"])]


class PerfEventAttr(Structure):
    """struct perf_event_attr, as of PERF_ATTR_SIZE_VER5."""

    _fields_ = [
        *((name, c_uint32) for name in ["type", "size"]),
        *((name, c_uint64) for name in ["config", "sample_period", "sample_type", "read_format", "flags"]),
        *((name, c_uint32) for name in ["wakeup_events", "bp_type"]),
        *((name, c_uint64) for name in ["kprobe_func", "probe_offset"]),
        ("rest", c_uint64 * 5),
    ]


def available() -> bool:
    """Whether this process can attach a program to a kprobe."""
    return KPROBE_TYPE.exists() and os.geteuid() == 0


def program(thread: int, rounds: int, calls: int) -> bytes:
    """Return code that walks the stack `rounds` times in one thread, and tail-calls itself through the map `calls`."""

    def instruction(code: int, register: int = 0, offset: int = 0, immediate: int = 0, source: int = 0) -> bytes:
        return struct.pack("<BBhi", code, source << 4 | register, offset, immediate)

    return b"".join(
        (
            instruction(_MOV_REGISTER, 6, source=1),  # the context
            instruction(_CALL, immediate=BPF_FUNC_get_current_pid_tgid),
            instruction(_JUMP_UNEQUAL_32, 0, 14, thread),  # to the end
            instruction(_MOV, 7, immediate=0),
            instruction(_MOV_REGISTER, 1, source=6),
            instruction(_MOV_REGISTER, 2, source=BPF_REG_10),
            instruction(_ADD, 2, immediate=-_STACK),
            instruction(_MOV, 3, immediate=_STACK),
            instruction(_MOV, 4, immediate=0),
            instruction(_CALL, immediate=BPF_FUNC_get_stack),
            instruction(_ADD, 7, immediate=1),
            instruction(_JUMP_LESS, 7, -8, rounds),
            instruction(_MOV_REGISTER, 1, source=6),
            instruction(_LOAD_IMMEDIATE, 2, immediate=calls, source=BPF_PSEUDO_MAP_FD),
            instruction(0),
            instruction(_MOV, 3, immediate=0),
            instruction(_CALL, immediate=BPF_FUNC_tail_call),
            instruction(_MOV, 0, immediate=0),
            instruction(_EXIT),
        )
    )


def _bpf(command: int, attributes: Structure, name: str) -> int:
    return check(_libc.syscall(SYS_BPF, command, ctypes.byref(attributes), sizeof(attributes)), name)


def _load(code: bytes) -> int:
    instructions, license_name = create_string_buffer(code, len(code)), create_string_buffer(b"GPL")
    count = len(code) // 8
    attributes = ProgLoad(BPF_PROG_TYPE_KPROBE, count, addressof(instructions), addressof(license_name))
    return _bpf(BPF_PROG_LOAD, attributes, "BPF_PROG_LOAD")


def _calls_itself(calls: int, program_fd: int) -> None:
    key, value = c_uint32(0), c_uint32(program_fd)
    _bpf(BPF_MAP_UPDATE_ELEM, MapUpdate(calls, addressof(key), addressof(value)), "BPF_MAP_UPDATE_ELEM")


def _symbol(function: str) -> str:
    """Symbol of a function, to which the compiler may have added a suffix."""
    names = re.findall(rf"^\S+ [tT] ({function}(?:\.\S+)?)\s", KALLSYMS.read_text(), re.MULTILINE)
    return str(names[0]) if names else function


def _attach(program_fd: int, symbol: str, at_entry: bool) -> int:
    name = create_string_buffer(symbol.encode())
    attributes = PerfEventAttr(
        int(KPROBE_TYPE.read_text()),
        sizeof(PerfEventAttr),
        0 if at_entry else _RETPROBE,
        1,
        kprobe_func=addressof(name),
    )
    # A kprobe fires on every processor, whatever the argument `cpu` is.
    result = _libc.syscall(SYS_PERF_EVENT_OPEN, ctypes.byref(attributes), -1, 0, -1, PERF_FLAG_FD_CLOEXEC)
    fd = check(result, "perf_event_open")
    try:
        fcntl.ioctl(fd, PERF_EVENT_IOC_SET_BPF, program_fd)
        fcntl.ioctl(fd, PERF_EVENT_IOC_ENABLE, 0)
    except OSError:
        os.close(fd)
        raise
    return fd


def _attach_to(program_fd: int, place: StopPoint) -> int:
    try:
        return _attach(program_fd, place.function, place.at_entry)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return _attach(program_fd, _symbol(place.function), place.at_entry)


class Delay(Closing):
    """Delays a thread whenever it comes to a stop point."""

    def __init__(self, place: StopPoint, thread: int) -> None:
        self._fds: list[int] = []
        try:
            calls = _bpf(BPF_MAP_CREATE, MapCreate(BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 1), "BPF_MAP_CREATE")
            self._fds.append(calls)
            loaded = _load(program(thread, ROUNDS, calls))
            self._fds.append(loaded)
            _calls_itself(calls, loaded)
            self._fds += [_attach_to(loaded, place) for _ in range(COPIES)]
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Detach the program; a thread that is delayed resumes soon."""
        while self._fds:
            os.close(self._fds.pop())


class DelayedTask(ThreadTask[T], Delayed[T]):
    """A thread that is late at its stop point."""

    def __init__(self, function: Callable[[], T], stop: StopPoint) -> None:
        self._attached = threading.Event()
        self._named = threading.Event()
        self._late = function
        super().__init__(self._begin)
        self._named.wait()
        try:
            self._delay = Delay(stop, self._thread_id)
        finally:
            self._attached.set()

    def _begin(self) -> T:
        self._thread_id = threading.get_native_id()
        self._named.set()
        self._attached.wait()
        return self._late()

    def stopped(self) -> bool:
        """Whether the thread has not ended after STOPPED_SECONDS."""
        return self.blocked(STOPPED_SECONDS)

    def release(self) -> None:
        """Detach the delay."""
        self._delay.close()
