# SPDX-License-Identifier: GPL-2.0-only
"""include/hyperv/hvgdk_mini.h: the interface between a guest and Hyper-V."""

from __future__ import annotations

HV_X64_MSR_SIEFP, HV_X64_MSR_SIMP = 0x40000082, 0x40000083
"""MSRs of the synthetic interrupt controller: the pages of event flags and of messages."""
HV_SYNIC_SIEFP_ENABLE = HV_SYNIC_SIMP_ENABLE = 1
