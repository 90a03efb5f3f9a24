# SPDX-License-Identifier: GPL-2.0-only
"""include/xen/interface/xen.h, vcpu.h: what a Xen guest and its hypervisor agree on."""

from __future__ import annotations

from dataclasses import dataclass

RUNSTATE_RUNNING, RUNSTATE_RUNNABLE, RUNSTATE_BLOCKED, RUNSTATE_OFFLINE = range(4)
XEN_VCPU_INFO_TIME = 32
"""Where in struct vcpu_info the clock is."""


@dataclass(frozen=True)
class XenLayout:
    """Where things are in struct shared_info, struct vcpu_info and struct vcpu_runstate_info."""

    pending: int
    mask: int
    wall_clock: int
    seconds_high: int
    word_bits: int
    """Events of one bit of evtchn_pending_sel."""
    pending_sel: int
    runstate_entry: int


XEN_LONG_MODE = XenLayout(0x800, 0xA00, 0xC00, 0xC0C, 64, 8, 8)
XEN_COMPAT = XenLayout(0x800, 0x880, 0x900, 0x924, 32, 4, 4)
