# SPDX-License-Identifier: GPL-2.0-only
"""Bootable kernels in the user's cache folder: Debian's, and Debian's with a user's patches."""
