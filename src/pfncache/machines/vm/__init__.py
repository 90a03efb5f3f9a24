# SPDX-License-Identifier: GPL-2.0-only
"""The machine ``vm``: a real kernel in QEMU, with the agent as its only process."""
