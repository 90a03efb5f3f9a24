# SPDX-License-Identifier: GPL-2.0-only
"""Our litmus tests, a file a protocol. The C is that of Linux 7.3.4."""
