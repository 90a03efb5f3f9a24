# SPDX-License-Identifier: GPL-2.0-only
"""include/uapi/linux/prctl.h: prctl()."""

from __future__ import annotations

PR_SET_PDEATHSIG = 1
