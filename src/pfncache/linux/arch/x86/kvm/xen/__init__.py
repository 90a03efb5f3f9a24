# SPDX-License-Identifier: GPL-2.0-only
"""Linux: arch/x86/kvm/xen.c, in pieces."""

from __future__ import annotations

from pfncache.linux.arch.x86.kvm.xen.runstate import XenRunstate
from pfncache.linux.arch.x86.kvm.xen.shared_info import XenSharedInfo
from pfncache.linux.arch.x86.kvm.xen.timer import XenTimer
from pfncache.linux.arch.x86.kvm.xen.vcpu_info import XenVcpuInfo


class Xen(XenSharedInfo, XenVcpuInfo, XenTimer, XenRunstate):
    """The functions of arch/x86/kvm/xen.c that scenarios and patches use."""
