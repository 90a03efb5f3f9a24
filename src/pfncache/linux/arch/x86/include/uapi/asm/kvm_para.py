# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/include/uapi/asm/kvm_para.h: the paravirtual interface between a guest and KVM."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MSR_KVM_WALL_CLOCK_NEW = 0x4B564D00
MSR_KVM_SYSTEM_TIME = 0x12
MSR_KVM_SYSTEM_TIME_NEW = 0x4B564D01
MSR_KVM_ASYNC_PF_EN = 0x4B564D02
MSR_KVM_STEAL_TIME = 0x4B564D03
MSR_KVM_ASYNC_PF_ACK = 0x4B564D07
KVM_MSR_ENABLED = 1
KVM_ASYNC_PF_ENABLED = 1
KVM_ASYNC_PF_DELIVERY_AS_INT = 8
_STEAL = struct.Struct("<QIIB")


@dataclass(frozen=True)
class StealTime:
    """struct kvm_steal_time."""

    steal: int
    version: int
    flags: int
    preempted: int

    SIZE = 64

    @classmethod
    def parse(cls, data: bytes) -> StealTime:
        """Read the structure."""
        return cls(*_STEAL.unpack(data[: _STEAL.size]))
