# SPDX-License-Identifier: GPL-2.0-only
"""Warnings and bugs in the kernel log while a machine is open. Documentation/ABI/testing/dev-kmsg."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable

from pfncache.machines.resource import Closing

DEVICE = "/dev/kmsg"
CLEAR_WARN_ONCE = "/sys/kernel/debug/clear_warn_once"
_RECORD = 8192
"""Maximum length of a record in bytes."""
_COMPLAINT = re.compile(
    r"\b(BUG|WARNING): |\bkernel BUG at |\bOops: |general protection fault|DEBUG_LOCKS_WARN_ON"
    r"|INFO: (task .* blocked for more than|rcu.* detected stall|inconsistent lock state|trying to register)"
)
_WHERE = re.compile(
    r", CPU#\d+: .*|CPU: \d+ PID: \d+ at |\S*/\.\./|\+0x[0-9a-f]+/0x[0-9a-f]+|\b(?:0x)?[0-9a-f]{16}\b|/\d+/(?=0x)"
)
"""Parts of a message that differ from run to run."""


def complaints(records: Iterable[str]) -> tuple[str, ...]:
    """Return the warnings and bugs in records of /dev/kmsg, each once, without what differs from run to run.

    A record is "priority,sequence,microseconds,flags;message", with lines that begin with a space for a dictionary.
    """
    found: dict[str, None] = {}
    for record in records:
        message = record.partition(";")[2].partition("\n")[0]
        if _COMPLAINT.search(message):
            found[" ".join(_WHERE.sub(" ", message).split())] = None
    return tuple(found)


class Kmsg(Closing):
    """The kernel log from now on; empty without CAP_SYSLOG."""

    def __init__(self) -> None:
        self._complaints: tuple[str, ...] = ()
        try:
            self._fd = os.open(DEVICE, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.lseek(self._fd, 0, os.SEEK_END)
        except OSError:
            self._fd = -1
            return
        _clear_warn_once()

    def complaints(self) -> tuple[str, ...]:
        """Warnings and bugs up to now, or until it was closed."""
        if self._fd >= 0:
            self._complaints = tuple(dict.fromkeys((*self._complaints, *complaints(self._records()))))
        return self._complaints

    def _records(self) -> Iterable[str]:
        while True:
            try:
                yield os.read(self._fd, _RECORD).decode(errors="replace")
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.EPIPE:  # EPIPE: records were overwritten before they were read
                    raise

    def close(self) -> None:
        """Read the rest, and close the file descriptor."""
        if self._fd >= 0:
            self.complaints()
            os.close(self._fd)
            self._fd = -1


def _clear_warn_once() -> None:
    """Make the kernel repeat WARN_ONCE warnings that it has given before."""
    if os.access(CLEAR_WARN_ONCE, os.W_OK):
        with open(CLEAR_WARN_ONCE, "w") as file:
            file.write("1")
