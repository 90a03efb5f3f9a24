# SPDX-License-Identifier: GPL-2.0-only
"""include/uapi/linux/userfaultfd.h: the modes of a registration."""

from __future__ import annotations

UFFD_MISSING, UFFD_WP, UFFD_MINOR = 1, 2, 4
"""UFFDIO_REGISTER_MODE_*."""
