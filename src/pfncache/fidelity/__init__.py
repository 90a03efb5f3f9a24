# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own C beside the hand-written model, and beside the C of another kernel."""
