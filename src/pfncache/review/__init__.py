# SPDX-License-Identifier: GPL-2.0-only
"""A posted series, read and checked, and what is found in it."""
