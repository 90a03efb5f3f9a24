# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/include/asm/pvclock-abi.h: the clock page of a guest."""

from __future__ import annotations

import struct
from dataclasses import dataclass

PVCLOCK_TSC_STABLE_BIT, PVCLOCK_GUEST_STOPPED = 1, 2
_PVCLOCK = struct.Struct("<IIQQIbBxx")


@dataclass(frozen=True)
class PvClock:
    """struct pvclock_vcpu_time_info: what KVM writes for a guest that has asked for kvm-clock."""

    version: int
    tsc_timestamp: int
    system_time: int
    tsc_to_system_mul: int
    tsc_shift: int
    flags: int

    SIZE = _PVCLOCK.size

    @classmethod
    def parse(cls, data: bytes) -> PvClock:
        """Read the structure."""
        version, _, tsc, time, mul, shift, flags = _PVCLOCK.unpack(data[: cls.SIZE])
        return cls(version, tsc, time, mul, shift, flags)

    @property
    def written(self) -> bool:
        """Whether KVM has ever written it."""
        return self.version != 0

    def at(self, tsc: int) -> int:
        """The time in nanoseconds when the guest's TSC reads `tsc`, as a guest computes it."""
        delta = tsc - self.tsc_timestamp
        delta = delta << self.tsc_shift if self.tsc_shift >= 0 else delta >> -self.tsc_shift
        return self.system_time + (delta * self.tsc_to_system_mul >> 32)

    def __str__(self) -> str:
        if not self.written:
            return "not written"
        return f"version {self.version}, {self.system_time / 1e9:.9f} s at tsc {self.tsc_timestamp}"
