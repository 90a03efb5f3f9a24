# SPDX-License-Identifier: GPL-2.0-only
"""include/uapi/linux/perf_event.h: perf_event_open(), and ioctls of its file."""

from __future__ import annotations

PERF_FLAG_FD_CLOEXEC = 1 << 3
PERF_EVENT_IOC_ENABLE = 0x2400
"""_IO('$', 0)."""
PERF_EVENT_IOC_SET_BPF = 0x40042408
"""_IOW('$', 8, __u32)."""
