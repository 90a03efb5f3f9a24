# SPDX-License-Identifier: GPL-2.0-only
"""System calls that Python's standard library lacks, through libc. Errors are raised as SyscallError.

ctypes releases the interpreter lock during a call, so that a call can fault on memory that another thread provides.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
from ctypes import Structure, c_char, c_int, c_long, c_size_t, c_ssize_t, c_ubyte, c_uint, c_void_p
from typing import Any

from pfncache.linux.include.uapi import MREMAP_FIXED, MREMAP_MAYMOVE, PAGE_SIZE
from pfncache.linux.include.uapi.linux.prctl import PR_SET_PDEATHSIG
from pfncache.machines.host.structs import NUMBERS
from pfncache.machines.machine import SyscallError

_libc = ctypes.CDLL(None, use_errno=True)
MAP_FAILED = c_void_p(-1).value
SYS_INIT_MODULE, SYS_PERF_EVENT_OPEN, SYS_BPF, SYS_USERFAULTFD = 175, 298, 321, 323
"""arch/x86/entry/syscalls/syscall_64.tbl."""


def _function(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_libc, name)
    function.restype, function.argtypes = result, arguments
    return function


_mmap = _function("mmap", c_void_p, c_void_p, c_size_t, c_int, c_int, c_int, c_long)
_munmap = _function("munmap", c_int, c_void_p, c_size_t)
_mprotect = _function("mprotect", c_int, c_void_p, c_size_t, c_int)
_madvise = _function("madvise", c_int, c_void_p, c_size_t, c_int)
_mremap = _function("mremap", c_void_p, c_void_p, c_size_t, c_size_t, c_int, c_void_p)
_mincore = _function("mincore", c_int, c_void_p, c_size_t, c_void_p)
_fallocate = _function("fallocate", c_int, c_int, c_int, c_long, c_long)
_vmsplice = _function("vmsplice", c_ssize_t, c_int, c_void_p, c_size_t, c_uint)
_tee = _function("tee", c_ssize_t, c_int, c_int, c_size_t, c_uint)
_process_vm_readv = _function("process_vm_readv", c_ssize_t, c_int, c_void_p, c_long, c_void_p, c_long, c_long)
_process_vm_writev = _function("process_vm_writev", c_ssize_t, c_int, c_void_p, c_long, c_void_p, c_long, c_long)
_syscall = _function("syscall", c_long, c_long, c_long)
_prctl = _function("prctl", c_int, c_int, c_long)


class Iovec(Structure):
    """struct iovec."""

    _fields_ = [("iov_base", c_void_p), ("iov_len", c_size_t)]


def check(result: int | None, call: str) -> int:
    """Return a call's result, or raise its errno."""
    if result is None or result < 0 or result == MAP_FAILED:
        raise SyscallError(ctypes.get_errno(), call)
    return result


def ioctl(fd: int, name: str, argument: Structure | int = 0) -> int:
    """Call an ioctl by name. The kernel writes to the structure of a _IOR or _IOWR ioctl."""
    try:
        if isinstance(argument, int):
            return fcntl.ioctl(fd, NUMBERS[name], argument)
        return fcntl.ioctl(fd, NUMBERS[name], argument, True)  # type: ignore[no-any-return]
    except OSError as error:
        raise SyscallError(error.errno or 0, name) from None


def mmap(address: int | None, length: int, prot: int, flags: int, fd: int, offset: int) -> int:
    """mmap()."""
    # NULL comes back from ctypes as None: a mapping at address 0 is no failure.
    result = _mmap(address, length, prot, flags, fd, offset)
    return 0 if result is None else check(result, "mmap")


def munmap(address: int, length: int) -> None:
    """munmap()."""
    check(_munmap(address, length), "munmap")


def mprotect(address: int, length: int, prot: int) -> None:
    """mprotect()."""
    check(_mprotect(address, length, prot), "mprotect")


def madvise(address: int, length: int, advice: int) -> None:
    """madvise()."""
    check(_madvise(address, length, advice), "madvise")


def mremap(address: int, length: int, target: int) -> int:
    """mremap() to a given address."""
    return check(_mremap(address, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, target), "mremap")


def mincore(address: int, length: int) -> list[bool]:
    """mincore(). Returns an entry for each page."""
    vector = (c_ubyte * (length // PAGE_SIZE))()
    check(_mincore(address, length, ctypes.addressof(vector)), "mincore")
    return [bool(entry & 1) for entry in vector]


def fallocate(fd: int, mode: int, offset: int, length: int) -> None:
    """fallocate()."""
    check(_fallocate(fd, mode, offset, length), "fallocate")


def vmsplice(pipe: int, address: int, length: int) -> None:
    """vmsplice(): move references to pages, not their contents, into a pipe."""
    vector = Iovec(address, length)
    if check(_vmsplice(pipe, ctypes.addressof(vector), 1, 0), "vmsplice") != length:
        raise SyscallError(0, "vmsplice (short)")


def tee(source: int, target: int, length: int) -> int:
    """tee(): duplicate the contents of a pipe."""
    return check(_tee(source, target, length, 0), "tee")


def copy_from(address: int, length: int) -> bytes:
    """Read this process's memory; an inaccessible page is EFAULT, not a signal."""
    buffer = (c_char * length)()
    here, there = Iovec(ctypes.addressof(buffer), length), Iovec(address, length)
    done = _process_vm_readv(os.getpid(), ctypes.addressof(here), 1, ctypes.addressof(there), 1, 0)
    if check(done, "read") != length:
        raise SyscallError(errno.EFAULT, "read")
    return buffer.raw


def copy_to(address: int, data: bytes) -> None:
    """Write this process's memory; an inaccessible page is EFAULT, not a signal."""
    buffer = (c_char * len(data)).from_buffer_copy(data)
    here, there = Iovec(ctypes.addressof(buffer), len(data)), Iovec(address, len(data))
    done = _process_vm_writev(os.getpid(), ctypes.addressof(here), 1, ctypes.addressof(there), 1, 0)
    if check(done, "write") != len(data):
        raise SyscallError(errno.EFAULT, "write")


def userfaultfd(flags: int) -> int:
    """userfaultfd()."""
    return check(_syscall(SYS_USERFAULTFD, flags), "userfaultfd")


def die_with_parent() -> None:
    """prctl(PR_SET_PDEATHSIG, SIGKILL): a child does not outlive its parent."""
    check(_prctl(PR_SET_PDEATHSIG, signal.SIGKILL), "prctl")
