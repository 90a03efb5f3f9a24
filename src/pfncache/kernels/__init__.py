# SPDX-License-Identifier: GPL-2.0-only
"""Kernels that can be booted: Debian's, and Debian's with a user's patches. Kept in the user's cache folder."""
