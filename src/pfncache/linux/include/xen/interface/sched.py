# SPDX-License-Identifier: GPL-2.0-only
"""include/xen/interface/sched.h: the hypercall by which a Xen guest waits for events."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

SCHEDOP_POLL = 3
"""SCHEDOP_poll: sleep until one of the events is pending."""
PORT_SIZE = 4
"""sizeof(evtchn_port_t), in bytes."""


@dataclass(frozen=True)
class SchedPoll:
    """struct sched_poll of a 64-bit guest."""

    SIZE: ClassVar[int] = 24

    ports: int
    """Address of the ports."""
    nr_ports: int
    timeout: int = 0
    """Nanoseconds until it returns without an event; 0 for never."""

    @classmethod
    def parse(cls, data: bytes) -> SchedPoll:
        """Parse the structure."""
        return cls(*struct.unpack("<QIxxxxQ", data))

    def pack(self) -> bytes:
        """Return its bytes."""
        return struct.pack("<QIxxxxQ", self.ports, self.nr_ports, self.timeout)
