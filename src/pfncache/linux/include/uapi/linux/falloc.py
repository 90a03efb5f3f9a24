# SPDX-License-Identifier: GPL-2.0-only
"""include/uapi/linux/falloc.h: fallocate()."""

from __future__ import annotations

FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE = 1, 2, 16
PUNCH_HOLE = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE
