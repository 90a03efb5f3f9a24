# SPDX-License-Identifier: GPL-2.0-only
"""Access path by kind of memory: which memory must stay mapped for KVM to reach it."""
