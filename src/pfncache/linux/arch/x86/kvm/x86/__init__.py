# SPDX-License-Identifier: GPL-2.0-only
"""Linux: arch/x86/kvm/x86.c, in pieces."""

from __future__ import annotations

from pfncache.linux.arch.x86.kvm.x86.async_pf import X86AsyncPf
from pfncache.linux.arch.x86.kvm.x86.emulate import Emulate
from pfncache.linux.arch.x86.kvm.x86.guest_entry import GuestEntry
from pfncache.linux.arch.x86.kvm.x86.hooks import ArchHooks
from pfncache.linux.arch.x86.kvm.x86.ioctl import X86Ioctl
from pfncache.linux.arch.x86.kvm.x86.vcpu_run import VcpuRun


class X86(X86Ioctl, VcpuRun, GuestEntry, ArchHooks, Emulate, X86AsyncPf):
    """The functions of arch/x86/kvm/x86.c."""
