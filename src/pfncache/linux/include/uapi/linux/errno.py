# SPDX-License-Identifier: GPL-2.0-only
"""include/uapi/linux/errno.h, asm-generic/errno-base.h, errno.h: error numbers."""

from __future__ import annotations

EPERM, ENOENT, EINTR, EIO, EBADF, EAGAIN, ENOMEM, EFAULT = 1, 2, 4, 5, 9, 11, 12, 14
EACCES, EBUSY, EEXIST, ENODEV, EINVAL, EFBIG, ESPIPE, EOPNOTSUPP = 13, 16, 17, 19, 22, 27, 29, 95
ENXIO, ENOTTY, ENOTCONN = 6, 25, 107
EHWPOISON = 133
